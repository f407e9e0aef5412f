//! What is asked: may this principal do this to that model, under these circumstances?

use hermetic_digest::Digest;
use hermetic_ids::{GroupName, Label, ModelName, ProjectName, SubjectName, TeamName, WorkflowName};

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    pub subject: &'a SubjectName,
    pub project: &'a ProjectName,
    pub team: &'a TeamName,
    pub workflow: &'a WorkflowName,
    /// Groups the identity source vouches for.
    pub groups: &'a [GroupName],
    /// Up to which level the principal is cleared; `None`: the site's default.
    pub clearance: Option<&'a str>,
    /// How the principal was identified: `api-key`, `token`, `certificate`.
    pub credential: &'a str,
    /// Whatever the credential says of the principal besides.
    pub metadata: &'a [(String, String)],
}

/// What is to be done: one per API surface, and asking why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    ChatCompletions,
    Completions,
    Embeddings,
    Messages,
    Responses,
    Rerank,
    Transcriptions,
    Translations,
    ImageGenerations,
    ImageEdits,
    /// To be told, with the answer, how the decision came about.
    Explain,
    /// To have requests answered later, from a file: asked besides the surface's own action, for each of its lines.
    Batch,
    /// To have responses kept, for being looked at and gone on from: asked besides the surface's own action.
    Store,
}

impl Action {
    pub const ALL: [Self; 13] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::Responses,
        Self::Rerank,
        Self::Transcriptions,
        Self::Translations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::Explain,
        Self::Batch,
        Self::Store,
    ];

    /// As written in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Rerank => "rerank",
            Self::Transcriptions => "audio.transcriptions",
            Self::Translations => "audio.translations",
            Self::ImageGenerations => "images.generations",
            Self::ImageEdits => "images.edits",
            Self::Explain => "explain",
            Self::Batch => "batch",
            Self::Store => "store",
        }
    }

    /// The action of an API surface, as records name it.
    pub fn of_surface(surface: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.is_surface() && action.as_str() == surface)
    }

    /// Whether policies count it as `generate`.
    pub fn generates(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Messages | Self::Responses => true,
            Self::Embeddings
            | Self::Rerank
            | Self::Transcriptions
            | Self::Translations
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Explain
            | Self::Batch
            | Self::Store => false,
        }
    }

    /// Whether policies count it as `infer`.
    pub fn is_surface(self) -> bool {
        !matches!(self, Self::Explain | Self::Batch | Self::Store)
    }
}

/// What a policy may know of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts<'a> {
    pub name: &'a ModelName,
    /// `chat`, `embedding`, `rerank`, `transcription` or `image`.
    pub kind: &'a str,
    pub digest: Option<Digest>,
    /// Labels of the versions that may answer: `production`, `canary`.
    pub labels: &'a [Label],
    /// `embedded`, `endpoint`, or `mixed` where some targets are one and some the other.
    pub target: &'a str,
    /// The highest level of data the model may see; `None`: the site's default.
    pub classification: Option<&'a str>,
    /// Whatever the configuration says of it besides.
    pub tags: &'a [(String, String)],
}

/// What a policy may know of the request itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// The API surface, also where the action is none.
    pub surface: &'a str,
    pub stream: bool,
    /// How the caller classified the request; `None`: the site's default.
    pub classification: Option<&'a str>,
    /// The request's own `metadata`.
    pub metadata: &'a [(String, String)],
}

#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub principal: Principal<'a>,
    pub action: Action,
    pub model: ModelFacts<'a>,
    pub circumstances: Circumstances<'a>,
}
