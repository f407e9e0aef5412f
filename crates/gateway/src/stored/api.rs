//! `/v1/responses/{id}`: looked at, deleted, and what was said to the model for it.

use crate::body::AnswerBody;
use crate::collect::CollectError;
use crate::context::Thread;
use crate::memory::Purpose;
use crate::peer::Peer;
use crate::probes;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::identify::identify_headers;
use crate::stored::path::Asked;
use crate::stored::permit::may_store;
use crate::stored::query;
use crate::stored::refusal::StateRefusal;
use crate::stored::store::{StoredResponses, blocking};
use crate::stored::{kept_here, upkeep};
use bytes::Bytes;
use hermetic_identity::{Authenticated, Owner};
use hermetic_ids::ResponseId;
use hermetic_inference_api::responses::{ItemsAsked, ItemsMistake, item_page, output_items};
use hermetic_metadata::ResponseRow;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde::Serialize;

/// What a deletion is answered with.
#[derive(Serialize)]
struct Deleted {
    id: ResponseId,
    object: &'static str,
    deleted: bool,
}

pub(crate) async fn answer(
    thread: &Thread,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let Some(responses) = kept_here(&thread.shared) else { return Err(RefusalKind::NotFound.unnamed()) };
    let who = identify_headers(thread, peer, request.headers(), None).await?;
    let (path, query) = (request.uri().path(), request.uri().query());
    let answered = match (Asked::of_path(path), request.method()) {
        (Asked::Nothing, _) => Err(RefusalKind::NotFound),
        (Asked::Response { id }, &Method::GET) => show(thread, (responses, &who), id, query).await,
        (Asked::Response { id }, &Method::DELETE) => delete(thread, (responses, &who), id).await,
        (Asked::Response { .. }, _) => Err(RefusalKind::Method { allowed: "DELETE, GET" }),
        (Asked::InputItems { id }, &Method::GET) => items(thread, (responses, &who), id, query).await,
        (Asked::InputItems { .. }, _) => Err(RefusalKind::Method { allowed: "GET" }),
    };
    answered.map_err(RefusalKind::unnamed)
}

/// As it was told when it ended.
async fn show(
    thread: &Thread,
    (responses, who): (&StoredResponses, &Authenticated),
    id: &str,
    query: Option<&str>,
) -> Result<Response<AnswerBody>, RefusalKind> {
    may_store(thread, who).map_err(RefusalKind::State)?;
    query::of_response(query).map_err(RefusalKind::State)?;
    let row = find(thread, (responses, who), id).await?;
    let (responses, read) = (responses.clone(), row.clone());
    let contents = held(thread, row.bytes, move || Ok(responses.read(&read)?.response)).await?;
    Ok(probes::ok("application/json", contents))
}

async fn delete(
    thread: &Thread,
    (responses, who): (&StoredResponses, &Authenticated),
    id: &str,
) -> Result<Response<AnswerBody>, RefusalKind> {
    may_store(thread, who).map_err(RefusalKind::State)?;
    let row = find(thread, (responses, who), id).await?;
    let by = Some(who.credential().clone());
    upkeep::remove(thread, responses, &row, by).await?;
    let told = Deleted { id: row.id, object: "response", deleted: true };
    Ok(probes::ok("application/json", Bytes::from(serde_json::to_vec(&told).unwrap_or_default())))
}

/// All that the model was told for the response but its instructions: the conversation it goes on from, as far as that is kept,
/// and its own input.
async fn items(
    thread: &Thread,
    (responses, who): (&StoredResponses, &Authenticated),
    id: &str,
    query: Option<&str>,
) -> Result<Response<AnswerBody>, RefusalKind> {
    may_store(thread, who).map_err(RefusalKind::State)?;
    let asked = query::of_items(query).map_err(RefusalKind::State)?;
    let last = find(thread, (responses, who), id).await?;
    let (looking, owner, most) = (responses.clone(), who.owner().clone(), responses.options().turns_max);
    let now = thread.shared.clock.unix_millis();
    let chain = blocking(move || {
        let rows = looking.metadata().response_chain((&owner.project, &owner.subject), last.id, most)?;
        Ok(rows.into_iter().take_while(|row| row.expires_unix_ms > now).collect::<Vec<_>>())
    });
    let chain = chain.await.map_err(RefusalKind::State)?;
    let bytes = chain.iter().map(|row| row.bytes).fold(0, u64::saturating_add);
    let responses = responses.clone();
    let page = held(thread, bytes, move || page(&responses, &chain, &asked)).await?;
    Ok(probes::ok("application/json", page))
}

fn page(
    responses: &StoredResponses,
    chain: &[ResponseRow],
    asked: &ItemsAsked,
) -> Result<Vec<u8>, StateRefusal> {
    let mut said: Vec<String> = Vec::new();
    for (before, row) in chain.iter().enumerate() {
        let contents = match responses.read(row) {
            // It was deleted a moment ago, and with it the way to those before it.
            Err(StateRefusal::Missing) if before > 0 => break,
            contents => contents?,
        };
        // The latest first, as the chain is; what was answered last is no input.
        if before > 0 {
            let output = output_items(&contents.response);
            said.push(output.ok_or(StateRefusal::Damaged { found: "no output" })?.to_owned());
        }
        said.push(contents.input);
    }
    let said: Vec<&str> = said.iter().rev().map(String::as_str).collect();
    item_page(&said, asked).map_err(|mistake| match mistake {
        ItemsMistake::Items => StateRefusal::Damaged { found: "items without ids" },
        ItemsMistake::After => StateRefusal::Query {
            expected: "`after` to name an item of the input",
            found: asked.after.iter().flat_map(|after| after.chars()).take(80).collect(),
        },
    })
}

/// The caller's response of this id. Of another's nobody learns that it is there.
async fn find(
    thread: &Thread,
    (responses, who): (&StoredResponses, &Authenticated),
    id: &str,
) -> Result<ResponseRow, RefusalKind> {
    let missing = || RefusalKind::State(StateRefusal::Missing);
    let id: ResponseId = id.parse().map_err(|_| missing())?;
    let metadata = responses.metadata().clone();
    let Owner { project, subject, .. } = who.owner().clone();
    let rows = blocking(move || Ok(metadata.response_chain((&project, &subject), id, 1)?));
    let now = thread.shared.clock.unix_millis();
    let row = rows.await.map_err(RefusalKind::State)?.into_iter().next();
    row.filter(|row| row.expires_unix_ms > now).ok_or_else(missing)
}

/// What `read` reads, in memory that was granted before and is counted until the caller has taken it.
async fn held(
    thread: &Thread,
    bytes: u64,
    read: impl FnOnce() -> Result<Vec<u8>, StateRefusal> + Send + 'static,
) -> Result<Bytes, RefusalKind> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let granted = thread.shared.memory.grant(Purpose::Answer, bytes);
    let mut grant = granted.map_err(|error| RefusalKind::Answer(CollectError::Memory(error)))?;
    let read = blocking(read).await.map_err(RefusalKind::State)?;
    grant.cover(read.len()).map_err(|error| RefusalKind::Answer(CollectError::Memory(error)))?;
    Ok(grant.hold(Bytes::from(read)))
}
