//! What is configured for one issuer.

use crate::grants::GrantRules;
use crate::token::algorithm::Algorithm;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// One issuer whose tokens count here.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Compared with the `iss` claim byte by byte.
    pub issuer: String,
    /// One of them must be in the `aud` claim.
    pub audiences: Vec<String>,
    pub keys: KeySource,
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` headers, without `application/`, in any case. A token without one is accepted where `JWT` is.
    pub types: Vec<String>,
    /// How far the issuer's clock may be from this machine's.
    pub leeway: Duration,
    /// Longest time since a token was issued, whatever its own expiry says.
    pub max_age: Option<Duration>,
    /// Claims that must be there.
    pub require: Vec<String>,
    /// A token lets one request in.
    pub single_use: bool,
    /// How often the keys are fetched again.
    pub refresh: Duration,
    pub grants: GrantRules,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// From where the issuer's own discovery document says (OpenID Connect Discovery §4).
    Discovery(Url),
    Uri(Url),
    /// A file somebody brings in.
    File(PathBuf),
}
