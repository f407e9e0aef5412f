//! What is put in force, what is refused, and where a message points.

use crate::asked::{Asked, file};
use hermetic_policy::{Authorizer, Levels, LoadError, Policies, RefusalReason};

fn load(files: &[hermetic_policy::PolicyFile]) -> Result<Policies, LoadError> {
    Policies::load(files, &Levels::default())
}

#[test]
fn syntax_mistakes_are_all_reported_with_their_positions() {
    let files =
        [file("a.cedar", "permit (principal, action, resource)\n"), file("b.cedar", "\n  allow (x);")];
    let Err(LoadError::Syntax(mistakes)) = load(&files) else { panic!("expected syntax mistakes") };
    let at: Vec<_> = mistakes.iter().map(|m| (m.file.as_str(), m.position)).collect();
    assert!(at.iter().any(|(file, _)| *file == "a.cedar"), "{at:?}");
    assert!(at.iter().any(|(file, position)| *file == "b.cedar" && *position == Some((2, 3))), "{at:?}");
}

#[test]
fn policies_that_do_not_fit_the_schema_are_refused_with_their_positions() {
    let text = "permit (principal, action, resource)\nwhen { principal.departement == \"x\" };";
    let Err(LoadError::Invalid(mistakes)) = load(&[file("a.cedar", text)]) else {
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
        assert!(matches!(load(&[file("a.cedar", text)]), Err(LoadError::Invalid(_))), "{text}");
    }
}

#[test]
fn one_id_twice_and_templates_are_refused() {
    let one = "@id(\"x\") permit (principal, action, resource);";
    let twice = load(&[file("a.cedar", one), file("b.cedar", one)]);
    assert!(matches!(twice, Err(LoadError::DuplicateId { .. })));
    let template = load(&[file("a.cedar", "permit (principal == ?principal, action, resource);")]);
    assert!(matches!(template, Err(LoadError::Template { .. })));
}

#[test]
fn a_level_the_site_does_not_have_is_refused() {
    let text =
        "forbid (principal, action, resource) when { context.classification.level == Level::\"sceret\" };";
    assert!(matches!(load(&[file("a.cedar", text)]), Err(LoadError::Invalid(_))));
    let levels = Levels::new(vec!["sceret".parse().unwrap()], &"sceret".parse().unwrap()).unwrap();
    assert!(Policies::load(&[file("a.cedar", text)], &levels).is_ok());
}

#[test]
fn a_policy_is_found_again_with_its_text_and_its_place() {
    let same = "permit (principal, action == Action::\"embeddings\", resource);";
    let text = format!("// ä first\n{same}\n\n  @id(\"two\") {same} {same}");
    let policies = load(&[file("a.cedar", &text)]).unwrap();
    let place =
        |id: &str| policies.text_of(id).map(|text| (text.line, text.column, text.text.clone())).unwrap();
    assert_eq!(place("a.cedar#policy0"), (2, 1, same.to_owned()));
    assert_eq!(place("two"), (4, 3, format!("@id(\"two\") {same}")));
    assert_eq!(place("a.cedar#policy2"), (4, 3 + 12 + same.len(), same.to_owned()));
}

#[test]
fn policies_that_change_nothing_are_warned_about() {
    let warned = |text: &str| {
        let policies = load(&[file("a.cedar", text)]).unwrap();
        policies.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let overruled = "@id(\"p\") permit (principal in Project::\"a\", action, resource) when { context.stream };\n\
                     @id(\"f\") forbid (principal in Project::\"a\", action, resource);";
    assert_eq!(warned(overruled), ["a.cedar:1:1: `p` never permits anything: `f` forbids all of it"]);
    let superfluous = "@id(\"all\") permit (principal, action in Action::\"infer\", resource);\n\
                       @id(\"one\") permit (principal, action == Action::\"embeddings\", resource);";
    assert_eq!(warned(superfluous), ["a.cedar:2:1: `one` changes nothing: `all` already says all of it"]);
    let twice =
        "@id(\"a\") permit (principal, action, resource);\n@id(\"b\") permit (principal, action, resource);";
    assert_eq!(warned(twice).len(), 1);
    let impossible =
        "permit (principal, action, resource) when { context.stream && !context.stream && false };";
    assert_eq!(warned(impossible).len(), 1);
    let meant = "@id(\"p\") permit (principal, action, resource);\n\
                 @id(\"f\") forbid (principal in Project::\"a\", action, resource);";
    assert!(warned(meant).is_empty());
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let text = "@id(\"all\") permit (principal, action, resource);\n\
                @id(\"overflows\") forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };";
    let authorizer = Authorizer::new(load(&[file("a.cedar", text)]).unwrap());
    assert_eq!(Asked::default().ask(&authorizer), Err(RefusalReason::Unevaluable));
}
