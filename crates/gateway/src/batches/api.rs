//! `/v1/batches`: made, looked at, cancelled.

use crate::batches::files::{Query, find, json, may_batch};
use crate::batches::refusal::BatchRefusal;
use crate::batches::run::{Holder, blocking, change};
use crate::batches::store::Batches;
use crate::body::AnswerBody;
use crate::context::Thread;
use crate::peer::Peer;
use crate::question::{X_CLASSIFICATION, check_classification};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::draw_ids;
use crate::stage::identify::identify_headers;
use crate::stage::read::{METADATA_HEADER, within_limits};
use hermetic_batches::{Batch, BatchObject, Create, CreateMistake, Draft, Page};
use hermetic_identity::{Authenticated, Standing};
use hermetic_ids::{BatchId, RequestId};
use hermetic_inference_api::{Form, Surface};
use hermetic_ledger::record::{BatchCreated, Event, Record};
use hermetic_metadata::BatchRow;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;

const PATH: &str = "/v1/batches";
const CANCEL: &str = "/cancel";

/// OpenAI's numbers.
const LIST_DEFAULT: usize = 20;
const LIST_MAX: usize = 100;

pub(crate) fn is_path(path: &str) -> bool {
    path == PATH || path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) async fn answer(
    thread: &Thread,
    (batches, peer): (&Batches, &Peer),
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let who = identify_headers(thread, peer, request.headers(), None).await?;
    let refuse = |refusal: BatchRefusal| RefusalKind::Batch(refusal).unnamed();
    may_batch(thread, &who).map_err(refuse)?;
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let rest = path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
    match (rest, method) {
        ("", Method::POST) => create(thread, (batches, &who), request).await,
        ("", Method::GET) => list(batches, &who, request.uri().query()).await.map_err(refuse),
        ("", _) => Err(RefusalKind::Method { allowed: "GET, POST" }.unnamed()),
        (rest, method) => match (rest.strip_suffix(CANCEL), method) {
            (Some(id), Method::POST) => {
                let row = find_batch(batches, &who, id).await.map_err(refuse)?;
                cancel(thread, batches, (&who, row.id)).await
            }
            (None, Method::GET) => {
                let row = find_batch(batches, &who, rest).await.map_err(refuse)?;
                Ok(json(&object(batches, &row).map_err(refuse)?))
            }
            (Some(_), _) => Err(RefusalKind::Method { allowed: "POST" }.unnamed()),
            (None, _) => Err(RefusalKind::Method { allowed: "GET" }.unnamed()),
        },
    }
}

async fn create(
    thread: &Thread,
    (batches, who): (&Batches, &Authenticated),
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let (head, mut body) = request.into_parts();
    let (request, ..) = draw_ids(&head.headers).ok_or_else(|| RefusalKind::NoRandomness.unnamed())?;
    let created = async {
        let body = within_limits(thread, &mut body).await.map_err(RefusalKind::Body)?;
        thread.shared.authorizer.with_levels(|levels| check_classification(&head.headers, levels))?;
        create_from(thread, (batches, who), (request, &head.headers), &body).await
    };
    let batch = created.await.map_err(|kind: RefusalKind| kind.of(request))?;
    Ok(json(&BatchObject::from(&batch)))
}

async fn create_from(
    thread: &Thread,
    (batches, who): (&Batches, &Authenticated),
    (request, headers): (RequestId, &HeaderMap),
    body: &[u8],
) -> Result<Batch, RefusalKind> {
    // A line is JSON, so what is sent as a form cannot be one.
    let lines = |surface: &Surface| surface.call().form() == Form::Json;
    let endpoints: Vec<&str> = Surface::ALL.into_iter().filter(lines).map(Surface::path).collect();
    let refuse = RefusalKind::Batch;
    let asked = Create::read(body, &endpoints).map_err(|mistake| refuse(BatchRefusal::Create(mistake)))?;
    let standing = Standing::of(who).ok_or(refuse(BatchRefusal::Certificate))?;
    let input = find(batches, who, &asked.input.to_string()).await.map_err(refuse)?;
    if input.purpose != "batch" {
        return Err(refuse(BatchRefusal::Create(CreateMistake::Input)));
    }
    let surface = Surface::of_path(&asked.endpoint).ok_or(RefusalKind::NotFound)?;
    let now = thread.shared.clock.unix_millis();
    let batch = Batch::new(draft(asked, request), now);
    let event = Event::BatchCreated(BatchCreated {
        request,
        batch: batch.id(),
        input: batch.input(),
        credential: standing.credential.clone(),
        owner: standing.owner.clone(),
        surface: surface.as_str().to_owned(),
        expires_unix_ms: batch.expires_unix_ms(),
        policy_digest: thread.shared.authorizer.digest(),
    });
    thread.shared.ledger.append(&Record::new(now, event)).await.map_err(RefusalKind::Ledger)?;
    let row = row(&batch, Holder { standing, headers: said_for_all(headers) }).map_err(refuse)?;
    let metadata = batches.metadata().clone();
    let added = blocking(move || Ok(metadata.insert_batch(&row)?)).await.map_err(refuse)?;
    if !added {
        return Err(refuse(BatchRefusal::Missing { what: "file" }));
    }
    batches.wake().notify_one();
    Ok(batch)
}

