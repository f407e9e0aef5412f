//! A question put together by a person: on the command line, or in a file of test cases.

use super::PolicyError;
use crate::serving::plans::kind_of;
use crate::serving::profiles::Profiles;
use hermetic_config::{Config, ModelSource};
use hermetic_digest::Digest;
use hermetic_ids::{
    GroupName, Label, ModelKind, ModelName, ProjectName, SubjectName, TeamName, WorkflowName,
};
use hermetic_inference_api::Surface;
use hermetic_policy::{Action, Circumstances, ModelFacts, Principal, Question};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What somebody states; the rest has its default.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Stated {
    /// Who asks.
    #[arg(long)]
    subject: Option<SubjectName>,
    #[arg(long)]
    project: Option<ProjectName>,
    #[arg(long)]
    team: Option<TeamName>,
    #[arg(long)]
    workflow: Option<WorkflowName>,
    /// A group the caller is in; may be given more than once.
    #[arg(long = "group")]
    #[serde(deserialize_with = "some")]
    groups: Option<Vec<GroupName>>,
    /// The level the caller is cleared to.
    #[arg(long)]
    clearance: Option<String>,
    /// How the caller is identified: `api-key`, `token` or `certificate`.
    #[arg(long)]
    credential: Option<String>,
    /// What the credential says besides, as NAME=VALUE; may be given more than once.
    #[arg(long = "principal-metadata", value_name = "NAME=VALUE")]
    #[serde(deserialize_with = "pairs")]
    principal_metadata: Option<Vec<Pair>>,
    /// The surface: `chat.completions`, `completions` or `embeddings`.
    #[arg(long)]
    surface: Option<String>,
    /// Whether to ask for a stream.
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    stream: Option<bool>,
    /// How the caller classifies the request.
    #[arg(long)]
    classification: Option<String>,
    /// The request's own metadata, as NAME=VALUE; may be given more than once.
    #[arg(long = "metadata", value_name = "NAME=VALUE")]
    #[serde(deserialize_with = "pairs")]
    metadata: Option<Vec<Pair>>,
    /// The model asked for. What the configuration says of it is taken from there.
    #[arg(long)]
    model: Option<ModelName>,
    /// `chat` or `embedding`.
    #[arg(long)]
    kind: Option<String>,
    /// Digest of the weights. An embedded model without one stands for a verified release.
    #[arg(long)]
    digest: Option<Digest>,
    /// A label of the versions that may answer; may be given more than once.
    #[arg(long = "label")]
    #[serde(deserialize_with = "some")]
    labels: Option<Vec<Label>>,
    /// `embedded`, `endpoint` or `mixed`.
    #[arg(long)]
    target: Option<String>,
    /// The highest level of data the model may see.
    #[arg(long = "model-classification")]
    model_classification: Option<String>,
    /// A tag of the model, as NAME=VALUE; may be given more than once.
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    #[serde(deserialize_with = "pairs")]
    tags: Option<Vec<Pair>>,
    /// `explain` asks whether the caller may be told how decisions come about, `batch` whether a line of a batch may ask,
    /// `store` whether a response may be kept; else the surface is asked for.
    #[arg(long)]
    action: Option<String>,
}

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair(String, String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| "expected NAME=VALUE".to_owned())?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Pair>>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(from)?;
    Ok(Some(map.into_iter().map(|(name, value)| Pair(name, value)).collect()))
}

