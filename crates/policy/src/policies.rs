//! A validated policy set and its answers.

use crate::decision::{Grounds, Permit, Refusal, RefusalReason};
use crate::described::{PolicyText, in_order};
use crate::entities::asked;
use crate::error::{LoadError, Mistake};
use crate::levels::Levels;
use crate::question::Question;
use crate::reads::Reads;
use crate::revision::{Commit, Revision};
use crate::slices::{Joined, Slices};
use crate::source::{PolicyFile, folder_digest, line_and_column};
use crate::warnings;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// Policies in one folder. A decision looks at those whose scope fits it; loading looks at all.
pub const POLICIES_MAX: usize = 5_000;

const SCHEMA: &str = include_str!("schema.cedarschema");

/// Policies that parsed, fit the schema and may be put in force.
#[derive(Debug, Clone)]
pub struct Policies {
    slices: Slices,
    reads: Reads,
    schema: Schema,
    levels: Levels,
    texts: BTreeMap<String, PolicyText>,
    warnings: Vec<Mistake>,
    revision: Arc<Revision>,
}

/// The schema policies are validated against, with the levels of a site filled in.
pub fn schema_text(levels: &Levels) -> String {
    // The names are slugs: nothing in them ends a string.
    let names: Vec<String> = levels.names().iter().map(|name| format!("\"{name}\"")).collect();
    SCHEMA.replace("/*LEVELS*/", &names.join(", "))
}

impl Policies {
    /// Reads and validates the files of one policy folder, reporting every mistake of the step that found one.
    pub fn load(files: &[PolicyFile], levels: &Levels) -> Result<Self, LoadError> {
        let schema = Schema::from_str(&schema_text(levels))
            .map_err(|error| LoadError::Schema { detail: error.to_string() })?;
        let (set, texts) = parse(files)?;
        let found = set.policies().count();
        if found > POLICIES_MAX {
            return Err(LoadError::TooMany { max: POLICIES_MAX, found });
        }
        let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        let place = |id: &PolicyId, error: &dyn Diagnostic, message: String| {
            let file = texts.get(AsRef::<str>::as_ref(id)).map(|text| text.file.as_str());
            mistake_at(files.iter().find(|known| Some(known.name.as_str()) == file), error, message)
        };
        let mistakes: Vec<Mistake> = result
            .validation_errors()
            .map(|error| place(error.policy_id(), error, error.to_string()))
            .collect();
        if !mistakes.is_empty() {
            return Err(LoadError::Invalid(mistakes));
        }
        let mut warnings: Vec<Mistake> = result
            .validation_warnings()
            .map(|warning| place(warning.policy_id(), warning, warning.to_string()))
            .collect();
        warnings.extend(warnings::of(&set, &texts));
        let slices = Slices::cut(&set).map_err(|detail| LoadError::Schema { detail })?;
        let revision = Arc::new(Revision { digest: folder_digest(files), commit: None });
        Ok(Self { slices, reads: Reads::of(&set), schema, levels: levels.clone(), texts, warnings, revision })
    }

    /// The same policies, said to come from a commit.
    pub fn of_commit(self, commit: Option<Commit>) -> Self {
        let revision = Revision { digest: self.revision.digest, commit };
        Self { revision: Arc::new(revision), ..self }
    }

    /// Digest of the folder these policies came from.
    pub fn digest(&self) -> hermetic_digest::Digest {
        self.revision.digest
    }

    /// The state of the folder these policies came from.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// One policy as it is written.
    pub fn text_of(&self, id: &str) -> Option<&PolicyText> {
        self.texts.get(id)
    }

    /// What is no mistake but probably not meant: policies that never apply or change nothing.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// Answers one question. Deterministic: the same question to the same policies has the same answer.
    pub fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        let grounds = |policies| Grounds { policies, revision: Arc::clone(&self.revision) };
        let Ok(asked) = asked(question, &self.levels, &self.schema) else {
            return Err(Refusal::new(RefusalReason::Unevaluable, grounds(Vec::new())));
        };
        let Joined { permitting, forbidding, failed } = self.slices.decide(&asked, question.action);
        if !failed.is_empty() {
            return Err(Refusal::new(RefusalReason::Unevaluable, grounds(failed)));
        }
        if !forbidding.is_empty() {
            return Err(Refusal::new(RefusalReason::Forbidden, grounds(forbidding)));
        }
        if permitting.is_empty() {
            return Err(Refusal::new(RefusalReason::NotPermitted, grounds(permitting)));
        }
        Ok(Permit::new(grounds(permitting)))
    }
}

type Texts = BTreeMap<String, PolicyText>;

fn parse(files: &[PolicyFile]) -> Result<(PolicySet, Texts), LoadError> {
    let mut set = PolicySet::new();
    let mut texts = Texts::new();
    let mut mistakes = Vec::new();
    for file in files {
        match PolicySet::from_str(&file.text) {
            Ok(parsed) => add_file(&mut set, &mut texts, file, &parsed)?,
            Err(errors) => mistakes.extend(errors.iter().map(|e| mistake_at(Some(file), e, e.to_string()))),
        }
    }
    if mistakes.is_empty() { Ok((set, texts)) } else { Err(LoadError::Syntax(mistakes)) }
}

/// Adds the policies of one file under the ids records will quote: `@id("…")`, or the file's name and a number.
fn add_file(
    set: &mut PolicySet,
    texts: &mut Texts,
    file: &PolicyFile,
    parsed: &PolicySet,
) -> Result<(), LoadError> {
    if let Some(template) = parsed.templates().next() {
        return Err(LoadError::Template { id: template.id().to_string(), file: file.name.clone() });
    }
    for (policy, at) in in_order(file, parsed.policies()) {
        let id = id_of(policy, file);
        let duplicate = |first: &str| LoadError::DuplicateId {
            id: id.clone(),
            first: first.to_owned(),
            second: file.name.clone(),
        };
        if let Some(first) = texts.get(&id) {
            return Err(duplicate(&first.file));
        }
        if set.add(policy.new_id(PolicyId::new(&id))).is_err() {
            return Err(duplicate(&file.name));
        }
        texts.insert(id.clone(), PolicyText::of(policy, id, file, at));
    }
    Ok(())
}

fn id_of(policy: &Policy, file: &PolicyFile) -> String {
    policy.annotation("id").map_or_else(|| format!("{}#{}", file.name, policy.id()), str::to_owned)
}

/// Where Cedar's error points, in the words of an editor.
fn mistake_at(file: Option<&PolicyFile>, error: &dyn Diagnostic, mut message: String) -> Mistake {
    if let Some(help) = error.help() {
        message.push_str(" (");
        message.push_str(&help.to_string());
        message.push(')');
    }
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let position = file.zip(offset).map(|(file, offset)| line_and_column(&file.text, offset));
    Mistake { file: file.map_or_else(|| "policy".to_owned(), |f| f.name.clone()), position, message }
}
