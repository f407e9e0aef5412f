//! Read: the body, within its cap, its time and the memory there is, and the facts it states. The bytes are kept as they came.

use crate::collect::{CollectError, Terms, collect};
use crate::context::Thread;
use crate::memory::{GRANT_STEP, Purpose};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::Accepted;
use crate::stage::guard::Guarded;
use crate::stored::{self, Recalled, State};
use bytes::Bytes;
use hermetic_identity::Authenticated;
use hermetic_ids::ResponseId;
use hermetic_inference_api::{
    Form, RequestFacts, RequestMistake, Surface, Teller, TokenTask, messages, responses,
};
use http::header;
use http_body::Body;
use hyper::body::Incoming;

/// The header in which a caller says something of a request where it cannot in the body: `x-hermetic-metadata-NAME`.
pub(crate) const METADATA_HEADER: &str = "x-hermetic-metadata-";

/// Copies of a body that are kept until its request is settled: as it came, and as it was edited for the engine.
const COPIES: usize = 2;

/// What the caller wants of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Answer,
    /// How many tokens it is. Messages only.
    TokenCount,
    /// Which tokens something is, or what tokens are.
    Tokens(TokenTask),
}

impl Wanted {
    /// What a path asks for that goes through the pipeline.
    pub(crate) fn of_path(path: &str) -> Option<(Surface, Self)> {
        if let Some(surface) = Surface::of_path(path) {
            return Some((surface, Self::Answer));
        }
        if path == messages::COUNT_TOKENS_PATH {
            return Some((Surface::Messages, Self::TokenCount));
        }
        // Which surface it is of becomes known when it is read.
        TokenTask::of_path(path).map(|task| (Surface::Completions, Self::Tokens(task)))
    }
}

/// A request of somebody known, read and understood.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) accepted: Accepted,
    pub(crate) who: Authenticated,
    /// As the caller sent it.
    pub(crate) sent: Bytes,
    /// As an engine is asked it: the same bytes, where both speak alike.
    pub(crate) body: Bytes,
    pub(crate) facts: RequestFacts,
    /// Boxed: few requests have guardrails, and all are moved from stage to stage.
    pub(crate) guarded: Option<Box<Guarded>>,
    /// What it has to do with stored responses, where those are kept.
    pub(crate) state: Option<Box<State>>,
}

impl Asked {
    /// Tells the answer as the caller's surface does.
    pub(crate) fn teller(&self) -> Teller {
        let teller = Teller::of(self.accepted.surface, &self.sent, self.facts.model.as_str());
        match &self.state {
            None => teller,
            Some(state) => teller.with_state(state.told(self.accepted.request)),
        }
    }

    /// The response it goes on from, as records name it.
    pub(crate) fn continues(&self) -> Option<ResponseId> {
        self.state.as_ref().and_then(|state| state.continues.as_ref()).map(|continued| continued.id)
    }

    /// Whether its response is to be kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.keeps)
    }

    pub(crate) fn keep(&mut self, keeps: bool) {
        if let Some(state) = &mut self.state {
            state.keeps = keeps;
        }
    }
}

pub(crate) async fn read(
    thread: &Thread,
    accepted: Accepted,
    who: Authenticated,
    (wanted, mut body): (Wanted, Incoming),
) -> Result<Asked, Refused> {
    let sent = match within_limits(thread, &mut body).await {
        Ok(sent) => sent,
        Err(error) => return Err(RefusalKind::Body(error).of(accepted.request)),
    };
    let recalled = match wanted {
        Wanted::Answer => recalled(thread, &accepted, &who, &sent).await?,
        Wanted::TokenCount | Wanted::Tokens(_) => None,
    };
    understand(thread, accepted, who, (wanted, sent, recalled))
}

/// What the request has to do with stored responses. Boxed, as other ways that few requests take.
async fn recalled(
    thread: &Thread,
    accepted: &Accepted,
    who: &Authenticated,
    sent: &Bytes,
) -> Result<Option<Recalled>, Refused> {
    if !accepted.surface.has_state() {
        return Ok(None);
    }
    let recalled = Box::pin(stored::recall(thread, accepted, who, sent)).await;
    recalled.map_err(|kind| kind.of(accepted.request))
}

/// A body that is at hand, in memory that is granted for it like for any other.
pub(crate) async fn taken(
    thread: &Thread,
    accepted: Accepted,
    who: Authenticated,
    body: String,
) -> Result<Asked, Refused> {
    let granted = thread.shared.memory.grant(Purpose::Body, body.len().saturating_mul(COPIES));
    let grant = match granted {
        Ok(grant) => grant,
        Err(error) => return Err(RefusalKind::Body(CollectError::Memory(error)).of(accepted.request)),
    };
    let sent = grant.hold(Bytes::from(body));
    let recalled = recalled(thread, &accepted, &who, &sent).await?;
    understand(thread, accepted, who, (Wanted::Answer, sent, recalled))
}

