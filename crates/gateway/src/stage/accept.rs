//! Accept: what can be said of a request before its body is read.

use crate::batches::Ticket;
use crate::collect::CollectError;
use crate::context::Thread;
use crate::explanation::Explanation;
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use crate::trace::Trace;
use hermetic_ids::RequestId;
use hermetic_inference_api::{Form, Surface};
use hermetic_ledger::record::BatchLine;
use http::{HeaderMap, Method, Request, header};
use http_body::Body;
use hyper::body::Incoming;
use std::cell::Cell;
use std::rc::Rc;
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
    /// Where the caller asked to be told how the answer came about.
    pub(crate) explanation: Option<Explanation>,
    /// The line of a batch that it stands for.
    pub(crate) ticket: Option<Box<Ticket>>,
    /// Counted until the request has ended.
    pub(crate) _load: Load,
}

impl Accepted {
    /// The line of a batch that it stands for, as records name it.
    pub(crate) fn batch_line(&self) -> Option<BatchLine> {
        self.ticket.as_deref().map(Ticket::line)
    }
}

/// One of a thread's requests.
#[derive(Debug)]
pub(crate) struct Load(Rc<Cell<usize>>);

impl Load {
    /// A place for one more request, unless the thread has enough of them or is behind with them.
    fn admit(thread: &Thread) -> Result<Self, RefusalKind> {
        let (max, lag_max, threads) = {
            let options = thread.shared.options();
            (options.requests_max, options.lag_max, options.threads.max(1))
        };
        if thread.lag.is_over(lag_max) {
            return Err(RefusalKind::Lagging);
        }
        // The kernel spreads connections over the threads, and with them the requests.
        if thread.requests.get() >= max.div_ceil(threads) {
            return Err(RefusalKind::TooManyRequests { max });
        }
        thread.requests.set(thread.requests.get() + 1);
        Ok(Self(Rc::clone(&thread.requests)))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub(crate) fn accept(
    thread: &Thread,
    peer: &Arc<Peer>,
    surface: Surface,
    request: Request<Incoming>,
) -> Result<(Accepted, Incoming), Refused> {
    let started = thread.shared.clock.monotonic();
    let (mut head, body) = request.into_parts();
    let explanation = head.extensions.remove::<Explanation>();
    let (request, trace, span, chance) =
        draw_ids(&head.headers).ok_or_else(|| RefusalKind::NoRandomness.unnamed())?;
    let refuse = |kind: RefusalKind| Err(kind.of(request));
    let load = Load::admit(thread).map_err(|kind| kind.of(request))?;
    if head.method != Method::POST {
        return refuse(RefusalKind::Method { allowed: "POST" });
    }
    let form = surface.call().form();
    if let Some(found) = wrong_media_type(&head.headers, form) {
        return refuse(RefusalKind::MediaType { expected: media_type(form), found });
    }
    if let Some(found) = doubtful_framing(&head.headers) {
        return refuse(RefusalKind::Framing { found });
    }
    let cap = thread.shared.options().body_bytes_max;
    if body.size_hint().lower() > cap as u64 {
        return refuse(RefusalKind::Body(CollectError::TooLarge { cap }));
    }
    let (peer, headers) = (Arc::clone(peer), head.headers);
    let ticket = None;
    let accepted = Accepted {
        request,
        peer,
        trace,
        span,
        surface,
        chance,
        started,
        headers,
        explanation,
        ticket,
        _load: load,
    };
    Ok((accepted, body))
}

/// A line of a batch: a request that nobody holds a connection for. It has an id of its own each time it is asked.
pub(crate) fn line(
    thread: &Thread,
    surface: Surface,
    headers: HeaderMap,
    ticket: Ticket,
) -> Result<Accepted, Refused> {
    let started = thread.shared.clock.monotonic();
    let (request, trace, span, chance) =
        draw_ids(&headers).ok_or_else(|| RefusalKind::NoRandomness.unnamed())?;
    let load = Load::admit(thread).map_err(|kind| kind.of(request))?;
    Ok(Accepted {
        request,
        peer: Arc::new(Peer::nobody()),
        trace,
        span,
        surface,
        chance,
        started,
        headers,
        explanation: None,
        ticket: Some(Box::new(ticket)),
        _load: load,
    })
}

/// Ids and chance of a request: one draw from the crypto library's generator.
pub(crate) fn draw_ids(headers: &HeaderMap) -> Option<(RequestId, Trace, [u8; 8], u64)> {
    let mut random = [0u8; 48];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let (request, rest) = random.split_first_chunk::<16>()?;
    let (trace, rest) = rest.split_first_chunk::<16>()?;
    let (span, rest) = rest.split_first_chunk::<8>()?;
    let chance = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    Some((RequestId::from_bytes(*request), Trace::of(headers, *trace), *span, chance))
}

/// Where one server could see another end of the request than the next, a second request could be hidden in it (request
/// smuggling). hyper refuses what is malformed; here goes what is allowed by RFC 9112 and sent by nobody.
fn doubtful_framing(headers: &HeaderMap) -> Option<String> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        (Some(coding), _) => {
            return Some(format!(
                "transfer-encoding {}",
                clipped(&String::from_utf8_lossy(coding.as_bytes()))
            ));
        }
    }
    (headers.get_all(header::HOST).iter().count() > 1).then(|| "more than one host".to_owned())
}

fn media_type(form: Form) -> &'static str {
    match form {
        Form::Json => "application/json",
        Form::Multipart => "multipart/form-data",
    }
}

/// A body of another form. Compressed bodies are refused: a kilobyte can unpack to a gigabyte.
fn wrong_media_type(headers: &HeaderMap, form: Form) -> Option<String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if let Some(encoding) = text(header::CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Some(format!("content-encoding {}", clipped(&encoding)));
    }
    let expected = media_type(form).as_bytes();
    match headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes) {
        Some(found) if found == expected => None,
        Some(value) => {
            let essence = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            let wrong = !essence.eq_ignore_ascii_case(expected);
            wrong.then(|| clipped(&String::from_utf8_lossy(essence)))
        }
        None => Some("no content-type".to_owned()),
    }
}

fn clipped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
