//! Whether a bundle is what the vendor signed: TUF roles and thresholds, DSSE statements, the monotonic floor.
//!
//! What it is for: turning a folder of unverified metadata into a [`VerifiedRelease`], or into one precise reason why
//! not. TUF 1.0 is verified by `tough`; expiry is judged here, because an enclave's clock cannot be trusted ([`expiry`]).
//! What it must not know: sockets, where blobs go, what a release is for. Files only where `tough` insists: the
//! metadata folder of the bundle (read, capped, no links) and the datastore of what was trusted last.
//!
//! Invariants:
//! - a [`VerifiedRelease`] is made in one place, after every check;
//! - the pinned root changes only by [`TrustStore::pin`]: a bundle proposes a rotation, it never performs one;
//! - a release that is refused leaves the trusted datastore untouched ([`PendingTrust`] commits it);
//! - a role is met by distinct *keys*, not by distinct signatures or ids;
//! - the wall clock alone never refuses anything.

pub mod ceremony;
mod dsse;
mod error;
pub mod expiry;
mod release;
mod root;
pub mod signing;
mod transport;
mod trust_store;
mod tuf;
mod verify;

pub use error::{Role, TrustError};
pub use expiry::{Floor, Warning};
pub use release::VerifiedRelease;
pub use root::{RoleSummary, Root, RootError};
pub use trust_store::{PendingTrust, PinError, Pinning, TrustStore};
pub use verify::{Anchor, Verification, verify};
