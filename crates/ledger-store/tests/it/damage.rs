//! What recovery and the full check say when files are not as they were left.

use super::support::{holds, open, open_error, options, record, verifier};
use hermetic_diagnostics::Diagnose;
use hermetic_ledger_store::{Ledger, check};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn filled(place: &Path, records: u64) {
    let ledger = open(place);
    for i in 0..records {
        ledger.append_blocking(&record(&format!("m{i}"), 50)).unwrap();
    }
    ledger.close();
}

fn only_segment(place: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(place.join("ledger/wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    assert_eq!(segments.len(), 1);
    segments.pop().unwrap()
}

/// Offset of the frame that carries `mark`: 32 bytes before its record.
fn frame_of(segment: &Path, mark: &str) -> u64 {
    let content = std::fs::read(segment).unwrap();
    let needle = format!("\"{mark} ");
    let at = content.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    let start = content[..at].windows(4).rposition(|window| window == b"{\"v\"").unwrap();
    start as u64 - 32
}

fn change(path: &Path, at: u64, bytes: &[u8]) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn an_older_copy_put_back_is_noticed_as_a_rewind() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    filled(place, 3);
    copy_tree(&place.join("ledger"), &place.join("backup"));
    filled(place, 3);
    std::fs::remove_dir_all(place.join("ledger")).unwrap();
    std::fs::rename(place.join("backup"), place.join("ledger")).unwrap();
    let error = open_error(place);
    assert_eq!(
        (error.code().as_str(), error.to_string().contains("the 6 records")),
        ("E0603", true),
        "{error}"
    );
}

#[test]
fn a_ledger_that_lost_its_segments_is_not_begun_anew() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 3);
    std::fs::remove_dir_all(place.path().join("ledger")).unwrap();
    assert_eq!(open_error(place.path()).code().as_str(), "E0603");
}

#[test]
fn a_different_history_of_the_same_length_is_never_signed() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(theirs.path().join("keys")).unwrap();
    filled(ours.path(), 3);
    std::fs::copy(ours.path().join("keys/ledger.pem"), theirs.path().join("keys/ledger.pem")).unwrap();
    let ledger = open(theirs.path());
    for i in 0..3 {
        ledger.append_blocking(&record(&format!("other{i}"), 50)).unwrap();
    }
    ledger.close();
    std::fs::remove_dir_all(ours.path().join("ledger")).unwrap();
    copy_tree(&theirs.path().join("ledger"), &ours.path().join("ledger"));
    assert_eq!(open_error(ours.path()).code().as_str(), "E0614");
}

#[test]
fn another_key_does_not_go_on_with_a_log() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 3);
    std::fs::remove_file(place.path().join("keys/ledger.pem")).unwrap();
    assert_eq!(open_error(place.path()).code().as_str(), "E0614");
}

#[test]
fn damage_to_an_acknowledged_record_is_refused_and_not_cut_off() {
    let place = tempfile::tempdir().unwrap();
    let mut unsigned = options(place.path());
    unsigned.checkpoint_interval = std::time::Duration::from_secs(3600);
    let ledger = Ledger::open(unsigned).unwrap();
    for i in 0..10 {
        ledger.append_blocking(&record(&format!("m{i}"), 50)).unwrap();
    }
    // As after a kill: durable, acknowledged, not yet signed for.
    let elsewhere = tempfile::tempdir().unwrap();
    let killed = elsewhere.path().join("killed");
    copy_tree(place.path(), &killed);
    let segment = only_segment(&killed);
    change(&segment, frame_of(&segment, "m4") + 40, b"!");
    let error = open_error(&killed);
    assert_eq!(error.code().as_str(), "E0605", "{error}");
    assert!(error.to_string().contains("record 4"), "{error}");
}

#[test]
fn a_torn_tail_is_cut_off_and_does_not_come_back() {
    let place = tempfile::tempdir().unwrap();
    let mut unsigned = options(place.path());
    unsigned.checkpoint_interval = std::time::Duration::from_secs(3600);
    let ledger = Ledger::open(unsigned).unwrap();
    for i in 0..10 {
        ledger.append_blocking(&record(&format!("m{i}"), 50)).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let killed = elsewhere.path().join("killed");
    copy_tree(place.path(), &killed);
    let segment = only_segment(&killed);
    // The last batch half written: its end is on the disk, its beginning is not.
    change(&segment, frame_of(&segment, "m9"), &[0; 60]);
    let ledger = open(&killed);
    assert_eq!(ledger.size(), 9);
    assert_eq!(ledger.append_blocking(&record("new9", 50)).unwrap().index, 9);
    ledger.close();
    let again = open(&killed);
    assert_eq!(again.size(), 10);
    assert!(holds(&again.read(9).unwrap(), "new9"));
}

#[test]
fn tiles_lost_in_a_power_cut_are_written_again_from_the_segments() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 600);
    let tiles = place.path().join("ledger/tile");
    std::fs::remove_dir_all(tiles.join("entries")).unwrap();
    std::fs::write(tiles.join("0/000"), b"").unwrap();
    let ledger = open(place.path());
    let report = check(&ledger.snapshot().unwrap(), &verifier(place.path()), |_| {}).unwrap();
    assert!(report.is_sound() && report.records == 600, "{report:?}");
}

#[test]
fn the_full_check_names_every_changed_file() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 600);
    let ledger = place.path().join("ledger");
    let sound = |expected: &[&str]| {
        let snapshot = hermetic_ledger_store::Snapshot::latest(&ledger).unwrap();
        let report = check(&snapshot, &verifier(place.path()), |_| {}).unwrap();
        let files: Vec<&str> = report.findings.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(files, expected, "{report:?}");
    };
    sound(&[]);
    change(&ledger.join("tile/entries/000"), 300, b"!");
    sound(&["tile/0/000", "tile/1/000.p/2", "checkpoint"]);
    std::fs::remove_file(ledger.join("tile/entries/000")).unwrap();
    sound(&["tile/entries/000"]);
    change(&ledger.join("tile/0/001"), 8000, b"!!");
    sound(&["tile/entries/000", "tile/0/001"]);
    change(&ledger.join("checkpoint"), 3, b"!");
    sound(&["checkpoint", "tile/entries/000", "tile/0/001"]);
}

#[test]
fn a_proof_is_not_handed_out_when_it_would_not_verify() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 300);
    change(&place.path().join("ledger/tile/entries/000"), 300, b"!");
    let snapshot = hermetic_ledger_store::Snapshot::latest(&place.path().join("ledger")).unwrap();
    let codes: Vec<&str> =
        (0..5).filter_map(|index| snapshot.prove(index).err()).map(|error| error.code().as_str()).collect();
    assert_eq!(codes, ["E0616"], "exactly the changed record cannot be proved");
}
