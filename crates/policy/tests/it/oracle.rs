//! Cedar's own answer: the whole policy set, and a question written as JSON, with none of our code in between but the
//! schema.

use crate::asked::{Answer, Asked, file};
use crate::memory::{asked, policy};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, Schema};
use hermetic_policy::{Levels, Policies, RefusalReason, schema_text};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::str::FromStr;

const LEVELS: [&str; 4] = ["public", "internal", "confidential", "secret"];

fn classified(stated: Option<&str>, unknown: usize) -> Value {
    let rank = stated.map_or(0, |name| LEVELS.iter().position(|level| *level == name).unwrap_or(unknown));
    json!({"rank": rank, "level": {"__entity": {"type": "Level", "id": LEVELS[rank]}}})
}

fn uid(type_name: &str, id: &str) -> Value {
    json!({"type": type_name, "id": id})
}

fn tags(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect::<Map<_, _>>()
        .into()
}

fn entities(asked: &Asked) -> Value {
    let mut parents =
        vec![uid("Project", &asked.project), uid("Team", &asked.team), uid("Workflow", &asked.workflow)];
    parents.extend(asked.groups.iter().map(|group| uid("Group", group.as_str())));
    let mut model = json!({
        "name": asked.model, "kind": asked.kind, "target": asked.target,
        "classification": classified(asked.model_classification.as_deref(), 0),
    });
    if let Some(digest) = &asked.digest {
        model["digest"] = digest.to_string().into();
    }
    let labels: Vec<Value> = asked.labels.iter().map(|label| uid("Label", label.as_str())).collect();
    json!([
        {
            "uid": uid("Subject", &asked.subject),
            "attrs": {
                "name": asked.subject, "project": asked.project, "team": asked.team, "workflow": asked.workflow,
                "clearance": classified(asked.clearance.as_deref(), 0), "credential": asked.credential,
            },
            "parents": parents,
            "tags": tags(&asked.principal_metadata),
        },
        {"uid": uid("Model", &asked.model), "attrs": model, "parents": labels, "tags": tags(&asked.tags)},
        {"uid": uid("Metadata", "request"), "attrs": {}, "parents": [], "tags": tags(&asked.metadata)},
    ])
}

/// What Cedar says of all policies at once, by the rules this crate adds: an error denies.
fn oracle(text: &str, asked: &Asked) -> Answer {
    let schema = Schema::from_str(&schema_text(&Levels::default())).unwrap();
    let policies = PolicySet::from_str(text).unwrap();
    let entity =
        |type_name: &str, id: &str| EntityUid::from_json(json!({"type": type_name, "id": id})).unwrap();
    let action = entity("Action", asked.action.as_str());
    let context = json!({
        "surface": asked.surface, "stream": asked.stream,
        "classification": classified(asked.classification.as_deref(), LEVELS.len() - 1),
        "metadata": {"__entity": {"type": "Metadata", "id": "request"}},
    });
    let context = Context::from_json_value(context, Some((&schema, &action))).unwrap();
    let (subject, model) = (entity("Subject", &asked.subject), entity("Model", &asked.model));
    let request = Request::new(subject, action, model, context, Some(&schema)).unwrap();
    let entities = Entities::from_json_value(entities(asked), Some(&schema)).unwrap();
    let response = Authorizer::new().is_authorized(&request, &policies, &entities);
    if response.diagnostics().errors().next().is_some() {
        return Err(RefusalReason::Unevaluable);
    }
    let mut reasons: Vec<String> =
        response.diagnostics().reason().map(|id| format!("a.cedar#{id}")).collect();
    reasons.sort_unstable();
    match (response.decision(), reasons.is_empty()) {
        (Decision::Allow, _) => Ok(reasons),
        (Decision::Deny, true) => Err(RefusalReason::NotPermitted),
        (Decision::Deny, false) => Err(RefusalReason::Forbidden),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Cutting the set by scopes, and our way of putting a question, change no answer and no reason.
    #[test]
    fn a_decision_is_what_cedar_makes_of_all_policies_at_once(
        policies in proptest::collection::vec(policy(), 1..8),
        asked in proptest::collection::vec(asked(), 1..8),
    ) {
        let text = policies.join("\n");
        let policies = Policies::load(&[file("a.cedar", &text)], &Levels::default()).unwrap();
        for asked in &asked {
            prop_assert_eq!(asked.evaluate(&policies), oracle(&text, asked));
        }
    }
}
