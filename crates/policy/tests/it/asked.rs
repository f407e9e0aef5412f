//! Questions with everything they ask about, and the answers to them.

use hermetic_digest::Digest;
use hermetic_ids::{GroupName, Label};
use hermetic_policy::{
    Action, Authorizer, Circumstances, ModelFacts, Policies, PolicyFile, Principal, Question, RefusalReason,
};

pub(crate) type Answer = Result<Vec<String>, RefusalReason>;

pub(crate) fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.to_owned(), text: text.to_owned() }
}

/// Alice of the project `demo` chats with a released model.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) subject: String,
    pub(crate) project: String,
    pub(crate) team: String,
    pub(crate) workflow: String,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) clearance: Option<String>,
    pub(crate) credential: String,
    pub(crate) principal_metadata: Vec<(String, String)>,
    pub(crate) action: Action,
    pub(crate) model: String,
    pub(crate) kind: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) labels: Vec<Label>,
    pub(crate) target: String,
    pub(crate) model_classification: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) surface: String,
    pub(crate) stream: bool,
    pub(crate) classification: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Default for Asked {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            subject: text("alice"),
            project: text("demo"),
            team: text("eng"),
            workflow: text("docs"),
            groups: Vec::new(),
            clearance: None,
            credential: text("api-key"),
            principal_metadata: Vec::new(),
            action: Action::ChatCompletions,
            model: text("smollm2-135m"),
            kind: text("chat"),
            digest: Some(Digest::of(b"weights")),
            labels: vec!["production".parse().unwrap()],
            target: text("embedded"),
            model_classification: None,
            tags: Vec::new(),
            surface: text("chat.completions"),
            stream: false,
            classification: None,
            metadata: Vec::new(),
        }
    }
}

impl Asked {
    fn answer<T>(&self, ask: impl FnOnce(&Question<'_>) -> T) -> T {
        let (subject, project) = (self.subject.parse().unwrap(), self.project.parse().unwrap());
        let (team, workflow) = (self.team.parse().unwrap(), self.workflow.parse().unwrap());
        let name = self.model.parse().unwrap();
        ask(&Question {
            principal: Principal {
                subject: &subject,
                project: &project,
                team: &team,
                workflow: &workflow,
                groups: &self.groups,
                clearance: self.clearance.as_deref(),
                credential: &self.credential,
                metadata: &self.principal_metadata,
            },
            action: self.action,
            model: ModelFacts {
                name: &name,
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
        })
    }

    /// What the policies in force say, remembered or not.
    pub(crate) fn ask(&self, authorizer: &Authorizer) -> Answer {
        self.answer(|question| in_short(authorizer.decide(question)))
    }

    /// What policies say, evaluated.
    pub(crate) fn evaluate(&self, policies: &Policies) -> Answer {
        self.answer(|question| in_short(policies.decide(question)))
    }
}

fn in_short(answer: Result<hermetic_policy::Permit, hermetic_policy::Refusal>) -> Answer {
    answer.map(|permit| permit.policies().to_vec()).map_err(|refusal| refusal.reason)
}
