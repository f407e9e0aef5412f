//! The service between its parts: workers that die, releases that move while requests come in.

use crate::enclave::{Enclave, MODEL};
use rustix::process::{Pid, Signal, kill_process};

/// Process ids of the workers of a service, read from the system's own table.
fn workers_of(service: u32) -> Vec<Pid> {
    let children =
        std::fs::read_to_string(format!("/proc/{service}/task/{service}/children")).unwrap_or_default();
    let mut pids: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    if pids.is_empty() {
        // Without CONFIG_PROC_CHILDREN, or when a thread of the service started them: look at every process's parent.
        let all = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        pids.extend(
            all.filter_map(|name| name.parse::<i32>().ok()).filter(|pid| parent_of(*pid) == Some(service)),
        );
    }
    pids.into_iter().filter_map(Pid::from_raw).collect()
}

fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_dead_worker_leaves_the_gateway_up_is_restarted_and_is_on_record() {
    let enclave = Enclave::prepared();
    let mut serving = enclave.serve();
    let workers = workers_of(serving.id());
    assert_eq!(workers.len(), 1);
    kill_process(workers[0], Signal::KILL).unwrap();
    while enclave.ask(false).is_none_or(|answer| answer.status != 200) {
        assert!(serving.try_wait().unwrap().is_none(), "the service ended with its worker");
    }
    assert_ne!(workers_of(serving.id()), workers);
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
    let failed =
        enclave.records().into_iter().find(|record| record["record"]["event"]["kind"] == "worker.failed");
    assert_eq!(failed.expect("the death is on record")["record"]["event"]["model"], MODEL);
}

/// Asks until the answer's record names a model digest that `accept` takes, and returns that digest.
fn served(enclave: &Enclave, accept: impl Fn(&str) -> bool) -> String {
    loop {
        let answer = enclave.ask(false).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let shown = enclave.json(&["audit", "show", &answer.request.unwrap()]).to_string();
        let (_, digest) = shown.split_once("\"model_digest\":\"").expect("the record names the digest");
        let digest = digest.split('"').next().unwrap().to_owned();
        if accept(&digest) {
            return digest;
        }
    }
}

#[test]
fn two_versions_of_one_artifact_are_served_at_the_same_time() {
    let enclave = Enclave::prepared();
    let both = format!(
        "  - name: {MODEL}\n    targets:\n      - {{ artifact: {MODEL}, engine: {{ context_tokens: 512 }} }}\n      \
        - {{ artifact: {MODEL}, label: canary, canary_percent: 50, engine: {{ context_tokens: 512 }} }}\n"
    );
    enclave.configure_models(&both);
    enclave.permit_everything();
    enclave.write_release("2", "2026.2.0", "renamed.gguf");
    enclave.build("2", Some("bundle-1"));
    let mut serving = enclave.serve();
    let production = served(&enclave, |_| true);
    enclave.run(&["bundle", "import", &enclave.path("bundle-2")]);
    enclave.run(&["release", "stage", "2026.2.0"]);
    enclave.run(&["release", "canary", "2026.2.0"]);
    let canary = served(&enclave, |digest| digest != production);
    served(&enclave, |digest| digest == production);
    served(&enclave, |digest| digest == canary);
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
    let records = enclave.records();
    let answered = |label: &str, digest: &str| {
        let target = format!("{MODEL}:{label}");
        records.iter().any(|record| {
            let attempt = &record["record"]["event"]["attempts"][0];
            attempt["target"] == target
                && attempt["model_digest"] == digest
                && attempt["outcome"] == "answered"
        })
    };
    assert!(answered("production", &production) && answered("canary", &canary));
}

#[test]
fn a_release_moved_by_another_process_is_served_without_a_restart_or_a_refusal() {
    let enclave = Enclave::prepared();
    enclave.write_release("2", "2026.2.0", "renamed.gguf");
    enclave.build("2", Some("bundle-1"));
    let mut serving = enclave.serve();
    let first = served(&enclave, |_| true);
    enclave.run(&["bundle", "import", &enclave.path("bundle-2")]);
    enclave.run(&["release", "stage", "2026.2.0"]);
    enclave.run(&["release", "promote", "2026.2.0"]);
    served(&enclave, |digest| digest != first);
    enclave.run(&["release", "rollback"]);
    served(&enclave, |digest| digest == first);
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
    let moves: Vec<String> = enclave
        .records()
        .iter()
        .filter(|record| record["record"]["event"]["kind"] == "release.moved")
        .map(|record| record["record"]["event"]["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(moves, ["stage", "promote", "stage", "promote", "rollback"]);
}
