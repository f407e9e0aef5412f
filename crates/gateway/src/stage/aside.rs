//! Aside: a small question to the target that a request is put to first, beside the request itself: how many tokens
//! something is, and which.

use crate::collect::{CollectError, Terms, collect};
use crate::context::Thread;
use crate::memory::{GRANT_STEP, Purpose};
use crate::routing::Target;
use crate::stage::call::CallError;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use std::sync::Arc;

/// The answer, whatever its status. The caller bounds the time.
pub(crate) async fn ask_aside(
    thread: &Thread,
    target: &Arc<Target>,
    path: &str,
    question: Vec<u8>,
) -> Result<(StatusCode, Bytes), CallError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", target.base_path))
        .header(header::HOST, &target.host)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(Full::new(Bytes::from(question)))
        .map_err(CallError::Request)?;
    let lease = thread.pool.lease(&thread.shared, target, None).await.map_err(CallError::Upstream)?;
    let (head, mut body) = lease.send(request).await.map_err(CallError::Upstream)?.into_parts();
    let (terms, idle_max) = {
        let options = thread.shared.options();
        let (cap, patience) = (options.answer_bytes_max, options.tokenize_timeout);
        (Terms { cap, patience, pace: None }, options.idle_upstream_max)
    };
    let granted = thread.shared.memory.grant(Purpose::Answer, GRANT_STEP);
    let mut grant = granted.map_err(CollectError::Memory).map_err(CallError::Answer)?;
    let answer = collect(&mut body, terms, &mut grant).await.map_err(CallError::Answer)?;
    thread.pool.put_back(body.into_lease(), idle_max);
    Ok((head.status, grant.hold(answer)))
}