fn understand(
    thread: &Thread,
    mut accepted: Accepted,
    who: Authenticated,
    (wanted, sent, recalled): (Wanted, Bytes, Option<Recalled>),
) -> Result<Asked, Refused> {
    let request = accepted.request;
    let refuse = |kind: RefusalKind| kind.of(request);
    let mistake = |mistake| refuse(RefusalKind::Mistake(mistake));
    let out_of_memory = |error| refuse(RefusalKind::Body(CollectError::Memory(error)));
    let body = if accepted.surface.is_translated() {
        // About as long as what was sent, as the one word of a field is as long as the other.
        let mut grant = thread.shared.memory.grant(Purpose::Body, sent.len()).map_err(out_of_memory)?;
        let before = recalled.as_ref().map(|recalled| recalled.before.as_slice()).unwrap_or_default();
        let body = translated(wanted, accepted.surface, (&sent, before)).map_err(mistake)?;
        grant.cover(body.len()).map_err(out_of_memory)?;
        grant.hold(body)
    } else {
        sent.clone()
    };
    let facts = match wanted {
        Wanted::Answer | Wanted::TokenCount => understood(&accepted, &body),
        Wanted::Tokens(task) => about_tokens(thread, &mut accepted, task, &body),
    };
    let facts = facts.map_err(mistake)?;
    let state = recalled.map(|recalled| recalled.state);
    Ok(Asked { accepted, who, sent, body, facts, guarded: None, state })
}

/// The request as an engine is asked it, with what was said before it.
fn translated(
    wanted: Wanted,
    surface: Surface,
    (sent, before): (&Bytes, &[String]),
) -> Result<Bytes, RequestMistake> {
    match wanted {
        Wanted::Answer if !before.is_empty() => {
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            responses::to_chat_after(sent, &before).map(Bytes::from)
        }
        Wanted::Answer | Wanted::Tokens(_) => surface.translate(sent),
        Wanted::TokenCount => messages::count_tokens_to_chat(sent).map(Bytes::from),
    }
}

/// What a question about tokens asks for. It is of the surface on which the model would be asked the same: whoever may
/// ask a model may ask about its tokens.
fn about_tokens(
    thread: &Thread,
    accepted: &mut Accepted,
    task: TokenTask,
    body: &[u8],
) -> Result<RequestFacts, RequestMistake> {
    let (call, facts) = task.facts(body)?;
    let table = thread.shared.routes.load();
    let kind = table.get(&facts.model).map(|route| route.kind);
    let fits = |surface: &Surface| kind.is_some_and(|kind| kind == surface.kind());
    let asked_like = Surface::ALL.into_iter().find(|surface| surface.call() == call && fits(surface));
    let surface = asked_like.or_else(|| Surface::ALL.into_iter().find(fits));
    accepted.surface = surface.unwrap_or(accepted.surface);
    Ok(facts)
}

/// What the body asks for, and what body and headers say of it.
fn understood(accepted: &Accepted, body: &[u8]) -> Result<RequestFacts, RequestMistake> {
    let call = accepted.surface.call();
    let mut facts = match call.form() {
        Form::Json => RequestFacts::read(call, body)?,
        Form::Multipart => {
            let content_type =
                accepted.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            RequestFacts::read_form(call, body, content_type.unwrap_or_default())?
        }
    };
    for (name, value) in &accepted.headers {
        let Some(name) = name.as_str().strip_prefix(METADATA_HEADER) else { continue };
        // What is no text says nothing.
        if let Ok(value) = value.to_str() {
            facts.say(name, value)?;
        }
    }
    Ok(facts)
}

/// The whole body, in memory that was granted before the first byte of it was read.
pub(crate) async fn within_limits(thread: &Thread, body: &mut Incoming) -> Result<Bytes, CollectError> {
    let (terms, total) = {
        let options = thread.shared.options();
        let patience = options.body_timeout;
        (Terms { cap: options.body_bytes_max, patience, pace: options.body_pace }, patience)
    };
    let declared = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let expected = declared.unwrap_or(GRANT_STEP.min(terms.cap)).saturating_mul(COPIES);
    let mut grant = thread.shared.memory.grant(Purpose::Body, expected).map_err(CollectError::Memory)?;
    // One deadline for the whole body besides the pace: a pace alone lets a large body take its time.
    let collecting = collect(body, terms, &mut grant);
    let collected = tokio::time::timeout(total, collecting).await;
    let body = collected.unwrap_or(Err(CollectError::Silent { after: total }))?;
    grant.cover(body.len().saturating_mul(COPIES)).map_err(CollectError::Memory)?;
    Ok(grant.hold(body))
}
