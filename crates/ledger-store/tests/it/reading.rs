//! Order, reading while writing, proofs that leave the house.

use super::support::{holds, open, options, record, verifier};
use hermetic_diagnostics::Diagnose;
use hermetic_ids::RequestId;
use hermetic_ledger::{Event, ProofFile, Record};
use hermetic_ledger_store::{Ledger, PendingAppend, Snapshot};

#[test]
fn indices_follow_the_order_of_submission() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let pending: Vec<PendingAppend> =
        (0..5000).map(|i| ledger.submit(&record(&format!("m{i}"), 10))).collect();
    for (pending, expected) in pending.into_iter().zip(0u64..) {
        assert_eq!(pending.wait().unwrap().index, expected);
    }
    assert!(ledger.batches() < 5000, "records share syncs");
    assert!(holds(&ledger.read(4321).unwrap(), "m4321"));
}

#[test]
fn every_proof_of_a_log_verifies_offline_and_with_no_other_key() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let pending: Vec<PendingAppend> =
        (0..700).map(|i| ledger.submit(&record(&format!("m{i}"), 10))).collect();
    pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    let key = verifier(place.path());
    let stranger = tempfile::tempdir().unwrap();
    for index in [0, 1, 255, 256, 511, 512, 698, 699] {
        let text = ledger.prove(index).unwrap().to_text();
        let proved = ProofFile::read(text.as_bytes()).unwrap().verify(&key).unwrap();
        assert_eq!(proved.index(), index);
        assert!(holds(proved.record(), &format!("m{index}")));
        let other = ProofFile::read(text.as_bytes()).unwrap().verify(&verifier(stranger.path()));
        assert_eq!(other.unwrap_err().code().as_str(), "E0609");
    }
    assert_eq!(ledger.prove(700).unwrap_err().code().as_str(), "E0615");
}

#[test]
fn a_snapshot_stays_readable_while_the_log_grows_past_its_tiles() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    for i in 0..100 {
        ledger.append_blocking(&record(&format!("m{i}"), 10)).unwrap();
    }
    let early = ledger.snapshot().unwrap();
    let pending: Vec<PendingAppend> =
        (100..2000).map(|i| ledger.submit(&record(&format!("m{i}"), 10))).collect();
    pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    ledger.close();
    assert_eq!(early.size(), 100);
    assert!(holds(&early.read(99).unwrap(), "m99"));
    assert!(early.read(100).is_err());
    let proof = early.prove(42).unwrap();
    assert!(proof.verify(&verifier(place.path())).is_ok());
    assert_eq!(Snapshot::latest(&place.path().join("ledger")).unwrap().size(), 2000);
}

#[test]
fn both_records_of_a_request_are_found() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let request = RequestId::from_bytes([7; 16]);
    let refused = |request: RequestId| {
        let event = serde_json::json!({"kind": "request.refused", "request": request.to_string(),
            "trace": "00".repeat(16), "credential": {"kind": "api-key", "key": "key_0000000000000000"},
            "owner": {"subject": "alice", "project": "p", "team": "t", "workflow": "w"}, "surface": "embeddings",
            "model": "m", "code": "E0800", "status": 403,
            "policy_digest": format!("sha256:{}", "0".repeat(64)), "policies": []});
        Record::new(1, serde_json::from_value::<Event>(event).unwrap())
    };
    for i in 0..600u64 {
        ledger.append_blocking(&record(&format!("m{i}"), 10)).unwrap();
        if i == 300 {
            ledger.append_blocking(&refused(request)).unwrap();
        }
    }
    let snapshot = ledger.snapshot().unwrap();
    assert_eq!(snapshot.find_request(request).unwrap(), [301]);
    assert!(snapshot.find_request(RequestId::from_bytes([8; 16])).unwrap().is_empty());
}

#[test]
fn a_record_longer_than_a_leaf_may_be_is_refused_and_the_longest_is_taken() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let overhead = record("m", 0).encode().unwrap().len();
    let longest = record("m", hermetic_ledger::RECORD_BYTES_MAX - overhead);
    assert_eq!(ledger.append_blocking(&longest).unwrap().index, 0);
    let longer = record("m", hermetic_ledger::RECORD_BYTES_MAX - overhead + 1);
    assert_eq!(ledger.append_blocking(&longer).unwrap_err().code().as_str(), "E0606");
    assert_eq!(ledger.read(0).unwrap(), longest.encode().unwrap());
}

#[test]
fn closing_signs_for_everything_and_a_log_goes_on_after_it() {
    let place = tempfile::tempdir().unwrap();
    let mut far = options(place.path());
    far.checkpoint_interval = std::time::Duration::from_secs(3600);
    let ledger = Ledger::open(far).unwrap();
    ledger.append_blocking(&record("first", 10)).unwrap();
    assert_eq!(Snapshot::latest(ledger.dir()).unwrap().size(), 0, "not signed yet");
    ledger.close();
    assert_eq!(Snapshot::latest(ledger.dir()).unwrap().size(), 1);
    let again = open(place.path());
    assert_eq!(again.append_blocking(&record("second", 10)).unwrap().index, 1);
    assert!(holds(&again.read(0).unwrap(), "first"));
}

#[test]
fn a_watch_wakes_for_a_checkpoint_that_came_after_it_began() {
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let mut watch = hermetic_ledger_store::CheckpointWatch::new(ledger.dir()).unwrap();
    ledger.append_blocking(&record("m", 1)).unwrap();
    ledger.checkpoint().unwrap();
    watch.wait().unwrap();
    assert_eq!(ledger.latest().unwrap().size(), 1);
}
