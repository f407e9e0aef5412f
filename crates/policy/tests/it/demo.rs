//! The policies that ship with the demo and those the manual shows.

use crate::asked::{Asked, file};
use hermetic_policy::{Action, Authorizer, Levels, Policies, PolicyFile, RefusalReason};

pub(crate) fn demo() -> Policies {
    let files = [
        file("10-engineering.cedar", include_str!("../../../../demo/policy/10-engineering.cedar")),
        file("20-claims.cedar", include_str!("../../../../demo/policy/20-claims.cedar")),
        file("30-batches.cedar", include_str!("../../../../demo/policy/30-batches.cedar")),
        file("40-responses.cedar", include_str!("../../../../demo/policy/40-responses.cedar")),
        file("90-guardrails.cedar", include_str!("../../../../demo/policy/90-guardrails.cedar")),
    ];
    Policies::load(&files, &Levels::default()).unwrap()
}

#[test]
fn the_demo_policies_decide_as_their_comments_say() {
    let demo = Authorizer::new(demo());
    let text = str::to_owned;
    let alice = Asked::default;
    for _first_evaluated_then_remembered in 0..2 {
        assert_eq!(alice().ask(&demo), Ok(vec!["demo-project-may-chat".to_owned()]));
        let other = Asked { project: text("other"), ..alice() };
        assert_eq!(other.ask(&demo), Err(RefusalReason::NotPermitted));
        let embedding = Asked { kind: text("embedding"), ..alice() };
        assert_eq!(embedding.ask(&demo), Err(RefusalReason::NotPermitted));
        let contractor = Asked { subject: text("ext-bob"), ..alice() };
        assert_eq!(contractor.ask(&demo), Err(RefusalReason::Forbidden));
        let triage = Asked {
            project: text("other"),
            team: text("claims"),
            workflow: text("claims-triage"),
            action: Action::Embeddings,
            kind: text("embedding"),
            ..alice()
        };
        assert_eq!(triage.ask(&demo), Ok(vec!["claims-triage-may-embed".to_owned()]));
    }
}

#[test]
fn what_is_said_of_generating_holds_on_every_surface_that_does() {
    let demo = Authorizer::new(demo());
    for action in Action::ALL.into_iter().filter(|action| action.generates()) {
        let alice = Asked { action, ..Asked::default() };
        assert_eq!(alice.ask(&demo), Ok(vec!["demo-project-may-chat".to_owned()]), "{action:?}");
        let contractor = Asked { action, subject: "ext-bob".to_owned(), ..Asked::default() };
        assert_eq!(contractor.ask(&demo), Err(RefusalReason::Forbidden), "{action:?}");
    }
}

/// The blocks of Cedar in the manual's chapter.
fn shown_in_the_manual() -> Vec<PolicyFile> {
    let chapter = include_str!("../../../../docs/policy.md");
    let blocks = chapter.split("```cedar\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.enumerate().map(|(i, (text, _))| file(&format!("{i}.cedar"), text)).collect()
}

#[test]
fn every_policy_the_manual_shows_may_be_put_in_force() {
    let shown = shown_in_the_manual();
    assert!(shown.len() >= 5);
    for file in shown {
        if let Err(error) = Policies::load(std::slice::from_ref(&file), &Levels::default()) {
            panic!("{error}\n{}", file.text);
        }
    }
}
