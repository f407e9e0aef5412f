//! Remembering decisions changes what they cost and never what they are.

use crate::asked::{Asked, file};
use crate::demo::demo;
use hermetic_policy::{Action, Authorizer, Levels, Policies, RefusalReason};
use proptest::prelude::*;

#[test]
fn no_policies_permit_nothing() {
    let empty = Authorizer::new(Policies::load(&[], &Levels::default()).unwrap());
    assert_eq!(Asked::default().ask(&empty), Err(RefusalReason::NotPermitted));
}

#[test]
fn new_policies_are_in_force_at_once_and_old_decisions_are_forgotten() {
    let authorizer = Authorizer::new(demo());
    assert!(Asked::default().ask(&authorizer).is_ok());
    let before = authorizer.digest();
    authorizer.replace(Policies::load(&[], &Levels::default()).unwrap());
    assert_eq!(Asked::default().ask(&authorizer), Err(RefusalReason::NotPermitted));
    assert_ne!(authorizer.digest(), before);
}

#[test]
fn a_level_nobody_knows_opens_nothing() {
    let text = "permit (principal, action, resource) when { context.classification.rank <= principal.clearance.rank };";
    let policies = Policies::load(&[file("a.cedar", text)], &Levels::default()).unwrap();
    let said = |request: &str, caller: &str| Asked {
        classification: Some(request.to_owned()),
        clearance: Some(caller.to_owned()),
        ..Asked::default()
    };
    assert!(said("secret", "secret").evaluate(&policies).is_ok());
    assert!(said("public", "?").evaluate(&policies).is_ok());
    assert!(said("?", "confidential").evaluate(&policies).is_err());
    assert!(said("internal", "?").evaluate(&policies).is_err());
}

const CONDITIONS: [&str; 27] = [
    "context.stream",
    "context.surface == \"embeddings\"",
    "context.classification.rank > principal.clearance.rank",
    "context.classification.level == Level::\"secret\"",
    "context.classification.rank <= resource.classification.rank",
    "context.metadata.hasTag(\"case\")",
    "context.metadata.hasTag(\"case\") && context.metadata.getTag(\"case\") == \"1\"",
    "context.metadata.hasTag(principal.team)",
    "context.metadata == context.metadata && context.metadata.hasTag(\"site\")",
    "principal.name like \"a*\"",
    "principal.credential == \"certificate\"",
    "principal.hasTag(\"site\") && principal.getTag(\"site\") == \"1\"",
    "principal in Group::\"testers\"",
    "principal in [Group::\"testers\", Group::\"staff\"]",
    "principal is Subject in Group::\"staff\"",
    "[principal].contains(Subject::\"ann\")",
    "{\"Value\": principal}[\"Value\"] == Subject::\"bob\"",
    "{\"in\": principal}[\"in\"] in Team::\"eng\"",
    "principal == Subject::\"ann\" || principal.workflow == \"docs\"",
    "(if context.stream then principal else Subject::\"bob\") in Group::\"staff\"",
    "resource in Label::\"canary\"",
    "resource has digest",
    "resource.target == \"endpoint\"",
    "resource.hasTag(\"site\")",
    "resource.hasTag(context.surface)",
    "resource == Model::\"m\"",
    "9223372036854775807 + (if resource.kind == \"chat\" then 1 else 0) > 0",
];

const SCOPES: [&str; 8] = [
    "principal",
    "principal is Subject",
    "principal == Subject::\"ann\"",
    "principal in Project::\"demo\"",
    "principal in Team::\"eng\"",
    "principal in Workflow::\"docs\"",
    "principal in Group::\"testers\"",
    "principal is Subject in Group::\"staff\"",
];

const ACTIONS: [&str; 6] = [
    "action",
    "action in Action::\"infer\"",
    "action in Action::\"generate\"",
    "action == Action::\"embeddings\"",
    "action in [Action::\"completions\", Action::\"explain\"]",
    "action == Action::\"explain\"",
];

const RESOURCES: [&str; 4] =
    ["resource", "resource == Model::\"m\"", "resource in Label::\"canary\"", "resource is Model"];

prop_compose! {
    pub(crate) fn policy()(
        forbid: bool,
        scope in proptest::sample::select(&SCOPES[..]),
        action in proptest::sample::select(&ACTIONS[..]),
        resource in proptest::sample::select(&RESOURCES[..]),
        conditions in proptest::collection::vec((any::<bool>(), proptest::sample::select(&CONDITIONS[..])), 0..3),
    ) -> String {
        let effect = if forbid { "forbid" } else { "permit" };
        let conditions: String = conditions
            .into_iter()
            .map(|(when, condition)| format!(" {} {{ {condition} }}", if when { "when" } else { "unless" }))
            .collect();
        format!("{effect} ({scope}, {action}, {resource}){conditions};")
    }
}

fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map("(case|site|eng|embeddings)", "[12]", 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn level() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("(public|internal|confidential|secret|unknown)")
}

prop_compose! {
    pub(crate) fn asked()(
        (subject, project, team, workflow) in ("(ann|bob)", "(demo|other)", "(eng|ops)", "(docs|code)"),
        groups in proptest::sample::subsequence(vec!["staff", "testers", "third"], 0..=3),
        (clearance, model_classification, classification) in (level(), level(), level()),
        credential in "(api-key|certificate)",
        action in proptest::sample::select(&Action::ALL[..]),
        (model, kind, digest, endpoint) in ("[mn]", "(chat|embedding)", any::<bool>(), any::<bool>()),
        labels in proptest::sample::subsequence(vec!["canary", "production"], 0..=2),
        (principal_metadata, tags, metadata) in (tags(), tags(), tags()),
        (surface, stream) in ("(embeddings|completions)", any::<bool>()),
    ) -> Asked {
        Asked {
            subject, project, team, workflow, clearance, credential, principal_metadata, action, model, kind,
            model_classification, tags, surface, stream, classification, metadata,
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            labels: labels.iter().map(|label| label.parse().unwrap()).collect(),
            digest: digest.then(|| hermetic_digest::Digest::of(b"weights")),
            target: if endpoint { "endpoint" } else { "embedded" }.to_owned(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever the policies read, two questions that differ in it are not taken for one.
    #[test]
    fn a_remembered_decision_is_the_one_that_would_be_made(
        policies in proptest::collection::vec(policy(), 1..5),
        asked in proptest::collection::vec(asked(), 1..24),
    ) {
        let policies = Policies::load(&[file("a.cedar", &policies.join("\n"))], &Levels::default()).unwrap();
        let remembering = Authorizer::new(policies.clone());
        for asked in asked.iter().chain(&asked) {
            prop_assert_eq!(asked.ask(&remembering), asked.evaluate(&policies));
        }
    }

    #[test]
    fn the_authorizer_answers_the_demo_as_its_policies_do(
        asked in proptest::collection::vec(asked(), 1..24)
    ) {
        let remembering = Authorizer::new(demo());
        for asked in asked.iter().chain(&asked) {
            prop_assert_eq!(asked.ask(&remembering), asked.evaluate(&demo()));
        }
    }
}
