//! What is asked: may this principal do this to that model?

use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ProjectName, SubjectName, TeamName, WorkflowName};

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    pub subject: &'a SubjectName,
    pub project: &'a ProjectName,
    pub team: &'a TeamName,
    pub workflow: &'a WorkflowName,
}

/// What is to be done: one per API surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    ChatCompletions,
    Completions,
    Embeddings,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::ChatCompletions, Self::Completions, Self::Embeddings];

    /// As written in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }
}

/// What a policy may know of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts<'a> {
    pub name: &'a ModelName,
    /// `chat` or `embedding`.
    pub kind: &'static str,
    pub digest: Option<&'a Digest>,
}

#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub principal: Principal<'a>,
    pub action: Action,
    pub model: ModelFacts<'a>,
}
