//! The two answers. Both carry what a record needs to say why.

use crate::revision::Revision;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use std::sync::Arc;

/// Proof that policy said yes. Minted by this crate alone; cheap to clone.
#[derive(Debug, Clone)]
pub struct Permit(Arc<Grounds>);

/// What a decision rests on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grounds {
    pub(crate) policies: Vec<String>,
    pub(crate) revision: Arc<Revision>,
}

impl Permit {
    pub(crate) fn new(grounds: Grounds) -> Self {
        Self(Arc::new(grounds))
    }

    /// Ids of the policies that permitted, sorted.
    pub fn policies(&self) -> &[String] {
        &self.0.policies
    }

    /// Digest of the policy folder they came from.
    pub fn digest(&self) -> Digest {
        self.0.revision.digest
    }

    /// The state of the policy folder they came from.
    pub fn revision(&self) -> &Revision {
        &self.0.revision
    }
}

/// Policy said no.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub reason: RefusalReason,
    grounds: Arc<Grounds>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    #[error("no policy permits this subject to use this model on this surface")]
    NotPermitted,
    #[error("a policy forbids this subject to use this model on this surface")]
    Forbidden,
    #[error("a policy could not be evaluated, so the request is denied")]
    Unevaluable,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason, grounds: Grounds) -> Self {
        Self { reason, grounds: Arc::new(grounds) }
    }

    /// Ids of the policies that forbade, or that could not be evaluated; none when nothing permitted.
    pub fn policies(&self) -> &[String] {
        &self.grounds.policies
    }

    pub fn digest(&self) -> Digest {
        self.grounds.revision.digest
    }

    /// The state of the policy folder they came from.
    pub fn revision(&self) -> &Revision {
        &self.grounds.revision
    }
}

impl Diagnose for Refusal {
    fn code(&self) -> Code {
        match self.reason {
            RefusalReason::NotPermitted => Code::new("E0920"),
            RefusalReason::Forbidden => Code::new("E0921"),
            RefusalReason::Unevaluable => Code::new("E0922"),
        }
    }
}
