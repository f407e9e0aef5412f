//! A service whose disk is full: nobody is answered unrecorded, and it goes on by itself when there is room.

use crate::front::Front;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const PLAYED_IN: &str = "HERMETIC_TEST_SMALL_DISK";

/// Takes all the room there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let megabyte = vec![1_u8; 1 << 20];
    while file.write_all(&megabyte).is_ok() {}
    while file.write_all(&[1_u8; 512]).is_ok() {}
}

/// Played inside a mount namespace of its own, everything on a filesystem of 96 MiB.
#[test]
fn service_on_a_small_disk() {
    let Some(place) = std::env::var_os(PLAYED_IN) else { return };
    let ballast = Path::new(&place).join("ballast");
    let front = Front::new();
    let mut serving = front.serve();
    let pid = Pid::from_child(&serving);
    let mut answered = BTreeSet::new();
    let mut ask = || {
        let answer = front.ask("big", &"x".repeat(1_000));
        let answer = answer.unwrap_or_else(|| {
            let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            panic!("expected an answer, found none; the service: {ended:?}; {}", front.log())
        });
        if answer.status == 200 {
            answered.insert(answer.request.unwrap());
        } else {
            assert!(
                answer.status == 503 && answer.body.contains("E0602"),
                "{}: {}",
                answer.status,
                answer.body
            );
        }
        answer.status
    };
    for _ in 0..2 {
        assert_eq!(ask(), 200);
        fill(&ballast);
        while ask() == 200 {}
        std::fs::remove_file(&ballast).unwrap();
        while ask() != 200 {}
    }
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
    front.run(&["audit", "check"]);
    let requests = |kind: &str| -> BTreeSet<String> {
        let events = front.events_of(kind);
        events.into_iter().map(|event| event["request"].as_str().unwrap().to_owned()).collect()
    };
    assert!(
        answered.is_subset(&requests("request.admitted")) && answered.is_subset(&requests("request.settled"))
    );
    assert!(!front.events_of("ledger.full").is_empty() && !front.events_of("ledger.resumed").is_empty());
}

#[test]
fn a_full_disk_turns_requests_away_and_room_brings_them_back_with_nothing_lost() {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: this system lets nobody make a mount namespace");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=96m none \"${PLAYED_IN}\" && \
         TMPDIR=\"${PLAYED_IN}\" exec \"$0\" --exact full_disk::service_on_a_small_disk --test-threads=1"
    );
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(PLAYED_IN, place.path())
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}
