//! Read: the body, within its cap and its time, and the facts it states. The bytes are kept as they came.

use crate::collect::{CollectError, collect};
use crate::context::Thread;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::Accepted;
use bytes::Bytes;
use hermetic_identity::Authenticated;
use hermetic_inference_api::RequestFacts;
use hyper::body::Incoming;

/// A request of somebody known, read and understood.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) accepted: Accepted,
    pub(crate) who: Authenticated,
    pub(crate) body: Bytes,
    pub(crate) facts: RequestFacts,
}

pub(crate) async fn read(
    thread: &Thread,
    accepted: Accepted,
    who: Authenticated,
    mut body: Incoming,
) -> Result<Asked, Refused> {
    let options = &thread.shared.options;
    // One deadline for the whole body, not one per piece: a byte a minute would pass every pause.
    let collecting = collect(&mut body, options.body_bytes_max, options.body_timeout);
    let collected = tokio::time::timeout(options.body_timeout, collecting).await;
    let body = match collected.unwrap_or(Err(CollectError::Silent { after: options.body_timeout })) {
        Ok(body) => body,
        Err(error) => return Err(RefusalKind::Body(error).of(accepted.request)),
    };
    let facts = RequestFacts::read(accepted.surface, &body)
        .map_err(|mistake| RefusalKind::Mistake(mistake).of(accepted.request))?;
    Ok(Asked { accepted, who, body, facts })
}
