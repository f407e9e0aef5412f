//! Prompts and answers that are kept: sealed on the disk, and opened by nobody unrecorded.

use crate::front::Front;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::Child;

const WORDS: &str = "words that were said in confidence";

fn stop(mut serving: Child) {
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
}

/// Whether any file below `folder` has [`WORDS`] in it.
fn is_readable_below(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => is_readable_below(&path),
        // A socket cannot be read.
        false => std::fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(WORDS.len()).any(|window| window == WORDS.as_bytes())),
    })
}

#[test]
fn kept_content_is_sealed_and_whoever_opens_it_is_on_record() {
    let front = Front::new();
    let keeping = "origin: test.example/ledger, capture: encrypted";
    let text = front.config("", "").replace("origin: test.example/ledger", keeping);
    std::fs::write(front.path("hermetic.yaml"), text).unwrap();
    let serving = front.serve();
    let request = front.ask("big", WORDS).unwrap().request.unwrap();
    let shown = front.run(&["--json", "audit", "show", &request, "--content", "--by", "Ada Example"]).stdout;
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert!(shown["prompt"]["text"].as_str().unwrap().contains(WORDS), "{shown}");
    assert!(shown["answer"]["text"].as_str().unwrap().contains("finish_reason"), "{shown}");
    let without = front.run(&["audit", "show", &request]).stdout;
    assert!(!String::from_utf8(without).unwrap().contains(WORDS));
    stop(serving);
    assert!(!is_readable_below(Path::new(&front.path("state"))));
    let read = front.events_of("content.read");
    assert_eq!(read.len(), 1);
    assert_eq!((read[0]["request"].as_str(), read[0]["by"].as_str()), (Some(&*request), Some("Ada Example")));
}

#[test]
fn content_that_was_not_kept_is_not_there_and_nothing_was_read() {
    let front = Front::new();
    let serving = front.serve();
    let request = front.ask("big", WORDS).unwrap().request.unwrap();
    let refused = front.try_run(&["audit", "show", &request, "--content"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("E0622"));
    stop(serving);
    assert!(front.events_of("content.read").is_empty());
}
