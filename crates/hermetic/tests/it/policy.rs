//! `hermetic policy`, and policies that change under a running service.

use crate::enclave::{Enclave, MODEL};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Runs the binary where there is no configuration.
fn hermetic(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hermetic"))
        .args(["--config", "/nonexistent/hermetic.yaml"])
        .args(words)
        .output()
        .unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

const PERMIT: &str =
    "@id(\"all\")\npermit (principal in Project::\"demo\", action in Action::\"infer\", resource);\n";

#[test]
fn check_lists_every_mistake_with_its_place_and_warns_of_what_changes_nothing() {
    let wrong = folder(&[
        ("a.cedar", "permit (principal, action, resource)\nwhen { principal.departement == \"x\" };"),
        ("b.cedar", "permit (principal, action == Action::\"chat\", resource);"),
    ]);
    let (sound, _, mistakes) = said(&hermetic(&["policy", "check", wrong.path().to_str().unwrap()]));
    assert!(!sound && mistakes.contains("error[E0911]"), "{mistakes}");
    assert!(mistakes.contains("a.cedar:2:") && mistakes.contains("b.cedar:1:"), "{mistakes}");
    let shadowed =
        folder(&[("a.cedar", PERMIT), ("b.cedar", "@id(\"no\") forbid (principal, action, resource);")]);
    let checked = hermetic(&["--json", "policy", "check", shadowed.path().to_str().unwrap()]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked["policies"], &checked["warnings"][0]["line"]), (&2.into(), &1.into()));
    assert!(checked["revision"]["digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn the_examples_of_the_manual_decide_as_their_tests_say() {
    let examples = workspace("demo/policy-examples");
    let (passed, printed, errors) = said(&hermetic(&["policy", "test", examples.to_str().unwrap()]));
    assert!(passed && printed.contains("all decided as they say"), "{printed}{errors}");
}

#[test]
fn a_case_that_is_decided_otherwise_is_shown_with_both_answers_and_fails() {
    let cases = "defaults: { subject: a, project: demo, team: t, workflow: w, model: m }\n\
                 cases:\n  - { name: fine, expect: allow, by: [all] }\n  - { name: surprise, expect: deny }\n";
    let good = folder(&[("a.cedar", PERMIT), ("a.test.yaml", cases)]);
    let (passed, printed, error) = said(&hermetic(&["policy", "test", good.path().to_str().unwrap()]));
    assert!(!passed && error.contains("error[E0918]"), "{error}");
    assert!(printed.contains("surprise") && printed.contains("- expected  deny"), "{printed}");
    assert!(printed.contains("+ found     allow  by all (a.cedar:1)"), "{printed}");
    for (file, code) in
        [("cases: [{ name: x, expect: maybe }]", "E0917"), ("cases: [{ name: x, expect: deny }]", "E0917")]
    {
        let bad = folder(&[("a.cedar", PERMIT), ("a.test.yaml", file)]);
        let (passed, _, error) = said(&hermetic(&["policy", "test", bad.path().to_str().unwrap()]));
        assert!(!passed && error.contains(code), "{error}");
    }
}

#[test]
fn explain_says_which_policies_would_decide_a_question_and_where_they_stand() {
    let examples = workspace("demo/policy-examples");
    let question = [
        "policy",
        "explain",
        "--policy",
        examples.to_str().unwrap(),
        "--subject",
        "alice",
        "--project",
        "claims",
        "--team",
        "letters",
        "--workflow",
        "triage",
        "--model",
        "llama-70b",
    ];
    let (_, printed, _) = said(&hermetic(&question));
    assert!(printed.starts_with("would be denied (E0921)"), "{printed}");
    assert!(printed.contains("large-model-is-for-appeals (forbid) at 20-models.cedar:2:1"), "{printed}");
    assert!(printed.contains("| unless { principal in Workflow::\"appeals\" };"), "{printed}");
    let group = [&question[..12], &["--group", "testers", "--label", "canary", "--model", "small"]].concat();
    let (_, printed, _) = said(&hermetic(&group));
    assert!(printed.starts_with("would be permitted"), "{printed}");
    let (ok, _, error) = said(&hermetic(&question[..6]));
    assert!(!ok && error.contains("E0919"), "{error}");
}

/// Gives the enclave a policy folder of its own.
fn with_own_policies(enclave: &Enclave) -> PathBuf {
    let folder = PathBuf::from(enclave.path("policy"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.cedar"), PERMIT).unwrap();
    let config = std::fs::read_to_string(enclave.path("hermetic.yaml")).unwrap();
    let (before, rest) = config.split_once("policy: {").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    std::fs::write(enclave.path("hermetic.yaml"), format!("{before}policy: {{ dir: policy }}\n{after}"))
        .unwrap();
    folder
}

fn ask_until(enclave: &Enclave, status: u16) -> String {
    loop {
        let answer = enclave.ask(false).expect("an answer");
        if answer.status == status {
            return answer.request.unwrap();
        }
    }
}

#[test]
fn changed_policies_are_recorded_then_in_force_and_unsound_ones_change_nothing() {
    let enclave = Enclave::prepared();
    let folder = with_own_policies(&enclave);
    let mut serving = enclave.serve();
    let permitted = ask_until(&enclave, 200);
    let forbid = "@id(\"closed\") forbid (principal, action, resource) when { resource.kind == \"chat\" };";
    std::fs::write(folder.join("b.cedar"), forbid).unwrap();
    let denied = ask_until(&enclave, 403);
    std::fs::write(folder.join("b.cedar"), "forbid everything").unwrap();
    while !std::fs::read_to_string(enclave.path("serve.log")).unwrap().contains("E0910") {
        assert_eq!(enclave.ask(false).unwrap().status, 403, "the former policies stay in force");
    }
    std::fs::write(folder.join("b.cedar"), forbid).unwrap();

    let explained = enclave.run(&["policy", "explain", "--request", &denied]);
    assert!(explained.contains("was denied (E0921, status 403)"), "{explained}");
    assert!(explained.contains("closed (forbid) at b.cedar:1:1"), "{explained}");
    let explained = enclave.json(&["policy", "explain", "--request", &permitted]);
    assert_eq!((&explained["verdict"], &explained["decided_by"][0]), (&"permitted".into(), &"all".into()));
    assert_eq!(explained["policies_unchanged"], false);
    assert_eq!(explained["records"].as_array().unwrap().len(), 2);

    std::fs::remove_file(folder.join("b.cedar")).unwrap();
    ask_until(&enclave, 200);
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
    replay_says_what_would_change(&enclave, &denied);
    let events: Vec<Value> =
        enclave.records().iter().map(|record| record["record"]["event"].clone()).collect();
    let changes: Vec<&Value> = events.iter().filter(|event| event["kind"] == "policy.changed").collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    let first_denied = events.iter().position(|event| event["kind"] == "request.refused").unwrap();
    let first_change = events.iter().position(|event| event["kind"] == "policy.changed").unwrap();
    assert!(first_change < first_denied, "a decision rested on policies the ledger did not know of");
    assert_eq!(events[first_denied]["policy_digest"], changes[0]["to"]);
}

fn replay_says_what_would_change(enclave: &Enclave, denied: &str) {
    let tighter = folder(&[
        ("a.cedar", PERMIT),
        ("b.cedar", "@id(\"n\") forbid (principal in Team::\"t\", action, resource);"),
    ]);
    let of = |folder: &Path| {
        enclave.json(&["policy", "replay", "--policy", folder.to_str().unwrap(), "--since", "1d"])
    };
    let replayed = of(tighter.path());
    let judged = replayed["judged"].as_u64().unwrap();
    let change = &replayed["would_be_denied"];
    assert!(judged > 3 && change["requests"].as_u64().unwrap() >= 2, "{replayed}");
    assert_eq!((&change["projects"][0], &change["groups"][0]["by"][0]), (&"demo".into(), &"n".into()));
    assert_eq!(change["groups"][0]["model"], MODEL);
    let looser = folder(&[("a.cedar", PERMIT)]);
    let replayed = of(looser.path());
    let examples = &replayed["would_be_permitted"]["groups"][0]["examples"];
    assert_eq!((&examples[0], &replayed["unjudged"]), (&denied.into(), &0.into()), "{replayed}");
    let nobody = folder(&[]);
    let printed = enclave.run(&["policy", "replay", "--policy", nobody.path().to_str().unwrap()]);
    assert!(printed.contains("of 1 project would have been denied"), "{printed}");
}
