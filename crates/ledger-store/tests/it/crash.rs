//! `kill -9` at any point loses nothing that was acknowledged and never makes the tree another one.

use super::support::{Numbers, holds, open, play, record, role, verifier};
use hermetic_ledger::VerifiedCheckpoint;
use hermetic_ledger::path::is_consistent;
use hermetic_ledger_store::Ledger;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

const KILLS: u64 = 50;

/// Played by the killed process: four threads append for ever and print each index once it is acknowledged.
#[test]
fn crash_writer() {
    let Some(place) = role("crash-writer") else { return };
    // The test harness has begun a line of its own.
    println!();
    let ledger = open(&place);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let ledger = ledger.clone();
            scope.spawn(move || write_for_ever(&ledger, thread));
        }
    });
}

fn write_for_ever(ledger: &Ledger, thread: u64) {
    let mut numbers = Numbers(u64::from(std::process::id()) * 31 + thread + 1);
    for i in 0u64.. {
        let mark = format!("{}-{thread}-{i}", std::process::id());
        let filling = if numbers.below(4) == 0 { 40_000 } else { 300 };
        let appended = ledger.append_blocking(&record(&mark, filling)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {} {mark}", appended.index).unwrap();
        out.flush().unwrap();
    }
}

/// Runs the writer, kills it after `acks` acknowledgements, returns all that were printed.
fn run_and_kill(place: &Path, acks: u64) -> Vec<(u64, String)> {
    let mut child = play("crash-writer", "it::crash::crash_writer", place).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut take = |line: String| {
        let mut words = line.split(' ');
        if words.next() == Some("ack") {
            let (index, mark) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().to_owned());
            seen.push((index, mark));
        }
        seen.len() as u64
    };
    while take(lines.next().unwrap().unwrap()) < acks {}
    child.kill().unwrap();
    // What was printed before the kill counts, also what still lies in the pipe; a torn last line does not.
    for line in lines.map_while(Result::ok).filter(|line| line.split(' ').count() == 3) {
        take(line);
    }
    child.wait().unwrap();
    seen
}

#[test]
fn nothing_acknowledged_is_lost_by_fifty_kills() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let mut numbers = Numbers(0x9E37_79B9);
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    let mut checkpoints = Vec::new();
    for round in 0..KILLS {
        acknowledged.extend(run_and_kill(place, 1 + numbers.below(80)));
        // What was published when the process died is a promise as well.
        if let Ok(snapshot) = hermetic_ledger_store::Snapshot::latest(&place.join("ledger")) {
            let open = VerifiedCheckpoint::open(snapshot.note(), &verifier(place)).unwrap();
            checkpoints.push(open.get().clone());
        }
        let ledger = open(place);
        assert!(ledger.is_writer());
        let snapshot = ledger.snapshot().unwrap();
        let now = VerifiedCheckpoint::open(snapshot.note(), &verifier(place)).unwrap().get().clone();
        for before in &checkpoints {
            let path = snapshot.consistency(before.size).unwrap();
            assert!(
                is_consistent((before.size, before.root), (now.size, now.root), &path),
                "{before:?} {now:?}"
            );
        }
        checkpoints.push(now);
        // All of the last round; of the earlier ones a sample, all of them at the end.
        let thorough = round + 1 == KILLS;
        for (index, mark) in acknowledged.iter().rev().take(if thorough { usize::MAX } else { 80 }) {
            assert!(
                holds(&snapshot.read(*index).unwrap(), mark),
                "record {index} was acknowledged as {mark}"
            );
        }
        ledger.close();
    }
    let snapshot = open(place).snapshot().unwrap();
    let report = hermetic_ledger_store::check(&snapshot, &verifier(place), |_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(acknowledged.len() as u64 >= KILLS && report.records >= acknowledged.len() as u64);
}
