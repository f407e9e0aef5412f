//! What an export tells whoever watches it, and how it is told to stop.

/// Where an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Prepare,
    Collect,
    Assemble,
    Sign,
    Check,
}

impl Stage {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Prepare => "preparing",
            Self::Collect => "collecting",
            Self::Assemble => "assembling",
            Self::Sign => "signing",
            Self::Check => "checking",
        }
    }
}

/// Someone who watches an export.
pub trait Progress: Sync {
    fn stage(&self, _stage: Stage) {}
    /// How many bytes will be read and hashed in all.
    fn total(&self, _bytes: u64) {}
    /// Bytes that were read and hashed since the last call.
    fn advance(&self, _bytes: u64) {}
    /// Whether to stop. Asked at least once a mebibyte.
    fn stopped(&self) -> bool {
        false
    }
}

/// Nobody watches, nobody stops it.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Progress for Unwatched {}
