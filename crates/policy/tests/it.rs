//! Policies as operators write them, against Cedar itself.

use hermetic_digest::Digest;
use hermetic_policy::{
    Action, Authorizer, LoadError, ModelFacts, Policies, PolicyFile, Principal, Question, RefusalReason,
};
use proptest::prelude::*;

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name.to_owned(), text: text.to_owned() }
}

fn demo() -> Policies {
    Policies::load(&[
        file("10-engineering.cedar", include_str!("../../../demo/policy/10-engineering.cedar")),
        file("20-claims.cedar", include_str!("../../../demo/policy/20-claims.cedar")),
        file("90-guardrails.cedar", include_str!("../../../demo/policy/90-guardrails.cedar")),
    ])
    .unwrap()
}

/// subject, project, team, workflow, action, kind.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a str, Action, &'static str);

fn ask(authorizer: &Authorizer, asked: Asked<'_>) -> Result<Vec<String>, RefusalReason> {
    let (subject, project, team, workflow, action, kind) = asked;
    let (subject, project, team, workflow) = (
        subject.parse().unwrap(),
        project.parse().unwrap(),
        team.parse().unwrap(),
        workflow.parse().unwrap(),
    );
    let (name, digest) = ("smollm2-135m".parse().unwrap(), Digest::of(b"weights"));
    let question = Question {
        principal: Principal { subject: &subject, project: &project, team: &team, workflow: &workflow },
        action,
        model: ModelFacts { name: &name, kind, digest: Some(&digest) },
    };
    authorizer.decide(&question).map(|permit| permit.policies().to_vec()).map_err(|refusal| refusal.reason)
}

#[test]
fn the_demo_policies_decide_as_their_comments_say() {
    let demo = Authorizer::new(demo());
    let chat = Action::ChatCompletions;
    for _first_evaluated_then_remembered in 0..2 {
        assert_eq!(
            ask(&demo, ("alice", "demo", "eng", "docs", chat, "chat")),
            Ok(vec!["demo-project-may-chat".to_owned()])
        );
        assert_eq!(
            ask(&demo, ("alice", "other", "eng", "docs", chat, "chat")),
            Err(RefusalReason::NotPermitted)
        );
        assert_eq!(
            ask(&demo, ("alice", "demo", "eng", "docs", chat, "embedding")),
            Err(RefusalReason::NotPermitted)
        );
        assert_eq!(
            ask(&demo, ("ext-bob", "demo", "eng", "docs", chat, "chat")),
            Err(RefusalReason::Forbidden)
        );
        assert_eq!(
            ask(&demo, ("carol", "other", "claims", "claims-triage", Action::Embeddings, "embedding")),
            Ok(vec!["claims-triage-may-embed".to_owned()])
        );
    }
}

#[test]
fn no_policies_permit_nothing() {
    let empty = Authorizer::new(Policies::load(&[]).unwrap());
    let asked = ("alice", "demo", "eng", "docs", Action::ChatCompletions, "chat");
    assert_eq!(ask(&empty, asked), Err(RefusalReason::NotPermitted));
}

#[test]
fn new_policies_are_in_force_at_once_and_old_decisions_are_forgotten() {
    let authorizer = Authorizer::new(demo());
    let asked = ("alice", "demo", "eng", "docs", Action::ChatCompletions, "chat");
    assert!(ask(&authorizer, asked).is_ok());
    let before = authorizer.digest();
    authorizer.replace(Policies::load(&[]).unwrap());
    assert_eq!(ask(&authorizer, asked), Err(RefusalReason::NotPermitted));
    assert_ne!(authorizer.digest(), before);
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let text = "@id(\"all\") permit (principal, action, resource);\n\
                @id(\"overflows\") forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };";
    let authorizer = Authorizer::new(Policies::load(&[file("a.cedar", text)]).unwrap());
    let asked = ("alice", "demo", "eng", "docs", Action::ChatCompletions, "chat");
    assert_eq!(ask(&authorizer, asked), Err(RefusalReason::Unevaluable));
}

#[test]
fn syntax_mistakes_are_all_reported_with_their_positions() {
    let files =
        [file("a.cedar", "permit (principal, action, resource)\n"), file("b.cedar", "\n  allow (x);")];
    let Err(LoadError::Syntax(mistakes)) = Policies::load(&files) else { panic!("expected syntax mistakes") };
    let at: Vec<_> = mistakes.iter().map(|m| (m.file.as_str(), m.position)).collect();
    assert!(at.iter().any(|(file, _)| *file == "a.cedar"), "{at:?}");
    assert!(at.iter().any(|(file, position)| *file == "b.cedar" && *position == Some((2, 3))), "{at:?}");
}

#[test]
fn policies_that_do_not_fit_the_schema_are_refused_with_their_positions() {
    let text = "permit (principal, action, resource)\nwhen { principal.departement == \"x\" };";
    let Err(LoadError::Invalid(mistakes)) = Policies::load(&[file("a.cedar", text)]) else {
        panic!("expected a validation mistake")
    };
    assert_eq!(mistakes[0].position.map(|(line, _)| line), Some(2), "{mistakes:?}");
    assert!(mistakes[0].message.contains("departement"), "{mistakes:?}");
}

#[test]
fn an_action_that_does_not_exist_and_an_unguarded_optional_attribute_are_refused() {
    for text in [
        "permit (principal, action == Action::\"chat\", resource);",
        "permit (principal, action, resource) when { resource.digest == \"sha256:0\" };",
    ] {
        assert!(matches!(Policies::load(&[file("a.cedar", text)]), Err(LoadError::Invalid(_))), "{text}");
    }
}

#[test]
fn one_id_twice_and_templates_are_refused() {
    let one = "@id(\"x\") permit (principal, action, resource);";
    let twice = Policies::load(&[file("a.cedar", one), file("b.cedar", one)]);
    assert!(matches!(twice, Err(LoadError::DuplicateId { .. })));
    let template = Policies::load(&[file("a.cedar", "permit (principal == ?principal, action, resource);")]);
    assert!(matches!(template, Err(LoadError::Template { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Remembering never changes an answer.
    #[test]
    fn the_authorizer_answers_as_the_policies_do(
        asked in proptest::collection::vec(("(ext-)?[ab]", "(demo|other)", "(claims|eng)", "(docs|claims-triage)", 0usize..3, any::<bool>()), 1..40)
    ) {
        let remembering = Authorizer::new(demo());
        for (subject, project, team, workflow, action, chat) in &asked {
            let kind = if *chat { "chat" } else { "embedding" };
            let asked = (subject.as_str(), project.as_str(), team.as_str(), workflow.as_str(), Action::ALL[*action], kind);
            prop_assert_eq!(ask(&remembering, asked), ask(&Authorizer::new(demo()), asked));
        }
    }
}
