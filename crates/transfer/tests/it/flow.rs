//! What happens to a good bundle: imported once, recorded, staged, promoted, rolled back.

use crate::enclave::{Enclave, order};
use crate::vendor::{Vendor, Wanted, weights};
use hermetic_bundle::ModelKind;
use hermetic_clock::Clock;
use hermetic_diagnostics::Diagnose;
use hermetic_ids::ReleaseVersion;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::Snapshot;
use hermetic_registry::{Mover, Registry};
use hermetic_transfer::import::{ImportError, NoProgress, Order, examine, import};
use hermetic_trust::{Anchor, Floor, Warning};
use std::time::Duration;

fn version(text: &str) -> ReleaseVersion {
    text.parse().unwrap()
}

fn records(enclave: &Enclave, count: u64) -> Vec<Event> {
    // The ledger signs what is new when it is asked for a checkpoint.
    enclave.site.ledger.checkpoint().unwrap();
    let snapshot = Snapshot::latest(&enclave.state.join("ledger")).unwrap();
    assert_eq!(snapshot.size(), count);
    (0..count)
        .map(|index| serde_json::from_slice::<Record>(&snapshot.read(index).unwrap()).unwrap().event)
        .collect()
}

#[test]
fn a_good_bundle_is_imported_once_and_every_byte_of_it_is_in_the_store() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    let chat = vendor.bundle(disk.path(), &Wanted::small("2026.11.1", 1));
    let enclave = Enclave::trusting(&vendor);

    let imported = enclave.import(disk.path()).unwrap();
    assert!(imported.imported_now);
    assert_eq!(imported.signers.len(), 2);
    assert!(imported.warnings.is_empty(), "{:?}", imported.warnings);
    assert_eq!(std::fs::read(enclave.site.store.path_of(&chat)).unwrap(), weights(1, 5 * 4096 + 100));
    assert!(enclave.scrub().is_clean());
    assert_eq!(
        enclave.site.store.index().unwrap().tagged("tiny-chat:2026.11.1").map(|d| d.size > 0),
        Some(true)
    );

    let again = enclave.import(disk.path()).unwrap();
    assert!(!again.imported_now);
    assert_eq!(again.leaf, imported.leaf);
    let events = records(&enclave, 1);
    let [Event::BundleImported(leaf)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (leaf.importer.as_str(), leaf.counter, leaf.release_digest),
        ("mara", 1, imported.release_digest)
    );
    assert_eq!(leaf.artifacts.len(), 2);
}

#[test]
fn custody_keeps_the_vendors_document_and_who_took_it_in() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::trusting(&vendor);
    enclave.import(disk.path()).unwrap();
    let artifacts = enclave.site.metadata.artifacts(&version("1")).unwrap();
    let custody: serde_json::Value = serde_json::from_str(&artifacts[0].custody).unwrap();
    assert_eq!(custody["importer"], "mara");
    assert_eq!(custody["imported_at"], "2026-11-23T12:00:00.000Z");
    assert_eq!(custody["vendor"]["licence"], "Apache-2.0");
}

#[test]
fn a_second_release_copies_only_what_is_new() {
    let (vendor, first, second) = (Vendor::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.bundle(first.path(), &Wanted::small("1", 1));
    vendor.bundle(second.path(), &Wanted::small("2", 2));
    let enclave = Enclave::trusting(&vendor);
    enclave.import(first.path()).unwrap();
    let plan = enclave.import(second.path()).unwrap().plan.unwrap();
    // The embedding model is the same in both releases.
    assert!(plan.bytes_present >= 1000, "{plan:?}");
    assert!(plan.bytes_to_copy > 5 * 4096 && plan.bytes_to_copy < plan.bytes, "{plan:?}");
    assert_eq!(plan.bytes_present + plan.bytes_to_copy, plan.bytes);
}

#[test]
fn a_blob_that_went_missing_is_put_back_by_importing_again() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    let chat = vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::trusting(&vendor);
    let leaf = enclave.import(disk.path()).unwrap().leaf;
    std::fs::remove_file(enclave.site.store.path_of(&chat)).unwrap();
    let again = enclave.import(disk.path()).unwrap();
    assert_eq!(again.leaf, leaf, "a repair is not a second import");
    assert!(enclave.site.store.contains(&chat));
    assert!(enclave.scrub().is_clean());
}

#[test]
fn an_import_without_an_engineer_is_refused() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::trusting(&vendor);
    for engineer in ["", "  ", "a\nb"] {
        let order = Order { engineer: engineer.to_owned(), ..order() };
        let error = import(&enclave.site, disk.path(), &order, &NoProgress).unwrap_err();
        assert_eq!(error.code().as_str(), "E0446", "{engineer:?}");
    }
}

#[test]
fn an_enclave_that_trusts_nobody_imports_nothing() {
    let (vendor, disk, state) = (Vendor::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::at(state.path(), crate::enclave::NOW);
    enclave.refuses(disk.path(), "E0400");
}

#[test]
fn checking_a_bundle_names_every_damaged_range_and_writes_nothing() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    let chat = vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let anchor = Anchor::explicit(vendor.root.clone());
    let floor = Floor::new([], 0);
    let good = examine(disk.path(), &anchor, floor, &NoProgress).unwrap();
    assert!(good.damage().is_none());
    let path = disk.path().join(hermetic_bundle::layout::blob_path(&chat));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    bytes[3 * 4096] ^= 0x80;
    std::fs::write(&path, bytes).unwrap();
    let bad = examine(disk.path(), &anchor, floor, &NoProgress).unwrap();
    let damaged: Vec<_> = bad.blobs.iter().flat_map(|b| b.damaged.clone()).collect();
    assert_eq!(damaged, [(0, 4096), (3 * 4096, 4 * 4096)]);
    assert!(matches!(bad.damage(), Some(ImportError::Damaged { first: 0, last: 4096, .. })));
}

