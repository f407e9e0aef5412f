//! Which facts of a question the loaded policies can read, and so what a remembered decision depends on.
//!
//! Read from the policies themselves, in the form Cedar exports. Whatever this reader does not understand counts as
//! reading everything: it can cost a memory, never a wrong answer.

use crate::levels::Levels;
use crate::question::Question;
use cedar_policy::PolicySet;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The facts that policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    subject: bool,
    project: bool,
    team: bool,
    workflow: bool,
    groups: Names,
    clearance: bool,
    credential: bool,
    principal_metadata: Names,
    model: bool,
    kind: bool,
    digest: bool,
    labels: Names,
    target: bool,
    model_classification: bool,
    tags: Names,
    surface: bool,
    stream: bool,
    classification: bool,
    metadata: Names,
}

/// Which names of an open-ended set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    These(BTreeSet<String>),
    All,
}

impl Default for Names {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.insert(name.to_owned());
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }
}

impl Reads {
    pub(crate) fn of(policies: &PolicySet) -> Self {
        let mut reads = Self::default();
        for policy in policies.policies() {
            match policy.to_json() {
                Ok(Value::Object(policy)) => reads.policy(&policy),
                _ => reads.everything(),
            }
        }
        reads
    }

    fn everything(&mut self) {
        self.whole("principal");
        self.whole("resource");
        self.whole("context");
    }

    fn policy(&mut self, policy: &Map<String, Value>) {
        for variable in ["principal", "resource"] {
            let Some(scope) = policy.get(variable) else { return self.everything() };
            for place in [scope.get("entity"), scope.pointer("/in/entity")].into_iter().flatten() {
                self.entity(variable, place);
            }
        }
        // The action is always part of what is remembered. `conditions` may be left out where there are none.
        for condition in policy.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            match condition.get("body") {
                Some(body) => self.expression(body),
                None => self.everything(),
            }
        }
    }

    fn expression(&mut self, expression: &Value) {
        match expression {
            Value::Array(items) => items.iter().for_each(|item| self.expression(item)),
            Value::Object(fields) => match one(fields) {
                // A literal holds no variable.
                Some(("Value", _)) => {}
                // The names of a record's members are the policy's own and may look like operators.
                Some(("Record", Value::Object(members))) => {
                    members.values().for_each(|member| self.expression(member));
                }
                Some(("Var", Value::String(variable))) => self.whole(variable),
                Some((operator, operands)) => {
                    if !self.operator(operator, operands) {
                        self.expression(operands);
                    }
                }
                None => fields.values().for_each(|value| self.expression(value)),
            },
            // Names of attributes, patterns and types.
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether the operator was one that reads less than the whole of its variable.
    fn operator(&mut self, operator: &str, operands: &Value) -> bool {
        let left = operands.get("left").unwrap_or(&Value::Null);
        let right = operands.get("right");
        match (operator, variable(left)) {
            ("." | "has", Some(variable)) => {
                let first = operands.pointer("/attr/0").or_else(|| operands.pointer("/attrs/0"));
                let attribute = operands.get("attr").filter(|attr| attr.is_string()).or(first);
                match attribute.and_then(Value::as_str) {
                    Some(attribute) => self.attribute(variable, attribute),
                    None => self.whole(variable),
                }
                true
            }
            ("==" | "!=" | "in", Some(variable)) => self.entities(variable, right),
            ("is", Some(variable)) => match operands.get("in") {
                None => true,
                inside => self.entities(variable, inside),
            },
            ("hasTag" | "getTag", Some("principal")) => add_literal(&mut self.principal_metadata, right),
            ("hasTag" | "getTag", Some("resource")) => add_literal(&mut self.tags, right),
            ("hasTag" | "getTag", None) if is_metadata(left) => add_literal(&mut self.metadata, right),
            _ => false,
        }
    }

    /// One entity, or a set of them, written out; `false` when it is computed.
    fn entities(&mut self, variable: &str, expression: Option<&Value>) -> bool {
        let Some(expression) = expression else { return false };
        let members = match (literal(expression), expression.get("Set")) {
            (Some(Value::Array(members)), _) => members.iter().collect(),
            (Some(entity), _) => vec![entity],
            (None, Some(Value::Array(members))) => {
                let literals: Option<Vec<&Value>> = members.iter().map(literal).collect();
                let Some(literals) = literals else { return false };
                literals
            }
            (None, _) => return false,
        };
        members.into_iter().for_each(|entity| self.entity(variable, entity));
        true
    }

    /// `principal == …`, `principal in …` with an entity that is written out.
    fn entity(&mut self, variable: &str, entity: &Value) {
        let entity = entity.get("__entity").unwrap_or(entity);
        let text = |field| entity.get(field).and_then(Value::as_str);
        let (Some(type_name), Some(id)) = (text("type"), text("id")) else { return self.whole(variable) };
        match (variable, type_name) {
            ("principal", "Project") => self.project = true,
            ("principal", "Team") => self.team = true,
            ("principal", "Workflow") => self.workflow = true,
            ("principal", "Group") => self.groups.add(id),
            ("principal", _) => self.subject = true,
            ("resource", "Label") => self.labels.add(id),
            ("resource", _) => self.model = true,
            ("action", _) => {}
            _ => self.whole(variable),
        }
    }

    fn attribute(&mut self, variable: &str, attribute: &str) {
        let read = match (variable, attribute) {
            ("principal", "name") => &mut self.subject,
            ("principal", "project") => &mut self.project,
            ("principal", "team") => &mut self.team,
            ("principal", "workflow") => &mut self.workflow,
            ("principal", "clearance") => &mut self.clearance,
            ("principal", "credential") => &mut self.credential,
            ("resource", "name") => &mut self.model,
            ("resource", "kind") => &mut self.kind,
            ("resource", "digest") => &mut self.digest,
            ("resource", "target") => &mut self.target,
            ("resource", "classification") => &mut self.model_classification,
            ("context", "surface") => &mut self.surface,
            ("context", "stream") => &mut self.stream,
            ("context", "classification") => &mut self.classification,
            _ => return self.whole(variable),
        };
        *read = true;
    }

    fn whole(&mut self, variable: &str) {
        match variable {
            "principal" => {
                (self.subject, self.project, self.team, self.workflow) = (true, true, true, true);
                (self.clearance, self.credential) = (true, true);
                (self.groups, self.principal_metadata) = (Names::All, Names::All);
            }
            "resource" => {
                (self.model, self.kind, self.digest, self.target) = (true, true, true, true);
                self.model_classification = true;
                (self.labels, self.tags) = (Names::All, Names::All);
            }
            "context" => {
                (self.surface, self.stream, self.classification) = (true, true, true);
                self.metadata = Names::All;
            }
            "action" => {}
            _ => self.everything(),
        }
    }
}

/// The only member of an object.
fn one(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut fields = fields.iter();
    match (fields.next(), fields.next()) {
        (Some((name, value)), None) => Some((name.as_str(), value)),
        _ => None,
    }
}

fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var").and_then(Value::as_str)
}

