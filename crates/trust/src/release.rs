//! The proof that a release is the vendor's.

use crate::Role;
use crate::expiry::{Floor, Warning};
use hermetic_bundle::{Release, Statement};
use hermetic_clock::UnixMillis;
use hermetic_digest::Digest;

/// A release whose metadata and statement were verified from the pinned root down. Made by [`crate::verify`] alone;
/// importing asks for it.
///
/// It says that the *statement* is the vendor's. Everything else in the bundle is checked against the digests in it.
#[derive(Debug, Clone)]
pub struct VerifiedRelease {
    parts: Parts,
}

/// What [`crate::verify`] found; the private door to a [`VerifiedRelease`].
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) statement: Statement,
    pub(crate) digest: Digest,
    pub(crate) signers: Vec<String>,
    pub(crate) root_version: u64,
    pub(crate) floor: Floor,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) expiries: Vec<(Role, UnixMillis)>,
}

impl VerifiedRelease {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    pub fn release(&self) -> &Release {
        self.parts.statement.release()
    }

    /// Digest of the signed envelope: the name of this release in the ledger.
    pub fn digest(&self) -> Digest {
        self.parts.digest
    }

    /// Digest of the bundle's `index.json`.
    pub fn index(&self) -> Digest {
        self.parts.statement.index()
    }

    /// Digest of the part table.
    pub fn part_table(&self) -> Digest {
        self.parts.statement.part_table()
    }

    /// Ids of the keys that made the threshold over the statement.
    pub fn signers(&self) -> &[String] {
        &self.parts.signers
    }

    pub fn root_version(&self) -> u64 {
        self.parts.root_version
    }

    /// The latest moment there is proof of, this release's own creation included.
    pub fn floor(&self) -> Floor {
        self.parts.floor
    }

    /// When the vendor says the release was made: the signed time that raises the stored floor.
    pub fn created_unix_ms(&self) -> UnixMillis {
        self.release().created.unix_millis()
    }

    /// What a person should know although the release is allowed.
    pub fn warnings(&self) -> &[Warning] {
        &self.parts.warnings
    }

    /// When each role's metadata expires.
    pub fn expiries(&self) -> &[(Role, UnixMillis)] {
        &self.parts.expiries
    }
}
