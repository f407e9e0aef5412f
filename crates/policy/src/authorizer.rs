//! The policies in force, and the decisions already made under them.
//!
//! A decision depends on nothing but the facts the policies read, so it can be remembered until the policies change; a
//! request then pays a hash and a comparison instead of an evaluation. New policies come with an empty memory of their
//! own, in one swap: no decision of the old set outlives it.

use crate::decision::{Permit, Refusal};
use crate::levels::Levels;
use crate::policies::Policies;
use crate::question::Question;
use crate::reads::Key;
use crate::revision::Revision;
use arc_swap::ArcSwap;
use hermetic_digest::Digest;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Decisions remembered. When it is full it is emptied: a site has as many as combinations of the facts its policies
/// read, far below this, so reaching it means somebody makes up facts, and forgetting costs an evaluation, never a
/// wrong answer.
pub const DECISIONS_MAX: usize = 65_536;

/// A question with more bytes than this that policies read is decided anew each time, so that what is remembered holds
/// at most 64 MiB of keys, whatever callers put into their metadata.
const KEY_BYTES_MAX: usize = 1_024;

/// Answers questions under the policies in force. Shared by reference between threads.
#[derive(Debug)]
pub struct Authorizer {
    current: ArcSwap<InForce>,
}

/// By the bytes of what each depends on ([`Key`]).
type Decisions = HashMap<Box<[u8]>, Result<Permit, Refusal>>;

#[derive(Debug)]
struct InForce {
    policies: Arc<Policies>,
    decisions: RwLock<Decisions>,
}

impl Authorizer {
    pub fn new(policies: Policies) -> Self {
        Self { current: ArcSwap::from_pointee(InForce::new(policies)) }
    }

    /// Puts other policies in force. Requests that are being decided finish under the old ones.
    pub fn replace(&self, policies: Policies) {
        self.current.store(Arc::new(InForce::new(policies)));
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.current.load().policies)
    }

    /// Digest of the policies in force.
    pub fn digest(&self) -> Digest {
        self.current.load().policies.digest()
    }

    /// The state of the policy folder in force.
    pub fn revision(&self) -> Revision {
        self.current.load().policies.revision().clone()
    }

    /// The classification levels the policies in force know.
    pub fn with_levels<T>(&self, look: impl FnOnce(&Levels) -> T) -> T {
        look(self.current.load().policies.levels())
    }

    /// [`Policies::decide`] under the policies in force, remembered.
    pub fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        self.current.load().decide(question)
    }
}

impl InForce {
    fn new(policies: Policies) -> Self {
        Self { policies: Arc::new(policies), decisions: RwLock::default() }
    }

    fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        let key = Key::of(self.policies.reads(), question, self.policies.levels());
        if let Some(answer) = self.recall(&key) {
            return answer;
        }
        let answer = self.policies.decide(question);
        if key.as_bytes().len() <= KEY_BYTES_MAX {
            let mut decisions = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
            if decisions.len() >= DECISIONS_MAX {
                decisions.clear();
            }
            decisions.insert(key.into_boxed(), answer.clone());
        }
        answer
    }

    fn recall(&self, key: &Key) -> Option<Result<Permit, Refusal>> {
        let decisions = self.decisions.read().unwrap_or_else(PoisonError::into_inner);
        decisions.get(key.as_bytes()).cloned()
    }
}
