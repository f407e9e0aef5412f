//! What policies may know of a model, besides its name, kind and digest.

use hermetic_ids::{Label, LevelName};

/// From the configuration and the registry. Shared by the requests that ask for the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelProfile {
    /// Labels of the versions that may answer; none for an engine outside the registry.
    pub labels: Vec<Label>,
    pub runs: Runs,
    /// The highest level of data the model may see; `None`: the site's default.
    pub classification: Option<LevelName>,
    /// Sorted by name, each once.
    pub tags: Vec<(String, String)>,
}

/// Where a model's engines run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runs {
    /// In workers of this service.
    #[default]
    Embedded,
    /// Behind endpoints inside the enclave.
    Endpoint,
    /// Some here, some there.
    Mixed,
}

impl Runs {
    /// As policies and records call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Endpoint => "endpoint",
            Self::Mixed => "mixed",
        }
    }
}