impl Stated {
    /// What is stated here, and where nothing is, what `other` states.
    pub(super) fn or(self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            subject: self.subject.or(other.subject),
            project: self.project.or(other.project),
            team: self.team.or(other.team),
            workflow: self.workflow.or(other.workflow),
            groups: self.groups.or(other.groups),
            clearance: self.clearance.or(other.clearance),
            credential: self.credential.or(other.credential),
            principal_metadata: self.principal_metadata.or(other.principal_metadata),
            surface: self.surface.or(other.surface),
            stream: self.stream.or(other.stream),
            classification: self.classification.or(other.classification),
            metadata: self.metadata.or(other.metadata),
            model: self.model.or(other.model),
            kind: self.kind.or(other.kind),
            digest: self.digest.or(other.digest),
            labels: self.labels.or(other.labels),
            target: self.target.or(other.target),
            model_classification: self.model_classification.or(other.model_classification),
            tags: self.tags.or(other.tags),
            action: self.action.or(other.action),
        }
    }

    /// What the configuration says of the model that is asked for.
    pub(super) fn of_config(&self, config: &Config) -> Self {
        let configured = config.models.iter().find(|model| Some(&model.name) == self.model.as_ref());
        let Some(model) = configured else { return Self::default() };
        let kind = match &model.source {
            // An artifact says it itself, in the registry.
            ModelSource::Artifact { .. } => None,
            ModelSource::Endpoint { kind, .. } => Some(*kind),
            ModelSource::Targets(several) => Some(several.kind),
        };
        let profile = Profiles::of(&config.models).get(&model.name);
        let tags = profile.tags.iter().map(|(name, value)| Pair(name.clone(), value.clone()));
        Self {
            kind: kind.map(|kind| kind_of(kind).to_string()),
            labels: Some(profile.labels.clone()),
            target: Some(profile.runs.as_str().to_owned()),
            model_classification: profile.classification.as_ref().map(ToString::to_string),
            tags: Some(tags.collect()),
            ..Self::default()
        }
    }

    /// The whole question.
    pub(super) fn complete(self) -> Result<Asked, PolicyError> {
        let missing = |what| PolicyError::Incomplete { what };
        let surface = self.surface.unwrap_or_else(|| Action::ChatCompletions.as_str().to_owned());
        let action = match self.action.as_deref() {
            Some("explain") => Some(Action::Explain),
            Some("batch") => Some(Action::Batch),
            Some("store") => Some(Action::Store),
            Some(_) => None,
            None => Action::of_surface(&surface),
        };
        let target = self.target.unwrap_or_else(|| "embedded".to_owned());
        let released = (target == "embedded").then(|| Digest::of(b""));
        let kind = self
            .kind
            .unwrap_or_else(|| Surface::of_name(&surface).map_or(ModelKind::Chat, Surface::kind).to_string());
        Ok(Asked {
            subject: self.subject.ok_or(missing("subject"))?,
            project: self.project.ok_or(missing("project"))?,
            team: self.team.ok_or(missing("team"))?,
            workflow: self.workflow.ok_or(missing("workflow"))?,
            groups: self.groups.unwrap_or_default(),
            clearance: self.clearance,
            credential: self.credential.unwrap_or_else(|| "api-key".to_owned()),
            principal_metadata: plain(self.principal_metadata),
            action: action.ok_or(missing("surface: the name of one, as records have it"))?,
            surface,
            stream: self.stream.unwrap_or(false),
            classification: self.classification,
            metadata: plain(self.metadata),
            model: self.model.ok_or(missing("model"))?,
            kind,
            digest: self.digest.or(released),
            labels: self.labels.unwrap_or_else(|| "production".parse().into_iter().collect()),
            target,
            model_classification: self.model_classification,
            tags: plain(self.tags),
        })
    }
}

fn plain(pairs: Option<Vec<Pair>>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = pairs.into_iter().flatten().map(|Pair(name, value)| (name, value)).collect();
    pairs.sort_unstable();
    pairs
}

/// A question that owns what it asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Asked {
    pub(super) subject: SubjectName,
    pub(super) project: ProjectName,
    pub(super) team: TeamName,
    pub(super) workflow: WorkflowName,
    pub(super) groups: Vec<GroupName>,
    pub(super) clearance: Option<String>,
    pub(super) credential: String,
    pub(super) principal_metadata: Vec<(String, String)>,
    #[serde(serialize_with = "action")]
    pub(super) action: Action,
    pub(super) surface: String,
    pub(super) stream: bool,
    pub(super) classification: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) model: ModelName,
    pub(super) kind: String,
    pub(super) digest: Option<Digest>,
    pub(super) labels: Vec<Label>,
    pub(super) target: String,
    pub(super) model_classification: Option<String>,
    pub(super) tags: Vec<(String, String)>,
}

fn action<S: serde::Serializer>(action: &Action, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(action.as_str())
}

impl Asked {
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            principal: Principal {
                subject: &self.subject,
                project: &self.project,
                team: &self.team,
                workflow: &self.workflow,
                groups: &self.groups,
                clearance: self.clearance.as_deref(),
                credential: &self.credential,
                metadata: &self.principal_metadata,
            },
            action: self.action,
            model: ModelFacts {
                name: &self.model,
                kind: &self.kind,
                digest: self.digest,
                labels: &self.labels,
                target: &self.target,
                classification: self.model_classification.as_deref(),
                tags: &self.tags,
            },
            circumstances: Circumstances {
                surface: &self.surface,
                stream: self.stream,
                classification: self.classification.as_deref(),
                metadata: &self.metadata,
            },
        }
    }

    /// In words.
    pub(super) fn lines(&self, levels: &hermetic_policy::Levels) -> Vec<String> {
        let level =
            |stated: &Option<String>| stated.clone().unwrap_or_else(|| levels.default_name().to_owned());
        let listed = |items: Vec<String>, none: &str| {
            if items.is_empty() { none.to_owned() } else { items.join(", ") }
        };
        let pairs =
            |pairs: &[(String, String)]| pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        let groups = listed(self.groups.iter().map(ToString::to_string).collect(), "no group");
        let labels = listed(self.labels.iter().map(ToString::to_string).collect(), "no label");
        let mut lines = vec![
            format!(
                "who        {} of project {}, team {}, workflow {}; {groups}; cleared up to {}; by {}",
                self.subject,
                self.project,
                self.team,
                self.workflow,
                level(&self.clearance),
                self.credential
            ),
            format!(
                "what       {}{} on {} ({}, {}, {labels}; may see up to {})",
                self.surface,
                if self.stream { " as a stream" } else { "" },
                self.model,
                self.kind,
                self.target,
                level(&self.model_classification)
            ),
            format!("classified {}", level(&self.classification)),
        ];
        for (name, said) in
            [("metadata", &self.metadata), ("of caller", &self.principal_metadata), ("tags", &self.tags)]
        {
            if !said.is_empty() {
                lines.push(format!("{name:<10} {}", pairs(said).join(", ")));
            }
        }
        lines
    }
}
