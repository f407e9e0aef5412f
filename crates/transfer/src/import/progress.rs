//! What an import tells whoever watches it.

use super::preflight::Plan;

/// Where an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    VerifyMetadata,
    Preflight,
    Copy,
    Check,
    Seal,
    Record,
}

impl Stage {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::VerifyMetadata => "verifying metadata",
            Self::Preflight => "preflight",
            Self::Copy => "copying and hashing",
            Self::Check => "reading and hashing",
            Self::Seal => "sealing",
            Self::Record => "recording",
        }
    }
}

/// Someone who watches an import. Called from several threads.
pub trait Progress: Sync {
    fn stage(&self, _stage: Stage) {}
    /// The plan, before a byte is copied.
    fn planned(&self, _plan: &Plan) {}
    /// How many bytes a check will read.
    fn total(&self, _bytes: u64) {}
    /// Bytes that were read and hashed since the last call.
    fn copied(&self, _bytes: u64) {}
    /// Parts that are now checked, synced and journaled.
    fn journaled(&self, _parts: usize) {}
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {}