/// The batch's id comes from the draw of the request that makes it: one draw, two names.
fn draft(asked: Create, request: RequestId) -> Draft {
    Draft {
        id: BatchId::from_bytes(*request.as_bytes()),
        input: asked.input,
        endpoint: asked.endpoint,
        completion_window: asked.completion_window,
        window_millis: asked.window_millis,
        metadata: asked.metadata,
        output_expires_after: asked.output_expires_after,
    }
}

fn row(batch: &Batch, holder: Holder) -> Result<BatchRow, BatchRefusal> {
    Ok(BatchRow {
        id: batch.id(),
        project: holder.standing.owner.project.clone(),
        input: batch.input(),
        document: serde_json::to_string(batch).map_err(|_| BatchRefusal::Lost)?,
        holder: serde_json::to_string(&holder).map_err(|_| BatchRefusal::Lost)?,
        created_unix_ms: batch.created_unix_ms(),
        ended_unix_ms: None,
    })
}

/// The headers that say something of a request and hold for every line.
fn said_for_all(headers: &HeaderMap) -> Vec<(String, String)> {
    let said = headers
        .iter()
        .filter(|(name, _)| **name == X_CLASSIFICATION || name.as_str().starts_with(METADATA_HEADER));
    said.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

async fn find_batch(batches: &Batches, who: &Authenticated, id: &str) -> Result<BatchRow, BatchRefusal> {
    let missing = || BatchRefusal::Missing { what: "batch" };
    let id: BatchId = id.parse().map_err(|_| missing())?;
    let metadata = batches.metadata().clone();
    let row = blocking(move || Ok(metadata.batch(id)?)).await?;
    row.filter(|row| row.project == who.owner().project).ok_or_else(missing)
}

/// As it stands: of one that runs here, more is known than its row says.
fn object(batches: &Batches, row: &BatchRow) -> Result<BatchObject, BatchRefusal> {
    let mut batch: Batch = serde_json::from_str(&row.document).map_err(|_| BatchRefusal::Lost)?;
    if let Some(progress) = batches.progress(batch.id()) {
        batch.progress(progress.completed, progress.failed, progress.usage);
    }
    Ok(BatchObject::from(&batch))
}

async fn list(
    batches: &Batches,
    who: &Authenticated,
    query: Option<&str>,
) -> Result<Response<AnswerBody>, BatchRefusal> {
    let query = Query::read(query, LIST_DEFAULT, LIST_MAX)?;
    let (metadata, project) = (batches.metadata().clone(), who.owner().project.clone());
    let listing = query.listing;
    let mut rows = blocking(move || Ok(metadata.batches(Some(&project), &listing)?)).await?;
    let more = rows.len() > query.limit;
    rows.truncate(query.limit);
    let objects: Vec<BatchObject> = rows.iter().map(|row| object(batches, row)).collect::<Result<_, _>>()?;
    Ok(json(&Page::new(objects, |batch| batch.id.to_string(), more)))
}

/// Lines in flight end, and no more are begun. On record before the caller learns of it.
async fn cancel(
    thread: &Thread,
    batches: &Batches,
    (who, id): (&Authenticated, BatchId),
) -> Result<Response<AnswerBody>, Refused> {
    let refuse = |kind: RefusalKind| kind.unnamed();
    let now = thread.shared.clock.unix_millis();
    let event = Event::BatchCancelled { batch: id, by: who.credential().name() };
    let (batch, cancelled) = change(batches, id, now, Vec::new(), move |batch| batch.cancel(now))
        .await
        .map_err(|refusal| refuse(RefusalKind::Batch(refusal)))?;
    if cancelled.map_err(|wrong| refuse(RefusalKind::Batch(BatchRefusal::Status(wrong))))? {
        let recorded = thread.shared.ledger.append(&Record::new(now, event)).await;
        recorded.map_err(|error| refuse(RefusalKind::Ledger(error)))?;
        batches.wake().notify_one();
    }
    Ok(json(&BatchObject::from(&batch)))
}
