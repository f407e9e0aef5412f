//! The policies in force, and the decisions already made under them.
//!
//! A decision depends on nothing but the principal, the action, the model's facts and the policies, so it can be
//! remembered until the policies change; a request then pays a hash and a comparison instead of an evaluation. New
//! policies come with an empty memory of their own, in one swap: no decision of the old set outlives it.

use crate::decision::{Permit, Refusal};
use crate::policies::Policies;
use crate::question::{Action, Question};
use arc_swap::ArcSwap;
use hermetic_digest::Digest;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

/// Decisions remembered. When it is full it is emptied: a site has as many as keys × models, far below this, so
/// reaching it means somebody makes up subjects, and forgetting costs an evaluation, never a wrong answer.
pub const DECISIONS_MAX: usize = 65_536;

/// Answers questions under the policies in force. Shared by reference between threads.
#[derive(Debug)]
pub struct Authorizer {
    current: ArcSwap<InForce>,
}

#[derive(Debug)]
struct InForce {
    policies: Policies,
    decisions: RwLock<HashMap<u64, Vec<Remembered>>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Remembered {
    question: OwnedQuestion,
    answer: Result<Permit, Refusal>,
}

impl Authorizer {
    pub fn new(policies: Policies) -> Self {
        Self { current: ArcSwap::from_pointee(InForce::new(policies)) }
    }

    /// Puts other policies in force. Requests that are being decided finish under the old ones.
    pub fn replace(&self, policies: Policies) {
        self.current.store(Arc::new(InForce::new(policies)));
    }

    /// Digest of the policies in force.
    pub fn digest(&self) -> Digest {
        self.current.load().policies.digest()
    }

    /// [`Policies::decide`] under the policies in force, remembered.
    pub fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        self.current.load().decide(question)
    }
}

impl InForce {
    fn new(policies: Policies) -> Self {
        Self { policies, decisions: RwLock::default(), hasher: RandomState::new() }
    }

    fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        let hash = self.hasher.hash_one(KeyParts::of(question));
        if let Some(answer) = self.recall(hash, question) {
            return answer;
        }
        let answer = self.policies.decide(question);
        let mut decisions = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= DECISIONS_MAX {
            decisions.clear();
        }
        let remembered = Remembered { question: OwnedQuestion::of(question), answer: answer.clone() };
        decisions.entry(hash).or_default().push(remembered);
        answer
    }

    fn recall(&self, hash: u64, question: &Question<'_>) -> Option<Result<Permit, Refusal>> {
        let decisions = self.decisions.read().unwrap_or_else(PoisonError::into_inner);
        let candidates = decisions.get(&hash)?;
        candidates.iter().find(|c| c.question.is(question)).map(|c| c.answer.clone())
    }
}

/// Everything a decision depends on, borrowed.
#[derive(Debug, Hash, PartialEq, Eq)]
struct KeyParts<'a> {
    owner: [&'a str; 4],
    action: Action,
    model: &'a str,
    kind: &'static str,
    digest: Option<Digest>,
}

impl<'a> KeyParts<'a> {
    fn of(question: &Question<'a>) -> Self {
        let principal = question.principal;
        Self {
            owner: [
                principal.subject.as_str(),
                principal.project.as_str(),
                principal.team.as_str(),
                principal.workflow.as_str(),
            ],
            action: question.action,
            model: question.model.name.as_str(),
            kind: question.model.kind,
            digest: question.model.digest.copied(),
        }
    }
}

/// [`KeyParts`], owned.
#[derive(Debug)]
struct OwnedQuestion {
    owner: [String; 4],
    action: Action,
    model: String,
    kind: &'static str,
    digest: Option<Digest>,
}

impl OwnedQuestion {
    fn of(question: &Question<'_>) -> Self {
        let parts = KeyParts::of(question);
        Self {
            owner: parts.owner.map(str::to_owned),
            action: parts.action,
            model: parts.model.to_owned(),
            kind: parts.kind,
            digest: parts.digest,
        }
    }

    fn is(&self, question: &Question<'_>) -> bool {
        let owner = [&*self.owner[0], &*self.owner[1], &*self.owner[2], &*self.owner[3]];
        let mine =
            KeyParts { owner, action: self.action, model: &self.model, kind: self.kind, digest: self.digest };
        mine == KeyParts::of(question)
    }
}
