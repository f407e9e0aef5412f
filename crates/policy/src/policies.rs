//! A validated policy set and its answers.

use crate::decision::{Grounds, Permit, Refusal, RefusalReason};
use crate::error::{LoadError, Mistake};
use crate::question::{ModelFacts, Principal, Question};
use crate::source::{PolicyFile, folder_digest, line_and_column};
use cedar_policy::{
    AuthorizationError, Authorizer as Cedar, Context, Decision, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use hermetic_digest::Digest;
use miette::Diagnostic;
use std::collections::{HashMap, HashSet};
use std::str::FromStr;

/// Policies in one folder. Cedar looks at each for every decision that is not remembered: about a microsecond apiece.
pub const POLICIES_MAX: usize = 5_000;

const SCHEMA: &str = include_str!("schema.cedarschema");

/// Policies that parsed, fit the schema and may be put in force.
#[derive(Debug, Clone)]
pub struct Policies {
    set: PolicySet,
    schema: Schema,
    digest: Digest,
}

impl Policies {
    /// Reads and validates the files of one policy folder, reporting every mistake of the step that found one.
    pub fn load(files: &[PolicyFile]) -> Result<Self, LoadError> {
        let schema =
            Schema::from_str(SCHEMA).map_err(|error| LoadError::Schema { detail: error.to_string() })?;
        let (set, origins) = parse(files)?;
        let found = set.policies().count();
        if found > POLICIES_MAX {
            return Err(LoadError::TooMany { max: POLICIES_MAX, found });
        }
        let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        let mistakes: Vec<Mistake> = result
            .validation_errors()
            .map(|error| {
                let origin = origins.get(error.policy_id());
                mistake_at(origin.copied(), error, error.to_string())
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(LoadError::Invalid(mistakes));
        }
        Ok(Self { set, schema, digest: folder_digest(files) })
    }

    /// Digest of the folder these policies came from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.set.policies().count()
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Answers one question. Deterministic: the same question to the same policies has the same answer.
    pub fn decide(&self, question: &Question<'_>) -> Result<Permit, Refusal> {
        let grounds = |policies| Grounds { policies, digest: self.digest };
        let unevaluable =
            |_: &dyn std::error::Error| Refusal::new(RefusalReason::Unevaluable, grounds(Vec::new()));
        let (request, entities) = self.in_cedar_words(question).map_err(|error| unevaluable(&*error))?;
        let response = Cedar::new().is_authorized(&request, &self.set, &entities);
        let mut failed: Vec<String> = response
            .diagnostics()
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id().to_string())
            .collect();
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        failed.sort_unstable();
        policies.sort_unstable();
        if !failed.is_empty() {
            return Err(Refusal::new(RefusalReason::Unevaluable, grounds(failed)));
        }
        match response.decision() {
            Decision::Allow => Ok(Permit::new(grounds(policies))),
            Decision::Deny if policies.is_empty() => {
                Err(Refusal::new(RefusalReason::NotPermitted, grounds(policies)))
            }
            Decision::Deny => Err(Refusal::new(RefusalReason::Forbidden, grounds(policies))),
        }
    }

    fn in_cedar_words(
        &self,
        question: &Question<'_>,
    ) -> Result<(Request, Entities), Box<dyn std::error::Error>> {
        let subject = subject_entity(&question.principal)?;
        let model = model_entity(&question.model)?;
        let action = uid("Action", question.action.as_str())?;
        let request = Request::new(subject.uid(), action, model.uid(), Context::empty(), Some(&self.schema))
            .map_err(Box::new)?;
        let entities = Entities::from_entities([subject, model], Some(&self.schema)).map_err(Box::new)?;
        Ok((request, entities))
    }
}

fn uid(type_name: &str, id: &str) -> Result<EntityUid, Box<dyn std::error::Error>> {
    let type_name = EntityTypeName::from_str(type_name).map_err(Box::new)?;
    Ok(EntityUid::from_type_name_and_id(type_name, EntityId::new(id)))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn subject_entity(principal: &Principal<'_>) -> Result<Entity, Box<dyn std::error::Error>> {
    let attributes = HashMap::from([
        ("name".to_owned(), text(principal.subject.as_str())),
        ("project".to_owned(), text(principal.project.as_str())),
        ("team".to_owned(), text(principal.team.as_str())),
        ("workflow".to_owned(), text(principal.workflow.as_str())),
    ]);
    let parents = HashSet::from([
        uid("Project", principal.project.as_str())?,
        uid("Team", principal.team.as_str())?,
        uid("Workflow", principal.workflow.as_str())?,
    ]);
    Ok(Entity::new(uid("Subject", principal.subject.as_str())?, attributes, parents).map_err(Box::new)?)
}

fn model_entity(model: &ModelFacts<'_>) -> Result<Entity, Box<dyn std::error::Error>> {
    let mut attributes = HashMap::from([
        ("name".to_owned(), text(model.name.as_str())),
        ("kind".to_owned(), text(model.kind)),
    ]);
    if let Some(digest) = model.digest {
        attributes.insert("digest".to_owned(), text(&digest.to_string()));
    }
    Ok(Entity::new(uid("Model", model.name.as_str())?, attributes, HashSet::new()).map_err(Box::new)?)
}

/// Which file each policy came from.
type Origins<'a> = HashMap<PolicyId, &'a PolicyFile>;

fn parse(files: &[PolicyFile]) -> Result<(PolicySet, Origins<'_>), LoadError> {
    let mut set = PolicySet::new();
    let mut origins: Origins<'_> = HashMap::new();
    let mut mistakes = Vec::new();
    for file in files {
        match PolicySet::from_str(&file.text) {
            Ok(parsed) => add_file(&mut set, &mut origins, file, &parsed)?,
            Err(errors) => mistakes.extend(errors.iter().map(|e| mistake_at(Some(file), e, e.to_string()))),
        }
    }
    if mistakes.is_empty() { Ok((set, origins)) } else { Err(LoadError::Syntax(mistakes)) }
}

/// Adds the policies of one file under the ids records will quote: `@id("…")`, or the file's name and a number.
fn add_file<'a>(
    set: &mut PolicySet,
    origins: &mut Origins<'a>,
    file: &'a PolicyFile,
    parsed: &PolicySet,
) -> Result<(), LoadError> {
    if let Some(template) = parsed.templates().next() {
        return Err(LoadError::Template { id: template.id().to_string(), file: file.name.clone() });
    }
    for policy in parsed.policies() {
        let named = named(policy, file);
        let id = named.id().clone();
        if let Some(first) = origins.insert(id.clone(), file) {
            return Err(duplicate(&id, first, file));
        }
        if set.add(named).is_err() {
            return Err(duplicate(&id, file, file));
        }
    }
    Ok(())
}

fn duplicate(id: &PolicyId, first: &PolicyFile, second: &PolicyFile) -> LoadError {
    LoadError::DuplicateId { id: id.to_string(), first: first.name.clone(), second: second.name.clone() }
}

fn named(policy: &Policy, file: &PolicyFile) -> Policy {
    let id = policy.annotation("id").map_or_else(|| format!("{}#{}", file.name, policy.id()), str::to_owned);
    policy.new_id(PolicyId::new(id))
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
