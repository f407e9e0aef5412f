//! `/v1/files`: what a project has handed in, and what its batches ended in.

use crate::batches::refusal::BatchRefusal;
use crate::batches::run::blocking;
use crate::batches::store::Batches;
use crate::batches::{download, upkeep, upload};
use crate::body::AnswerBody;
use crate::context::Thread;
use crate::peer::Peer;
use crate::probes;
use crate::question::{self, Said};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::identify::identify_headers;
use bytes::Bytes;
use hermetic_batches::{DeletedFile, FileObject, Page};
use hermetic_identity::Authenticated;
use hermetic_ids::FileId;
use hermetic_inference_api::Surface;
use hermetic_metadata::{FileRow, Listing};
use hermetic_policy::Action;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde::Serialize;
use std::rc::Rc;

const PATH: &str = "/v1/files";
const CONTENT: &str = "/content";

/// OpenAI's number, for a list that says none and at most.
const LIST_MAX: usize = 10_000;

pub(crate) fn is_path(path: &str) -> bool {
    path == PATH || path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) async fn answer(
    thread: &Rc<Thread>,
    (batches, peer): (&Batches, &Peer),
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let who = identify_headers(thread, peer, request.headers(), None).await?;
    let refuse = |refusal: BatchRefusal| RefusalKind::Batch(refusal).unnamed();
    may_batch(thread, &who).map_err(refuse)?;
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let rest = path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
    match (rest, method) {
        ("", Method::POST) => upload::upload(thread, (batches, &who), request).await,
        ("", Method::GET) => list(batches, &who, request.uri().query()).await.map_err(refuse),
        ("", _) => Err(RefusalKind::Method { allowed: "GET, POST" }.unnamed()),
        (rest, method) => {
            let (id, content) = match rest.strip_suffix(CONTENT) {
                Some(id) => (id, true),
                None => (rest, false),
            };
            let file = find(batches, &who, id).await.map_err(refuse)?;
            match (content, method) {
                (true, Method::GET) => download::download(thread, batches, &file).await.map_err(refuse),
                (false, Method::GET) => Ok(json(&object(&file))),
                (false, Method::DELETE) => delete(thread, batches, (&who, &file)).await.map_err(refuse),
                (true, _) => Err(RefusalKind::Method { allowed: "GET" }.unnamed()),
                (false, _) => Err(RefusalKind::Method { allowed: "DELETE, GET" }.unnamed()),
            }
        }
    }
}

/// Files and batches are for those whom policy permits to have requests of some model answered in batches. Which models
/// is decided for each line.
pub(crate) fn may_batch(thread: &Thread, who: &Authenticated) -> Result<(), BatchRefusal> {
    let table = thread.shared.routes.load();
    let permits = |surface: Surface, route: &crate::routing::Route| {
        let asked = question::question(who, (Action::Batch, surface), route, Said::NOTHING);
        who.scopes().permits(surface, &route.model) && thread.shared.authorizer.decide(&asked).is_ok()
    };
    let any = table.routes().any(|route| Surface::ALL.into_iter().any(|surface| permits(surface, route)));
    if any { Ok(()) } else { Err(BatchRefusal::NotPermitted) }
}

/// A file of the caller's project. Of another's nobody learns that it is there.
pub(crate) async fn find(batches: &Batches, who: &Authenticated, id: &str) -> Result<FileRow, BatchRefusal> {
    let missing = || BatchRefusal::Missing { what: "file" };
    let id: FileId = id.parse().map_err(|_| missing())?;
    let metadata = batches.metadata().clone();
    let file = blocking(move || Ok(metadata.file(id)?)).await?;
    file.filter(|file| file.project == who.owner().project).ok_or_else(missing)
}

async fn list(
    batches: &Batches,
    who: &Authenticated,
    query: Option<&str>,
) -> Result<Response<AnswerBody>, BatchRefusal> {
    let query = Query::read(query, LIST_MAX, LIST_MAX)?;
    let (metadata, project) = (batches.metadata().clone(), who.owner().project.clone());
    let (limit, purpose, listing) = (query.limit, query.purpose, query.listing);
    let mut files = blocking(move || Ok(metadata.files(&project, purpose.as_deref(), &listing)?)).await?;
    let more = files.len() > limit;
    files.truncate(limit);
    Ok(json(&Page::new(
        files.iter().map(object).collect(),
        |file: &FileObject<'_>| file.id.to_string(),
        more,
    )))
}

async fn delete(
    thread: &Thread,
    batches: &Batches,
    (who, file): (&Authenticated, &FileRow),
) -> Result<Response<AnswerBody>, BatchRefusal> {
    let (metadata, id) = (batches.metadata().clone(), file.id);
    if blocking(move || Ok(metadata.file_is_read(id)?)).await? {
        return Err(BatchRefusal::InUse);
    }
    upkeep::remove(thread, batches, file, Some(who.credential().clone())).await?;
    Ok(json(&DeletedFile::new(file.id)))
}

pub(crate) fn object(file: &FileRow) -> FileObject<'_> {
    let times = (file.created_unix_ms, file.expires_unix_ms);
    FileObject::new(file.id, file.bytes, (&file.name, &file.purpose), times)
}

pub(crate) fn json(value: &impl Serialize) -> Response<AnswerBody> {
    probes::ok("application/json", Bytes::from(serde_json::to_vec(value).unwrap_or_default()))
}

/// What a list is asked for with.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) limit: usize,
    pub(crate) purpose: Option<String>,
    /// One more than asked for: whether there are more is told.
    pub(crate) listing: Listing,
}

impl Query {
    pub(crate) fn read(query: Option<&str>, default: usize, max: usize) -> Result<Self, BatchRefusal> {
        let wrong =
            |expected, found: &str| BatchRefusal::Query { expected, found: found.chars().take(80).collect() };
        let mut read = Self { limit: default, purpose: None, listing: Listing::default() };
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "after" => read.listing.after = Some(value.to_owned()),
                "purpose" => read.purpose = Some(value.to_owned()),
                "order" => {
                    read.listing.oldest_first = match value {
                        "asc" => true,
                        "desc" => false,
                        _ => return Err(wrong("`order` to be `asc` or `desc`", value)),
                    };
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=max).contains(limit));
                    read.limit = limit.ok_or_else(|| wrong("a `limit` within bounds", value))?;
                }
                _ => {}
            }
        }
        read.listing.limit = read.limit + 1;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_for_within_bounds_and_with_one_more_than_is_shown() {
        let query = Query::read(Some("after=file-1&limit=3&order=asc&purpose=batch&x=y"), 20, 100).unwrap();
        assert_eq!((query.limit, query.listing.limit, query.listing.oldest_first), (3, 4, true));
        assert_eq!(
            (query.listing.after.as_deref(), query.purpose.as_deref()),
            (Some("file-1"), Some("batch"))
        );
        assert_eq!(Query::read(None, 20, 100).unwrap().limit, 20);
        for wrong in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert!(Query::read(Some(wrong), 20, 100).is_err(), "{wrong}");
        }
    }
}
