//! Verifying a token against one issuer. Pure: keys, settings, time in; claims believed, or a refusal, out.

use crate::authenticated::Authenticated;
use crate::token::algorithm::Algorithm;
use crate::token::claims::Claims;
use crate::token::compact::Compact;
use crate::token::error::{TokenError, TokenRefusal};
use crate::token::key_set::{Found, KeySet};
use crate::token::settings::IssuerSettings;
use hermetic_clock::UnixMillis;
use hermetic_ledger::record::Credential;
use std::time::Duration;

/// Longest `sub` and `jti` that are remembered and recorded.
const ID_BYTES_MAX: usize = 256;

/// A token that verified.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) caller: Authenticated,
    /// Until when, leeway and greatest age included.
    pub(crate) until: UnixMillis,
    pub(crate) issued: Option<UnixMillis>,
    pub(crate) subject: String,
    pub(crate) id: Option<String>,
}

pub(crate) fn verify(
    settings: &IssuerSettings,
    keys: &KeySet,
    token: &Compact<'_>,
    now: UnixMillis,
) -> Result<Verified, TokenError> {
    signature(settings, keys, token).map_err(TokenRefusal::unproved)?;
    // From here on the claims are the issuer's words.
    let claims = &token.claims;
    let credential = credential(settings, claims).map_err(TokenRefusal::unproved)?;
    believe(settings, claims, &credential, now).map_err(|refusal| refusal.of(&credential))
}

/// The header's promises and the signature.
fn signature(settings: &IssuerSettings, keys: &KeySet, token: &Compact<'_>) -> Result<(), TokenRefusal> {
    let header = &token.header;
    let not_allowed = || TokenRefusal::Algorithm {
        allowed: settings.algorithms.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(", "),
        found: header.algorithm.chars().filter(char::is_ascii_alphanumeric).take(16).collect(),
    };
    let algorithm: Algorithm = header.algorithm.parse().map_err(|_| not_allowed())?;
    if !settings.algorithms.contains(&algorithm) {
        return Err(not_allowed());
    }
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if !settings.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
        return Err(TokenRefusal::Type { expected: settings.types.join(", ") });
    }
    let key = match keys.find(header.kid.as_deref(), algorithm) {
        Found::Key(key) => key,
        Found::Unknown => return Err(TokenRefusal::UnknownKey),
        Found::OtherAlgorithm => return Err(not_allowed()),
        Found::Ambiguous => return Err(TokenRefusal::Malformed { what: "the header names no key" }),
    };
    if key.verifies(algorithm, token.signed, &token.signature) {
        Ok(())
    } else {
        Err(TokenRefusal::Signature)
    }
}

fn credential(settings: &IssuerSettings, claims: &Claims) -> Result<Credential, TokenRefusal> {
    let short = |name: &str| claims.text(name).filter(|text| (1..=ID_BYTES_MAX).contains(&text.len()));
    let unfit = |name: &str| TokenRefusal::Claim { name: name.to_owned() };
    let subject = short("sub").ok_or_else(|| unfit("sub"))?.to_owned();
    let id =
        if claims.has("jti") { Some(short("jti").ok_or_else(|| unfit("jti"))?.to_owned()) } else { None };
    Ok(Credential::Token { issuer: settings.issuer.clone(), subject, id })
}

/// Time, audience, what must be there, and what it all comes to.
fn believe(
    settings: &IssuerSettings,
    claims: &Claims,
    credential: &Credential,
    now: UnixMillis,
) -> Result<Verified, TokenRefusal> {
    let missing = |name: &str| TokenRefusal::Claim { name: name.to_owned() };
    let (until, issued) = times(settings, claims, now)?;
    let audiences = claims.texts("aud").ok_or_else(|| missing("aud"))?;
    if !audiences.iter().any(|audience| settings.audiences.iter().any(|ours| ours == audience)) {
        return Err(TokenRefusal::Audience { expected: settings.audiences.join(", ") });
    }
    if let Some(name) = settings.require.iter().find(|name| !claims.has(name)) {
        return Err(missing(name));
    }
    let groups = match &settings.grants.groups_claim {
        Some(name) if claims.has(name) => claims.texts(name).ok_or_else(|| missing(name))?,
        _ => Vec::new(),
    };
    let groups = groups.into_iter().map(str::to_owned).collect();
    let grants = settings.grants.apply(&|name| claims.shown(name), groups).map_err(TokenRefusal::Grants)?;
    let (subject, id) = match credential {
        Credential::Token { subject, id, .. } => (subject.clone(), id.clone()),
        Credential::ApiKey { .. } | Credential::Certificate { .. } => (String::new(), None),
    };
    if settings.single_use && (id.is_none() || issued.is_none()) {
        return Err(missing(if id.is_none() { "jti" } else { "iat" }));
    }
    Ok(Verified { caller: Authenticated::new(credential.clone(), grants), until, issued, subject, id })
}

/// Until when the token counts, and when it was issued.
fn times(
    settings: &IssuerSettings,
    claims: &Claims,
    now: UnixMillis,
) -> Result<(UnixMillis, Option<UnixMillis>), TokenRefusal> {
    let missing = |name: &str| TokenRefusal::Claim { name: name.to_owned() };
    let leeway = millis(settings.leeway);
    // A token that never ends could not be taken back by waiting; every issuer of access tokens writes `exp`.
    let at = claims.millis("exp").flatten().ok_or_else(|| missing("exp"))?;
    let mut until = at.saturating_add(leeway);
    if now >= until {
        return Err(TokenRefusal::Expired { at });
    }
    let issued = match claims.millis("iat") {
        Some(None) => return Err(missing("iat")),
        Some(Some(at)) => Some(at),
        None => None,
    };
    let from = match claims.millis("nbf") {
        Some(None) => return Err(missing("nbf")),
        Some(Some(at)) => Some(at),
        None => None,
    };
    if let Some(at) = from.into_iter().chain(issued).find(|&at| at > now.saturating_add(leeway)) {
        return Err(TokenRefusal::NotYet { at });
    }
    if let Some(max) = settings.max_age {
        let issued = issued.ok_or_else(|| missing("iat"))?;
        let last = issued.saturating_add(millis(max)).saturating_add(leeway);
        if now >= last {
            return Err(TokenRefusal::TooOld { issued, max });
        }
        until = until.min(last);
    }
    Ok((until, issued))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
