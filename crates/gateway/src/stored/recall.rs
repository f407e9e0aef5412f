//! What a request has to do with stored responses, before its body is understood: what it wishes, and the conversation that
//! it goes on from.

use crate::context::Thread;
use crate::memory::{MemoryBudget, MemoryError, MemoryGrant, Purpose};
use crate::question::stated_classification;
use crate::refusal::RefusalKind;
use crate::stage::accept::Accepted;
use crate::stored::permit::may_store;
use crate::stored::refusal::StateRefusal;
use crate::stored::store::{StoredResponses, blocking};
use crate::stored::{kept_here, response_of};
use hermetic_identity::{Authenticated, Owner};
use hermetic_ids::{RequestId, ResponseId};
use hermetic_inference_api::responses::{self, StateWish, Stored, output_items};
use hermetic_metadata::ResponseRow;

/// What a request has to do with stored responses.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) wish: Wish,
    pub(crate) continues: Option<Continued>,
    /// Its response is to be kept. Known when policy was asked about its model.
    pub(crate) keeps: bool,
    /// Bytes that the response may have to be kept beside its request.
    bytes_max: usize,
}

/// What the caller wants to become of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `store: false`.
    Nothing,
    /// Nothing was said: kept if that is permitted.
    IfPermitted,
    /// `store: true`: refused if it is not.
    Kept,
}

/// The response a request goes on from.
#[derive(Debug)]
pub(crate) struct Continued {
    pub(crate) id: ResponseId,
    /// How high the whole conversation is classified: what was said in it, or what the caller says now, whichever is higher.
    pub(crate) classification: Option<String>,
}

/// A request's state, and what was said before it.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) state: Box<State>,
    /// Arrays of items, in the order in which they were said.
    pub(crate) before: Vec<String>,
    /// Covers what was said before, until it stands in the body.
    _grant: Option<MemoryGrant>,
}

impl State {
    /// What the response is told of it.
    pub(crate) fn told(&self, request: RequestId) -> responses::State {
        let name = || {
            let id = response_of(request).to_string();
            id.strip_prefix("resp_").map(str::to_owned).unwrap_or(id)
        };
        responses::State {
            previous: self.continues.as_ref().map(|continued| continued.id.to_string()),
            stored: self.keeps.then(|| Stored { name: name(), bytes_max: self.bytes_max }),
        }
    }
}

/// `None` where nothing is kept.
pub(crate) async fn recall(
    thread: &Thread,
    accepted: &Accepted,
    who: &Authenticated,
    sent: &[u8],
) -> Result<Option<Recalled>, RefusalKind> {
    let Some(responses) = kept_here(&thread.shared) else { return Ok(None) };
    let StateWish { store, previous } = StateWish::read(sent).map_err(RefusalKind::Mistake)?;
    let wish = match store {
        None => Wish::IfPermitted,
        Some(true) => Wish::Kept,
        Some(false) => Wish::Nothing,
    };
    let bytes_max = responses.options().response_bytes_max.saturating_sub(sent.len());
    let state = |continues| Box::new(State { wish, continues, keeps: false, bytes_max });
    let Some(previous) = previous else {
        return Ok(Some(Recalled { state: state(None), before: Vec::new(), _grant: None }));
    };
    may_store(thread, who).map_err(RefusalKind::State)?;
    let id: ResponseId = previous.parse().map_err(|_| RefusalKind::State(StateRefusal::PreviousMissing))?;
    let (responses, owner, now) = (responses.clone(), who.owner().clone(), thread.shared.clock.unix_millis());
    let memory = thread.shared.memory.clone();
    let said = blocking(move || said_before(&responses, (&owner, now), id, &memory));
    let Said { before, classifications, grant } = said.await.map_err(RefusalKind::State)??;
    let stated = stated_classification(&accepted.headers);
    let classification = thread.shared.authorizer.with_levels(|levels| {
        let of_all =
            classifications.iter().fold(stated, |highest, level| levels.higher(highest, Some(level)));
        of_all.map(str::to_owned)
    });
    let continues = Some(Continued { id, classification });
    Ok(Some(Recalled { state: state(continues), before, _grant: Some(grant) }))
}

/// What was said in a conversation so far.
struct Said {
    before: Vec<String>,
    classifications: Vec<String>,
    grant: MemoryGrant,
}

/// `Ok(Err(…))`: there is no memory for it now.
fn said_before(
    responses: &StoredResponses,
    (owner, now): (&Owner, u64),
    id: ResponseId,
    memory: &MemoryBudget,
) -> Result<Result<Said, RefusalKind>, StateRefusal> {
    let chain = chain(responses, (owner, now), id)?;
    let bytes: u64 = chain.iter().map(|row| row.bytes).fold(0, u64::saturating_add);
    let max = responses.options().conversation_bytes_max;
    if bytes > max {
        return Err(StateRefusal::ConversationTooLarge { max, found: bytes });
    }
    let granted = memory.grant(Purpose::Body, usize::try_from(bytes).unwrap_or(usize::MAX));
    let grant = match granted {
        Ok(grant) => grant,
        Err(error) => return Ok(Err(no_memory(error))),
    };
    let mut said = Said { before: Vec::new(), classifications: Vec::new(), grant };
    for row in chain.iter().rev() {
        let contents = responses.read(row).map_err(|refusal| match refusal {
            // It was deleted a moment ago.
            StateRefusal::Missing => StateRefusal::PreviousMissing,
            refusal => refusal,
        })?;
        let output = output_items(&contents.response).ok_or(StateRefusal::Damaged { found: "no output" })?;
        said.before.extend([contents.input, output.to_owned()]);
        said.classifications.push(contents.head.classification);
    }
    Ok(Ok(said))
}

fn no_memory(error: MemoryError) -> RefusalKind {
    RefusalKind::Body(crate::collect::CollectError::Memory(error))
}

/// The responses of a conversation, the latest first, back to its beginning. Whether one of them never was, has gone or is
/// somebody else's is the same to the caller.
fn chain(
    responses: &StoredResponses,
    (owner, now): (&Owner, u64),
    id: ResponseId,
) -> Result<Vec<ResponseRow>, StateRefusal> {
    let max = responses.options().turns_max;
    let rows =
        responses.metadata().response_chain((&owner.project, &owner.subject), id, max.saturating_add(1))?;
    let is_gone = |row: &ResponseRow| row.expires_unix_ms <= now;
    if rows.is_empty() || rows.iter().any(is_gone) {
        return Err(StateRefusal::PreviousMissing);
    }
    if u32::try_from(rows.len()).is_ok_and(|turns| turns <= max) {
        let begins = rows.last().is_some_and(|first| first.previous.is_none());
        return if begins { Ok(rows) } else { Err(StateRefusal::PreviousMissing) };
    }
    Err(StateRefusal::TooManyTurns { max })
}
