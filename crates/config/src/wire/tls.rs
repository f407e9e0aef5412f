//! `gateway.tls`: certificates of both sides.

use crate::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the certificate of this service, followed by those between it and its authority. This file and
    /// those below are looked at every second and taken over when all of them fit together. A relative path is relative
    /// to the folder of this file.
    #[schemars(extend("format" = "path", "examples" = ["gateway.pem"]))]
    pub(crate) certificate: String,
    /// PEM file with the private key that belongs to it.
    #[schemars(extend("format" = "path", "examples" = ["gateway-key.pem"]))]
    pub(crate) key: String,
    /// PEM file with the authorities whose client certificates count. Without one, none do.
    #[serde(default)]
    #[schemars(extend("format" = "path", "examples" = ["clients-ca.pem"]))]
    pub(crate) client_ca: Option<String>,
    /// Whether callers show a certificate.
    #[serde(default)]
    pub(crate) client_certificates: ClientCertificates,
    /// Files with revocation lists (PEM or DER) of the authorities in `client_ca` and of those below them. With any,
    /// every client certificate must be covered by one.
    #[serde(default)]
    #[schemars(extend("examples" = [["clients.crl"]]))]
    pub(crate) crl: Vec<PathText>,
    /// What happens when a revocation list is past the date of its next one.
    #[serde(default)]
    pub(crate) crl_overdue: CrlOverdue,
    /// Time for a handshake. Ends connections that trickle.
    #[serde(default = "default_handshake_timeout")]
    pub(crate) handshake_timeout: HumanDuration,
    /// Handshakes in flight at the same time; one more connection is closed. 256: a handshake is a few signatures, and
    /// what waits longer than the timeout is lost anyway.
    #[serde(default = "default_handshakes")]
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) handshakes: u32,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "path"))]
pub(crate) struct PathText(pub(crate) String);

/// Whether callers show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// One that is shown must count; without one, an API key or a token lets in.
    Optional,
    /// Without one that counts there is no connection.
    Required,
}

/// What happens when a revocation list is overdue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CrlOverdue {
    /// Certificates of its authority are refused: a revocation might have been missed.
    #[default]
    Refuse,
    /// The list counts as it is, and the log says so.
    Accept,
}

fn default_handshake_timeout() -> HumanDuration {
    HumanDuration::from_millis(10_000)
}

fn default_handshakes() -> u32 {
    256
}
