//! The store against the filesystem and against stock skopeo.

use hermetic_bundle::custody::CUSTODY;
use hermetic_bundle::model_pack::{
    FileRole, ModelConfig, ModelDescriptor, ModelFile, ModelManifest, ModelTechnical,
};
use hermetic_bundle::oci::{Descriptor, EMPTY_CONTENT, ImageManifest, MediaType};
use hermetic_diagnostics::Diagnose;
use hermetic_digest::Digest;
use hermetic_store::{DamageKind, Store, StoreError};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn go_on(_: hermetic_store::ScrubProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Stores a ModelPack artifact of one weights file and tags it.
fn store_model(store: &Store, name: &str, weights: &[u8]) -> Descriptor {
    let digest = store.put_bytes(weights).unwrap();
    let path = "model.gguf".parse().unwrap();
    let files = vec![ModelFile { path, role: FileRole::Weights, digest, size: weights.len() as u64 }];
    let about = ModelDescriptor {
        created_at: "2026-11-23T00:00:00Z".parse().unwrap(),
        name: name.to_owned(),
        version: None,
        family: None,
        licenses: vec!["Apache-2.0".to_owned()],
    };
    let config = ModelConfig::new(about, ModelTechnical::default(), &files).to_bytes().unwrap();
    store.put_bytes(&config).unwrap();
    let manifest =
        ModelManifest::new(ModelConfig::descriptor_of(&config), files).unwrap().to_bytes().unwrap();
    store.put_bytes(&manifest).unwrap();
    let descriptor = ModelManifest::descriptor(&manifest);
    store.tag(&descriptor, name).unwrap();
    descriptor
}

fn store_referrer(store: &Store, model: &Descriptor) -> Descriptor {
    let kind: MediaType = CUSTODY.parse().unwrap();
    store.put_bytes(EMPTY_CONTENT).unwrap();
    let document = b"{\"who\":\"somebody\"}";
    store.put_bytes(document).unwrap();
    let empty = Descriptor::of(MediaType::empty(), EMPTY_CONTENT);
    let layers = vec![Descriptor::of(kind.clone(), document)];
    let manifest = ImageManifest::artifact(kind.clone(), empty, layers)
        .unwrap()
        .referring_to(model.clone())
        .to_bytes()
        .unwrap();
    store.put_bytes(&manifest).unwrap();
    let descriptor = Descriptor::of(MediaType::manifest(), &manifest).with_artifact_type(kind);
    store.list_untagged(&descriptor).unwrap();
    descriptor
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo").args(arguments).output().expect("skopeo is installed (apt: skopeo)");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn sorted_files(folder: &Path) -> Vec<(String, Digest)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), Digest::of(&std::fs::read(entry.path()).unwrap()))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn skopeo_reads_and_copies_a_model_out_with_every_digest_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let model = store_model(&store, "smollm2-135m-instruct:2026.11.1", &vec![7u8; 300_000]);
    store_referrer(&store, &model);

    let source = format!("oci:{}:smollm2-135m-instruct:2026.11.1", store.root().display());
    let raw = skopeo(&["inspect", "--raw", &source]);
    assert_eq!(Digest::of(&raw), model.digest);

    let out = folder.path().join("out");
    skopeo(&["copy", "--quiet", &source, &format!("dir:{}", out.display())]);
    let manifest = ModelManifest::parse(&raw).unwrap();
    let mut expected: Vec<_> = manifest.files().iter().map(|file| file.digest).collect();
    expected.push(manifest.config().digest);
    for digest in expected {
        assert!(sorted_files(&out).contains(&(digest.hex(), digest)), "{digest}");
    }
    assert!(sorted_files(&out).contains(&("manifest.json".to_owned(), model.digest)));
}

#[test]
fn skopeo_copies_a_model_into_a_layout_that_opens_here() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let model = store_model(&store, "m", b"weights");
    let copy = folder.path().join("copy");
    skopeo(&[
        "copy",
        "--quiet",
        &format!("oci:{}:m", store.root().display()),
        &format!("oci:{}:m", copy.display()),
    ]);
    let copied = Store::open_existing(&copy).unwrap();
    assert_eq!(copied.index().unwrap().tagged("m").unwrap().digest, model.digest);
    assert!(copied.scrub(&mut go_on).unwrap().is_clean());
}

