//! The vendor changes keys: the disk proposes, people decide.

use crate::enclave::Enclave;
use crate::vendor::{TestKey, Vendor, Wanted};
use hermetic_diagnostics::Diagnose;
use hermetic_keys::SigningKey;
use hermetic_transfer::import::ImportError;
use hermetic_trust::{Pinning, Root, TrustError};
use tough::schema::{Role as _, Signature, Signed};

/// Version 2 of the vendor's root, signed by `keys`.
fn successor(vendor: &Vendor, version: u64, keys: &[&TestKey]) -> Vec<u8> {
    let mut root: Signed<tough::schema::Root> = serde_json::from_slice(vendor.root.bytes()).unwrap();
    root.signed.version = std::num::NonZeroU64::new(version).unwrap();
    let message = root.signed.canonical_form().unwrap();
    root.signatures = keys
        .iter()
        .map(|key| {
            let id = hermetic_trust::signing::key_id(*key.0.public().as_bytes()).unwrap();
            Signature {
                keyid: hex::decode(id).unwrap().into(),
                sig: key.0.sign(&message).unwrap().to_vec().into(),
            }
        })
        .collect();
    serde_json::to_vec(&root).unwrap()
}

#[test]
fn a_rotation_is_verified_but_adopted_only_by_pinning_it() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let keys: Vec<&TestKey> = vendor.root_keys.iter().collect();
    let next = successor(&vendor, 2, &keys);
    std::fs::write(disk.path().join("metadata/2.root.json"), &next).unwrap();
    let enclave = Enclave::trusting(&vendor);
    let error = enclave.refuses(disk.path(), "E0409");
    assert!(matches!(error, ImportError::Trust(TrustError::RotationNotPinned { pinned: 1, found: 2, .. })));

    let root = Root::parse(&next).unwrap();
    let pinning = enclave.site.trust.plan_pin(&root, &[], false).unwrap();
    assert_eq!(pinning, Pinning::Successor);
    enclave.site.trust.pin(&root, pinning).unwrap();
    assert_eq!(enclave.import(disk.path()).unwrap().root_version, 2);
}

#[test]
fn a_root_that_the_old_keys_did_not_sign_is_neither_imported_nor_pinned() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::trusting(&vendor);
    let stranger = TestKey(SigningKey::generate().unwrap());
    for (keys, code) in [(vec![&vendor.root_keys[0]], "E0402"), (vec![&stranger], "E0403")] {
        std::fs::write(disk.path().join("metadata/2.root.json"), successor(&vendor, 2, &keys)).unwrap();
        enclave.refuses(disk.path(), code);
    }
    let other = Vendor::new();
    let error = enclave.site.trust.plan_pin(&other.root, &[], false).unwrap_err();
    assert_eq!(error.code().as_str(), "E0440");
    assert_eq!(enclave.site.trust.plan_pin(&other.root, &[], true).unwrap(), Pinning::Replaced);
}

#[test]
fn a_damaged_newer_root_is_an_error_not_the_end_of_the_chain() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    vendor.bundle(disk.path(), &Wanted::small("1", 1));
    let enclave = Enclave::trusting(&vendor);
    let path = disk.path().join("metadata/2.root.json");
    std::os::unix::fs::symlink("1.root.json", &path).unwrap();
    enclave.refuses(disk.path(), "E0431");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"{").unwrap();
    enclave.refuses(disk.path(), "E0406");
}

#[test]
fn a_key_listed_twice_does_not_make_a_threshold_of_two() {
    let vendor = Vendor::new();
    let mut root: Signed<tough::schema::Root> = serde_json::from_slice(vendor.root.bytes()).unwrap();
    let targets = root.signed.roles.get_mut(&tough::schema::RoleType::Targets).unwrap();
    targets.keyids = vec![targets.keyids[0].clone(), targets.keyids[0].clone()];
    let message = root.signed.canonical_form().unwrap();
    for (signature, key) in root.signatures.iter_mut().zip(&vendor.root_keys) {
        let id = hermetic_trust::signing::key_id(*key.0.public().as_bytes()).unwrap();
        signature.keyid = hex::decode(id).unwrap().into();
        signature.sig = key.0.sign(&message).unwrap().to_vec().into();
    }
    let error = Root::parse(&serde_json::to_vec(&root).unwrap()).unwrap_err();
    assert_eq!(error.code().as_str(), "E0440");
    assert!(error.to_string().contains("targets"), "{error}");
}
