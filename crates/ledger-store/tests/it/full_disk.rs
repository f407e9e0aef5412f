//! A disk that is full: refused, recorded, resumed.

use super::support::{PLACE, ROLE, holds, open, record, role};
use hermetic_diagnostics::Diagnose;
use hermetic_ledger::RecordView;
use hermetic_ledger_store::Health;
use std::process::Command;

/// Played inside a mount namespace of its own, on a filesystem of 68 MiB.
#[test]
fn full_disk_writer() {
    let Some(place) = role("full-disk-writer") else { return };
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![1u8; 24 << 20]).unwrap();
    // What recovery writes at the end must find room, whatever the ledger has filled by then.
    let spare = place.join("spare");
    std::fs::write(&spare, vec![1u8; 16 << 20]).unwrap();
    let ledger = open(&place);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let mark = format!("m{}", acknowledged.len());
        match ledger.append_blocking(&record(&mark, 30_000)) {
            Ok(appended) => acknowledged.push((appended.index, mark)),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 5000, "68 MiB are full by now");
    };
    assert_eq!(refused.code().as_str(), "E0602");

    std::fs::remove_file(&ballast).unwrap();
    // The publisher finds the room when it is asked to sign, or by itself at its next interval.
    ledger.checkpoint().unwrap();
    let resumed = loop {
        match ledger.append_blocking(&record("after", 30_000)) {
            Ok(appended) => break appended.index,
            Err(error) => assert_eq!(error.code().as_str(), "E0602"),
        }
    };
    assert!(matches!(ledger.health(), Health::Writing));
    // The refusal and the end of it are records themselves, in the room kept for them. Old segments that go give room
    // back at any moment, so there may be several pairs, but never one without the other and never out of turn.
    let own: Vec<String> = (0..resumed)
        .map(|index| RecordView::of(index, &ledger.read(index).unwrap()).kind)
        .filter(|kind| kind.starts_with("ledger."))
        .collect();
    assert!(
        !own.is_empty() && own.chunks(2).all(|pair| pair == ["ledger.full", "ledger.resumed"]),
        "{own:?}"
    );
    for (index, mark) in acknowledged {
        assert!(holds(&ledger.read(index).unwrap(), &mark), "{mark}");
    }
    ledger.close();
    std::fs::remove_file(&spare).unwrap();
    assert!(holds(&open(&place).read(resumed).unwrap(), "after"));
}

#[test]
fn a_full_disk_refuses_records_says_so_in_the_log_and_resumes() {
    let place = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=68m none "$HERMETIC_LEDGER_TEST_PLACE" && exec "$0" --exact it::full_disk::full_disk_writer --test-threads=1"#;
    let allowed = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("skipped: this system lets nobody make a mount namespace");
        return;
    }
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, "full-disk-writer")
        .env(PLACE, place.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