#[test]
fn a_scrub_of_a_whole_store_is_clean_and_counts_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = store_model(&store, "m", &vec![1u8; 3_000_000]);
    store_referrer(&store, &model);
    let mut last = None;
    let report = store
        .scrub(&mut |progress| {
            last = Some(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.blobs, 6);
    let last = last.unwrap();
    assert_eq!((last.bytes_done, last.blobs_total), (last.bytes_total, 6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_scrub_names_the_blob_with_a_flipped_bit_and_what_needs_it(at: prop::sample::Index, bit in 0u8..8) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut weights = vec![9u8; 40_000];
        store_model(&store, "m", &weights);
        let digest = Digest::of(&weights);
        let position = at.index(weights.len());
        weights[position] ^= 1 << bit;
        std::fs::write(store.path_of(&digest), &weights).unwrap();
        let report = store.scrub(&mut go_on).unwrap();
        prop_assert!(!report.is_clean());
        prop_assert_eq!(report.damaged.len(), 1);
        prop_assert_eq!(report.damaged[0].digest, digest);
        prop_assert_eq!(&report.damaged[0].kind, &DamageKind::Altered { found: Digest::of(&weights) });
        prop_assert_eq!(&report.damaged[0].referred_by, &["m (model.gguf)".to_owned()]);
    }
}

#[test]
fn a_scrub_names_blobs_that_are_gone_cut_short_or_replaced_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for (name, weights) in [("gone", b"weights 1"), ("short", b"weights 2"), ("linked", b"weights 3")] {
        store_model(&store, name, weights);
    }
    let path = |weights: &[u8]| store.path_of(&Digest::of(weights));
    std::fs::remove_file(path(b"weights 1")).unwrap();
    std::fs::write(path(b"weights 2"), b"weig").unwrap();
    std::fs::rename(path(b"weights 3"), folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), path(b"weights 3")).unwrap();
    std::fs::write(folder.path().join("blobs/sha256/notes.txt"), b"stray").unwrap();
    let report = store.scrub(&mut go_on).unwrap();
    let damaged: std::collections::BTreeMap<_, _> =
        report.damaged.iter().map(|damage| (damage.digest, damage.kind.clone())).collect();
    assert_eq!(damaged.len(), 3, "{report:?}");
    assert_eq!(damaged[&Digest::of(b"weights 1")], DamageKind::Missing);
    assert_eq!(damaged[&Digest::of(b"weights 2")], DamageKind::Altered { found: Digest::of(b"weig") });
    assert_eq!(damaged[&Digest::of(b"weights 3")], DamageKind::Missing);
    assert_eq!(report.strays.len(), 2, "the note and the link: {:?}", report.strays);
}

#[test]
fn a_scrub_that_is_stopped_does_not_call_itself_complete() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store_model(&store, "m", b"weights");
    let report = store.scrub(&mut |_| ControlFlow::Break(())).unwrap();
    assert!(!report.complete && !report.is_clean());
}

#[test]
fn a_blob_appears_under_its_name_only_when_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = Digest::of(b"0123456789");
    let incoming = store.incoming(&digest, 10).unwrap();
    incoming.write_at(b"56789", 5).unwrap();
    incoming.flush_durable().unwrap();
    assert!(!store.contains(&digest));
    drop(incoming);
    // Another run goes on with what is there.
    let incoming = store.incoming(&digest, 10).unwrap();
    let mut tail = [0u8; 5];
    incoming.read_at(&mut tail, 5).unwrap();
    assert_eq!(&tail, b"56789");
    incoming.write_at(b"01234", 0).unwrap();
    incoming.seal(&digest).unwrap();
    assert_eq!(store.read_small(&digest).unwrap(), b"0123456789");
}

#[test]
fn a_scratch_file_that_is_not_sealed_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.incoming_scratch().unwrap().write_at(b"half", 0).unwrap();
    let left: Vec<_> =
        sorted_files(&folder.path().join("incoming")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["index.lock"]);
}

#[test]
fn names_given_from_many_threads_and_handles_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let model = store_model(&Store::open(folder.path()).unwrap(), "m", b"weights");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, model) = (Store::open(folder.path()).unwrap(), model.clone());
            scope.spawn(move || {
                for n in 0..8 {
                    store.tag(&model, &format!("t{thread}.{n}")).unwrap();
                }
            });
        }
    });
    assert_eq!(Store::open(folder.path()).unwrap().index().unwrap().manifests().len(), 33);
}

#[test]
fn a_disk_too_small_says_so_before_a_byte_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let too_much = hermetic_bounded_io::free_bytes(folder.path()).unwrap() * 2 + (1 << 30);
    let error = store.incoming(&Digest::of(b"x"), too_much).unwrap_err();
    assert_eq!(error.code().as_str(), "E0302", "{error:?}");
}

#[test]
fn refusing_a_blob_that_cannot_fit_takes_no_room_from_other_writers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let too_much = hermetic_bounded_io::free_bytes(folder.path()).unwrap() * 2 + (1 << 30);
    let refused = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Writers that find a full disk while the refusals go on would have lost their room to them.
        let writer = scope.spawn(|| {
            let mut written = 0_u64;
            while !refused.load(Ordering::Relaxed) {
                store.put_bytes(&written.to_le_bytes().repeat(8_192))?;
                written += 1;
            }
            Ok::<_, StoreError>(written)
        });
        for n in 0..64_u8 {
            store.incoming(&Digest::of(&[n]), too_much).unwrap_err();
        }
        refused.store(true, Ordering::Relaxed);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn a_folder_that_is_no_layout_and_a_layout_of_another_version_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_existing(folder.path()), Err(StoreError::NotALayout { .. })));
    std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::NotALayout { .. })));
}

#[test]
fn a_small_document_that_was_altered_is_not_returned() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = store.put_bytes(b"true").unwrap();
    std::fs::write(store.path_of(&digest), b"lies").unwrap();
    assert!(matches!(store.read_small(&digest), Err(StoreError::Damaged { .. })));
}
