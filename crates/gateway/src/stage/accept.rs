//! Accept: what can be said of a request before its body is read.

use crate::collect::CollectError;
use crate::context::Thread;
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use crate::trace::Trace;
use hermetic_ids::RequestId;
use hermetic_inference_api::Surface;
use http::{HeaderMap, Method, Request, header};
use http_body::Body;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// A request whose head is in order.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) request: RequestId,
    pub(crate) peer: Arc<Peer>,
    pub(crate) trace: Trace,
    /// This gateway's span in the trace.
    pub(crate) span: [u8; 8],
    pub(crate) surface: Surface,
    /// Seed of what is left to chance for this request.
    pub(crate) chance: u64,
    /// On the monotonic clock.
    pub(crate) started: Duration,
    pub(crate) headers: HeaderMap,
}

pub(crate) fn accept(
    thread: &Thread,
    peer: &Arc<Peer>,
    surface: Surface,
    request: Request<Incoming>,
) -> Result<(Accepted, Incoming), Refused> {
    let started = thread.shared.clock.monotonic();
    let (head, body) = request.into_parts();
    let (request, trace, span, chance) =
        draw_ids(&head.headers).ok_or_else(|| RefusalKind::NoRandomness.unnamed())?;
    let refuse = |kind: RefusalKind| Err(kind.of(request));
    if head.method != Method::POST {
        return refuse(RefusalKind::Method { allowed: "POST" });
    }
    if let Some(found) = wrong_media_type(&head.headers) {
        return refuse(RefusalKind::MediaType { found });
    }
    let cap = thread.shared.options.body_bytes_max;
    if body.size_hint().lower() > cap as u64 {
        return refuse(RefusalKind::Body(CollectError::TooLarge { cap }));
    }
    let peer = Arc::clone(peer);
    Ok((Accepted { request, peer, trace, span, surface, chance, started, headers: head.headers }, body))
}

/// Ids and chance of a request: one draw from the crypto library's generator.
fn draw_ids(headers: &HeaderMap) -> Option<(RequestId, Trace, [u8; 8], u64)> {
    let mut random = [0u8; 48];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let (request, rest) = random.split_first_chunk::<16>()?;
    let (trace, rest) = rest.split_first_chunk::<16>()?;
    let (span, rest) = rest.split_first_chunk::<8>()?;
    let chance = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    Some((RequestId::from_bytes(*request), Trace::of(headers, *trace), *span, chance))
}

/// A body that is not plain JSON. Compressed bodies are refused: a kilobyte can unpack to a gigabyte.
fn wrong_media_type(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if let Some(encoding) = text(header::CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Some(format!("content-encoding {}", clipped(&encoding)));
    }
    match headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes) {
        Some(b"application/json") => None,
        Some(value) => {
            let essence = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            let json = essence.eq_ignore_ascii_case(b"application/json");
            (!json).then(|| clipped(&String::from_utf8_lossy(essence)))
        }
        None => Some("no content-type".to_owned()),
    }
}

fn clipped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
