//! An issuer's public keys: a JSON Web Key Set (RFC 7517).

use crate::token::algorithm::{Algorithm, PublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Largest key set that is read. Sixty-four RSA keys of 8,192 bits with certificates are less.
pub(crate) const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Keys taken from one set; issuers have two or three.
const KEYS_MAX: usize = 64;

/// Longest `kid` that is compared. Those in use are thumbprints or short names.
const KID_BYTES_MAX: usize = 256;

/// Shortest RSA modulus (NIST SP 800-131A: 2,048 bits).
const RSA_MODULUS_BYTES_MIN: usize = 256;
const RSA_MODULUS_BYTES_MAX: usize = 1024;

/// The keys of a set that can be used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<IssuerKey>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuerKey {
    kid: Option<String>,
    /// The one algorithm it may be used with, where the set says so.
    algorithm: Option<Algorithm>,
    pub(crate) key: PublicKey,
}

/// Why bytes are not a key set that is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("expected a JSON Web Key Set of at most {KEY_SET_BYTES_MAX} bytes, found {found}")]
    TooLarge { found: usize },
    #[error("expected a JSON Web Key Set (`{{\"keys\": […]}}`)")]
    Form,
    #[error("expected at least one public key for signatures in the key set, found none")]
    Empty,
}

/// How a search for a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'k> {
    Key(&'k PublicKey),
    /// No key of this name: perhaps the set is old.
    Unknown,
    /// There is a key of this name, and it is not for this algorithm.
    OtherAlgorithm,
    /// The token names no key and several fit.
    Ambiguous,
}

#[derive(Deserialize)]
struct WireSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys that are not for signatures, or of kinds that are not known here, are left out (RFC 7517 §5):
    /// issuers publish keys for other readers as well. A shared secret (`oct`) is never taken.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLarge { found: bytes.len() });
        }
        let set: WireSet = serde_json::from_slice(bytes).map_err(|_| KeySetError::Form)?;
        let keys: Vec<IssuerKey> = set
            .keys
            .into_iter()
            .filter_map(|key| IssuerKey::read(serde_json::from_value(key).ok()?))
            .take(KEYS_MAX)
            .collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    /// The key a token asks for by name, compared as text and nothing else: a `kid` is never a path, a query or a URL.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let fits = |key: &&IssuerKey| key.fits(algorithm);
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Found::Key(&key.key),
                (Some(_), Some(_)) => Found::Ambiguous,
                (None, _) => Found::OtherAlgorithm,
            };
        };
        let mut named = self.0.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Found::Unknown;
        }
        named.find(fits).map_or(Found::OtherAlgorithm, |key| Found::Key(&key.key))
    }
}

impl IssuerKey {
    fn read(wire: WireKey) -> Option<Self> {
        let for_signatures = wire.usage.as_deref().is_none_or(|usage| usage == "sig")
            && wire.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures || wire.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return None;
        }
        // An algorithm that is not known here rules the key out: it may not be used with another.
        let algorithm = wire.alg.as_deref().map(str::parse).transpose().ok()?;
        let key = match (wire.kty.as_str(), wire.crv.as_deref()) {
            ("RSA", _) => rsa(decoded(wire.n.as_ref())?, decoded(wire.e.as_ref())?)?,
            ("EC", Some("P-256")) => PublicKey::P256(point(&wire, 32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(&wire, 48)?),
            ("OKP", Some("Ed25519")) => {
                PublicKey::Ed25519(decoded(wire.x.as_ref()).filter(|key| key.len() == 32)?)
            }
            _ => return None,
        };
        let read = Self { kid: wire.kid, algorithm, key };
        // A key that contradicts itself (an EC key for RS256) is of no use.
        read.algorithm.is_none_or(|algorithm| read.key.fits(algorithm)).then_some(read)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.key.fits(algorithm)
    }
}

fn decoded(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<PublicKey> {
    let trimmed = |bytes: Vec<u8>| bytes.into_iter().skip_while(|&byte| byte == 0).collect::<Vec<u8>>();
    let (n, e) = (trimmed(n), trimmed(e));
    let fits =
        (RSA_MODULUS_BYTES_MIN..=RSA_MODULUS_BYTES_MAX).contains(&n.len()) && (1..=8).contains(&e.len());
    fits.then_some(PublicKey::Rsa { n, e })
}

fn point(wire: &WireKey, bytes: usize) -> Option<Vec<u8>> {
    let (x, y) = (decoded(wire.x.as_ref())?, decoded(wire.y.as_ref())?);
    (x.len() == bytes && y.len() == bytes).then(|| [&[4u8][..], &x, &y].concat())
}
