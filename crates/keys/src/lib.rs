//! Ed25519 signing keys, and plain secrets, on disk.
//!
//! What it is for: one way to make, keep, load and use a signing key, so that its file is always private, always
//! whole, and its secret half never leaves the type. What it must not know: what is signed (checkpoints, TUF metadata,
//! release statements are their own crates' business).
//!
//! Invariants:
//! - a key file is PKCS#8 in PEM (RFC 5958, RFC 7468, RFC 8410), mode 0600, written whole or not at all, and never
//!   written over an existing key;
//! - [`SigningKey`] prints and logs its public half only, and is wiped by the crypto library when dropped;
//! - a file that others may read is refused, not used quietly.

mod error;
mod pem;
mod public;
mod secret;
mod signing;

pub use error::KeyError;
pub use public::{PUBLIC_KEY_BYTES, PublicKey, SIGNATURE_BYTES, SignatureMismatch};
pub use secret::Secret;
pub use signing::SigningKey;