fn literal(expression: &Value) -> Option<&Value> {
    expression.get("Value")
}

fn is_metadata(expression: &Value) -> bool {
    let field = |name: &str| expression.get(".").and_then(|dot| dot.get(name));
    field("left").and_then(variable) == Some("context")
        && field("attr").and_then(Value::as_str) == Some("metadata")
}

/// The tag of that name; `false` when the name is computed.
fn add_literal(names: &mut Names, name: Option<&Value>) -> bool {
    let name = name.and_then(literal).and_then(Value::as_str);
    name.map(|name| names.add(name)).is_some()
}

/// What a decision about a question depends on, as bytes: two questions with equal bytes have one answer.
pub(crate) struct Key(Vec<u8>);

/// Names and two levels, for most policies; a longer key costs another allocation.
const KEY_BYTES_EXPECTED: usize = 192;

impl Key {
    pub(crate) fn of(reads: &Reads, question: &Question<'_>, levels: &Levels) -> Self {
        let Question { principal, action, model, circumstances } = question;
        let mut key = Self(Vec::with_capacity(KEY_BYTES_EXPECTED));
        key.0.push(*action as u8);
        for (is_read, text) in [
            (reads.subject, principal.subject.as_str()),
            (reads.project, principal.project.as_str()),
            (reads.team, principal.team.as_str()),
            (reads.workflow, principal.workflow.as_str()),
            (reads.credential, principal.credential),
            (reads.model, model.name.as_str()),
            (reads.kind, model.kind),
            (reads.target, model.target),
            (reads.surface, circumstances.surface),
        ] {
            key.text(is_read, text);
        }
        for (is_read, rank) in [
            (reads.clearance, levels.of_reader(principal.clearance)),
            (reads.model_classification, levels.of_reader(model.classification)),
            (reads.classification, levels.of_request(circumstances.classification)),
            (reads.stream, usize::from(circumstances.stream)),
        ] {
            if is_read {
                key.0.push(u8::try_from(rank).unwrap_or(u8::MAX));
            }
        }
        if reads.digest {
            key.0.push(u8::from(model.digest.is_some()));
            key.0.extend(model.digest.iter().flat_map(|digest| digest.as_bytes()));
        }
        key.names(&reads.groups, principal.groups.iter().map(|group| (group.as_str(), "")));
        key.names(&reads.labels, model.labels.iter().map(|label| (label.as_str(), "")));
        for (read, pairs) in [
            (&reads.principal_metadata, principal.metadata),
            (&reads.tags, model.tags),
            (&reads.metadata, circumstances.metadata),
        ] {
            key.names(read, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        key
    }

    fn text(&mut self, is_read: bool, text: &str) {
        if is_read {
            self.0.extend(text.len().to_le_bytes());
            self.0.extend(text.as_bytes());
        }
    }

    fn names<'a>(&mut self, read: &Names, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
        if read.is_none() {
            return;
        }
        for (name, value) in pairs.filter(|(name, _)| read.has(name)) {
            self.0.push(1);
            self.text(true, name);
            self.text(true, value);
        }
        self.0.push(0);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_boxed(self) -> Box<[u8]> {
        self.0.into_boxed_slice()
    }
}