#[test]
fn stale_metadata_is_allowed_with_a_warning_and_a_clock_in_the_past_is_noticed() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    let wanted = Wanted { expires: "2026-11-22T20:00:00Z", ..Wanted::small("1", 1) };
    vendor.bundle(disk.path(), &wanted);
    let enclave = Enclave::trusting(&vendor);
    let warnings = enclave.import(disk.path()).unwrap().warnings;
    assert!(warnings.iter().any(|w| matches!(w, Warning::Stale { .. })), "{warnings:?}");

    let next = tempfile::tempdir().unwrap();
    vendor.bundle(next.path(), &Wanted::small("2", 2));
    let behind = tempfile::tempdir().unwrap();
    let enclave = Enclave::at(behind.path(), "1999-01-01T00:00:00Z");
    enclave.pin(&vendor.root);
    let warnings = enclave.import(next.path()).unwrap().warnings;
    assert!(matches!(warnings.as_slice(), [Warning::ClockBehind { .. }]), "{warnings:?}");
}

#[test]
fn a_clock_that_once_stood_in_the_future_does_not_brick_later_imports() {
    let (vendor, first, second) = (Vendor::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.bundle(first.path(), &Wanted::small("1", 1));
    vendor.bundle(second.path(), &Wanted::small("2", 2));
    let state = tempfile::tempdir().unwrap();
    let ahead = Enclave::at(state.path(), "2039-01-01T00:00:00Z");
    ahead.pin(&vendor.root);
    assert!(!ahead.import(first.path()).unwrap().warnings.is_empty());
    drop(ahead);
    let corrected = Enclave::at(state.path(), crate::enclave::NOW);
    assert!(corrected.import(second.path()).unwrap().warnings.is_empty());
}

#[test]
fn a_release_serves_only_after_it_was_staged_and_promoted_and_every_move_is_a_leaf() {
    let (vendor, first, second) = (Vendor::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.bundle(first.path(), &Wanted::small("1", 1));
    vendor.bundle(second.path(), &Wanted::small("2", 2));
    let enclave = Enclave::trusting(&vendor);
    enclave.import(first.path()).unwrap();
    enclave.import(second.path()).unwrap();
    let site = &enclave.site;
    let registry = Registry::new(site.metadata.clone(), site.store.clone());
    let mover = Mover { ledger: &site.ledger, clock: &site.clock, by: "mara" };
    let (one, two) = (version("1"), version("2"));

    assert!(registry.production_models().unwrap().is_empty());
    assert_eq!(registry.promote(&one, mover).unwrap_err().code().as_str(), "E0505");
    assert_eq!(registry.rollback(mover).unwrap_err().code().as_str(), "E0506");
    registry.stage(&one, mover).unwrap();
    registry.promote(&one, mover).unwrap();
    let before = registry.generation().unwrap();
    let served = registry.production_models().unwrap();
    assert_eq!(
        served.iter().map(|m| (m.name.as_str(), m.kind)).collect::<Vec<_>>(),
        [("tiny-chat", ModelKind::Chat), ("tiny-embed", ModelKind::Embedding)]
    );
    assert_eq!(std::fs::read(&served[0].weights_path).unwrap(), weights(1, 5 * 4096 + 100));

    registry.stage(&two, mover).unwrap();
    assert_eq!(registry.promote(&two, mover).unwrap().displaced, Some(one.clone()));
    assert!(registry.generation().unwrap() > before);
    assert!(!registry.promote(&two, mover).unwrap().moved_now);
    assert_eq!(registry.stage(&one, mover).unwrap_err().code().as_str(), "E0511");
    assert_eq!(registry.rollback(mover).unwrap().release, one);
    assert_eq!(registry.production_models().unwrap()[0].release, one);
    assert_eq!(
        registry.rollback(mover).unwrap_err().code().as_str(),
        "E0506",
        "release 2 was rolled away from"
    );
    let moves: Vec<_> = records(&enclave, 7)
        .into_iter()
        .filter_map(|event| match event {
            Event::ReleaseMoved(moved) => Some((moved.action, moved.release)),
            _ => None,
        })
        .collect();
    let expected =
        [("stage", &one), ("promote", &one), ("stage", &two), ("promote", &two), ("rollback", &one)];
    assert_eq!(moves, expected.map(|(action, release)| (action.to_owned(), release.clone())));
}

#[test]
fn a_rollback_ends_after_thirty_days_and_needs_every_blob() {
    let (vendor, first, second) = (Vendor::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = vendor.bundle(first.path(), &Wanted::small("1", 1));
    vendor.bundle(second.path(), &Wanted::small("2", 2));
    let enclave = Enclave::trusting(&vendor);
    let site = &enclave.site;
    let registry = Registry::new(site.metadata.clone(), site.store.clone());
    let mover = Mover { ledger: &site.ledger, clock: &site.clock, by: "mara" };
    for (disk, release) in [(&first, "1"), (&second, "2")] {
        enclave.import(disk.path()).unwrap();
        registry.stage(&version(release), mover).unwrap();
        registry.promote(&version(release), mover).unwrap();
    }
    let path = site.store.path_of(&old);
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(registry.rollback(mover).unwrap_err().code().as_str(), "E0507");
    std::fs::write(&path, kept).unwrap();

    let late: Clock = site.clock.clone();
    late.advance(Duration::from_secs(30 * 24 * 3600 + 1));
    assert_eq!(registry.rollback(mover).unwrap_err().code().as_str(), "E0506");
    assert_eq!(registry.production_models().unwrap()[0].release, version("2"));
}
