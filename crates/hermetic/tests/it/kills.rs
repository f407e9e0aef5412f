//! Power cuts while serving: what was answered is on record, always.

use crate::enclave::Enclave;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

const KILLS: usize = 50;

/// A small generator with a fixed seed: the points differ from round to round and are the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Asks again and again until told to stop, and tells of every answer that arrived whole.
fn keep_asking(enclave: &Enclave, stream: bool, stop: &AtomicBool, answered: &Sender<String>) {
    while !stop.load(Ordering::SeqCst) {
        if let Some(answer) = enclave.ask(stream) {
            let whole = !stream || answer.body.ends_with("data: [DONE]\n\n");
            if answer.status == 200 && whole {
                let _ = answered.send(answer.request.unwrap());
            }
        }
    }
}

/// One life of the service: it is killed after some answers and a moment more. Returns what was answered.
fn one_life(enclave: &Enclave, draws: &mut Draws) -> Vec<String> {
    let mut serving = enclave.serve();
    let (stop, (sender, answers)) = (AtomicBool::new(false), channel());
    let mut answered = Vec::new();
    std::thread::scope(|scope| {
        for stream in [false, true] {
            let (sender, stop) = (sender.clone(), &stop);
            scope.spawn(move || keep_asking(enclave, stream, stop, &sender));
        }
        for _ in 0..draws.below(4) {
            answered.push(answers.recv().unwrap());
        }
        let killed_at = Instant::now() + Duration::from_micros(draws.below(60_000));
        loop {
            match answers.recv_timeout(killed_at.saturating_duration_since(Instant::now())) {
                Ok(request) => answered.push(request),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        serving.kill().unwrap();
        serving.wait().unwrap();
        stop.store(true, Ordering::SeqCst);
    });
    answered.extend(answers.try_iter());
    answered
}

#[test]
fn fifty_kills_lose_no_acknowledged_answer() {
    let enclave = Enclave::prepared();
    let mut draws = Draws(0x9e37_79b9_7f4a_7c15);
    let mut answered = BTreeSet::new();
    for _ in 0..KILLS {
        answered.extend(one_life(&enclave, &mut draws));
    }
    // One more life, ended politely, so that everything that is on disk is also signed for.
    let mut serving = enclave.serve();
    rustix::process::kill_process(rustix::process::Pid::from_child(&serving), rustix::process::Signal::TERM)
        .unwrap();
    assert!(serving.wait().unwrap().success());
    enclave.run(&["audit", "check"]);

    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in enclave.records() {
        let event = &record["record"]["event"];
        if let (Some(request), Some(kind)) = (event["request"].as_str(), event["kind"].as_str()) {
            kinds.entry(request.to_owned()).or_default().insert(kind.to_owned());
        }
    }
    assert!(answered.len() >= KILLS / 2, "too few answers to prove anything: {}", answered.len());
    for request in &answered {
        let found = kinds.get(request);
        let both = found
            .is_some_and(|kinds| kinds.contains("request.admitted") && kinds.contains("request.settled"));
        assert!(both, "{request} was answered, but the ledger has {found:?}");
    }
    let started = |record: &&Value| record["record"]["event"]["kind"] == "service.started";
    assert_eq!(enclave.records().iter().filter(started).count(), KILLS + 1);
}
