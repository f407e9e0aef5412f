//! Identify: on whose behalf. The proof, [`Authenticated`], is minted by `hermetic-identity` alone.
//!
//! What is in the `Authorization` header decides; without one, the certificate of the connection does. A certificate
//! that is no longer in force ends every request of its connection, whatever else is presented.

use crate::context::Thread;
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::Accepted;
use crate::strangers;
use hermetic_identity::{ApiKey, Authenticated, IdentifyError, Standing};
use hermetic_ids::RequestId;
use http::{HeaderMap, HeaderName, header};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(crate) async fn identify(thread: &Thread, accepted: &Accepted) -> Result<Authenticated, Refused> {
    identify_headers(thread, &accepted.peer, &accepted.headers, Some(accepted.request)).await
}

/// Also for the surfaces that answer without an engine, such as the list of models.
pub(crate) async fn identify_headers(
    thread: &Thread,
    peer: &Peer,
    headers: &HeaderMap,
    request: Option<RequestId>,
) -> Result<Authenticated, Refused> {
    match whose(thread, peer, headers).await {
        Ok(who) => Ok(who),
        // Boxed, as other ways that few requests take: each of the others would carry the room for it around.
        Err(error) => Err(Box::pin(strangers::turn_away(thread, peer, request, error)).await),
    }
}

/// On whose behalf a line of a batch is asked, if whoever handed the batch in may still ask. Nobody presents anything, so
/// nobody is a stranger.
pub(crate) fn still(
    thread: &Thread,
    accepted: &Accepted,
    standing: &Standing,
) -> Result<Authenticated, Refused> {
    let who = thread.shared.identity.still(standing);
    who.map_err(|error| RefusalKind::Identity(error).of(accepted.request))
}

async fn whose(thread: &Thread, peer: &Peer, headers: &HeaderMap) -> Result<Authenticated, IdentifyError> {
    let shared = &thread.shared;
    let presented = presented(headers)?;
    shut_out(thread, peer, presented)?;
    let certificate = peer
        .certificate(shared.tls.as_ref(), shared.clock.unix_millis())
        .map_err(IdentifyError::Certificate)?;
    match (presented, certificate) {
        (Some(presented), _) => shared.identity.bearer(presented).await,
        (None, Some(certificate)) => shared.identity.certificate(certificate),
        (None, None) => Err(IdentifyError::Missing),
    }
}

fn shut_out(thread: &Thread, peer: &Peer, presented: Option<&str>) -> Result<(), IdentifyError> {
    let throttle = thread.shared.identity.throttle();
    if throttle.failing() == 0 {
        return Ok(());
    }
    let claimed = presented.and_then(|text| ApiKey::parse(text).ok()).map(|key| key.id());
    match throttle.shut_out(peer.source(), claimed, thread.shared.clock.monotonic()) {
        Some(wait) => Err(IdentifyError::ShutOut { wait }),
        None => Ok(()),
    }
}

/// The key or token of a request: in `Authorization` or, as Anthropic's SDKs send it, in `x-api-key`. Two that differ could
/// be read in two ways.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, IdentifyError> {
    let mut keys = headers.get_all(X_API_KEY).iter();
    let Some(key) = keys.next() else { return bearer(headers) };
    let key = key.to_str().map_err(|_| IdentifyError::Malformed)?.trim();
    let alone = keys.next().is_none() && bearer(headers)?.is_none_or(|bearer| bearer == key);
    if alone { Ok(Some(key)) } else { Err(IdentifyError::Malformed) }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, IdentifyError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Two of them could be read in two ways by two readers.
    if values.next().is_some() {
        return Err(IdentifyError::Malformed);
    }
    let text = value.to_str().map_err(|_| IdentifyError::Malformed)?;
    let (scheme, presented) = text.split_once(' ').ok_or(IdentifyError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentifyError::Malformed);
    }
    Ok(Some(presented.trim()))
}
