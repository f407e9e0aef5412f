//! Keep: the response of a request that is answered, before its settling record says so.

use crate::context::Thread;
use crate::question::Said;
use crate::stage::read::Asked;
use crate::stored::refusal::StateRefusal;
use crate::stored::sealed::{Contents, Head};
use crate::stored::store::blocking;
use crate::stored::{kept_here, response_of};
use bytes::Bytes;
use hermetic_inference_api::responses::kept_input;
use hermetic_ledger::record::StoredResponse;
use hermetic_metadata::ResponseRow;

/// Returns when the response is durable and can be seen. `None`: nothing is kept here.
pub(crate) async fn keep(
    thread: &Thread,
    asked: &Asked,
    response: Bytes,
) -> Result<Option<StoredResponse>, StateRefusal> {
    let Some(responses) = kept_here(&thread.shared) else { return Ok(None) };
    let request = asked.accepted.request;
    let owner = asked.who.owner();
    let previous = asked.state.as_ref().and_then(|state| Some(state.continues.as_ref()?.id));
    // The default may be another one day; what was said under this one keeps its level.
    let classification = thread.shared.authorizer.with_levels(|levels| {
        Said::by(asked).classification.unwrap_or_else(|| levels.default_name()).to_owned()
    });
    let head = Head {
        v: 1,
        project: owner.project.clone(),
        subject: owner.subject.clone(),
        previous,
        classification,
    };
    let created_unix_ms = thread.shared.clock.unix_millis();
    let id = response_of(request);
    let mut row = ResponseRow {
        id,
        project: owner.project.clone(),
        subject: owner.subject.clone(),
        previous,
        bytes: 0,
        created_unix_ms,
        expires_unix_ms: created_unix_ms.saturating_add(responses.retention_millis()),
    };
    let stored = StoredResponse { response: id, expires_unix_ms: row.expires_unix_ms };
    let (responses, sent) = (responses.clone(), asked.sent.clone());
    blocking(move || {
        let name = id.to_string();
        let input = kept_input(&sent, name.strip_prefix("resp_").unwrap_or(&name));
        // Its translation was asked of the engine, so its items can be read.
        let input = input.ok().and_then(|input| String::from_utf8(input).ok()).ok_or(StateRefusal::Lost)?;
        let contents = Contents { head, input, response: response.to_vec() };
        row.bytes = contents.bytes();
        responses.put(&row, &contents)
    })
    .await?;
    Ok(Some(stored))
}

/// Takes a response away that no record will speak of. What fails is done by the next start.
pub(crate) async fn forget(thread: &Thread, asked: &Asked, stored: StoredResponse) {
    let Some(responses) = kept_here(&thread.shared).cloned() else { return };
    let owner = asked.who.owner().clone();
    let forgotten = blocking(move || {
        let of_owner = (&owner.project, &owner.subject);
        match responses.metadata().response_chain(of_owner, stored.response, 1)?.first() {
            Some(row) => responses.remove(row),
            None => Ok(()),
        }
    });
    if let Err(error) = forgotten.await {
        let causes = hermetic_diagnostics::chain(&error).join(": ");
        tracing::error!(response = %stored.response, causes, "a response that is not on record could not be removed");
    }
}
