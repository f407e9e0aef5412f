//! Identify: on whose behalf. The proof, [`Authenticated`], is minted by `hermetic-identity` alone.

use crate::context::Thread;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::Accepted;
use hermetic_identity::{Authenticated, IdentifyError};
use http::{HeaderMap, header};

pub(crate) fn identify(thread: &Thread, accepted: &Accepted) -> Result<Authenticated, Refused> {
    identify_headers(thread, &accepted.headers)
        .map_err(|error| RefusalKind::Identity(error).of(accepted.request))
}

/// Also for the surfaces that answer without an engine, such as the list of models.
pub(crate) fn identify_headers(thread: &Thread, headers: &HeaderMap) -> Result<Authenticated, IdentifyError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(IdentifyError::Missing)?;
    let text = value.to_str().map_err(|_| IdentifyError::Malformed)?;
    let (scheme, presented) = text.split_once(' ').ok_or(IdentifyError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentifyError::Malformed);
    }
    thread.shared.keys.authenticate(presented.trim())
}
