//! What an export makes, what it refuses, and what it leaves behind when it does.

use crate::enclave::Enclave;
use crate::workshop::{NOW, Workshop, at, ceremony_order, chat_gguf, gguf, wheel};
use hermetic_bundle::custody::SourceKind;
use hermetic_bundle::dsse::Envelope;
use hermetic_bundle::layout::{INDEX_FILE, STATEMENT_FILE};
use hermetic_bundle::{Contents, Custody, ImageIndex, Statement};
use hermetic_diagnostics::Diagnose;
use hermetic_digest::Digest;
use hermetic_gguf::{Header, Limits, Value};
use hermetic_store::Store;
use hermetic_transfer::export::ceremony::{RoleOrder, hold_ceremony};
use hermetic_transfer::export::{ExportError, Progress, Stage, export};
use hermetic_trust::Root;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

fn files_below(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, Digest::of(&fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn contents(bundle: &Path) -> (Statement, Contents) {
    let envelope = Envelope::parse(&fs::read(bundle.join(STATEMENT_FILE)).unwrap()).unwrap();
    let statement = Statement::parse(envelope.payload()).unwrap();
    let index = ImageIndex::parse(&fs::read(bundle.join(INDEX_FILE)).unwrap()).unwrap();
    let store = Store::open_existing(bundle).unwrap();
    let read = |at: &hermetic_bundle::Descriptor| store.read_small(&at.digest).map_err(Into::into);
    let contents = Contents::read(&index, statement.release(), read).unwrap();
    (statement, contents)
}

/// Builds a bundle that must be refused with `code`, and checks that nothing of it is left.
fn refused(workshop: &Workshop, code: &str) -> ExportError {
    let before = workshop.names();
    let error = workshop.build("refused").expect_err("the build should have been refused");
    assert_eq!(error.code().as_str(), code, "{:?}", hermetic_diagnostics::chain(&error));
    assert!(hermetic_diagnostics::page(code).is_some(), "{code} has no page");
    assert_eq!(workshop.names(), before, "a refused build left something behind");
    error
}

#[test]
fn what_was_built_is_imported_by_an_enclave_that_pinned_the_ceremonys_root() {
    let workshop = Workshop::new();
    let exported = workshop.build("bundle").unwrap();
    let state = tempfile::tempdir().unwrap();
    let enclave = Enclave::at(state.path(), NOW);
    enclave.pin(&Root::parse(&fs::read(workshop.path("keys/root.json")).unwrap()).unwrap());
    let imported = enclave.import(&workshop.path("bundle")).unwrap();
    assert_eq!((imported.release, imported.counter), (exported.release, 1));
    let chat = Digest::of(workshop.chat());
    assert_eq!(fs::read(enclave.site.store.path_of(&chat)).unwrap(), workshop.chat());
    assert!(enclave.scrub().is_clean());
}

#[test]
fn the_same_inputs_keys_and_time_give_the_same_bytes() {
    let workshop = Workshop::new();
    for out in ["one", "two"] {
        let mut order = workshop.order(out);
        order.created = Some(at("2026-11-23T01:02:03Z"));
        // The clock of the machine must not matter.
        order.now = if out == "one" { at(NOW) } else { at("2027-03-01T00:00:00Z") };
        export(&order, &hermetic_transfer::export::Unwatched).unwrap();
    }
    let one = files_below(&workshop.path("one"));
    assert!(one.len() > 12, "{one:?}");
    assert_eq!(one, files_below(&workshop.path("two")));
}

#[test]
fn the_order_of_models_in_the_release_file_is_no_part_of_the_release() {
    let workshop = Workshop::new();
    workshop.build("one").unwrap();
    let text = workshop.release_text();
    let (head, models) = text.split_once("models:\n").unwrap();
    let second = models.find("  - name: tiny-bert").unwrap();
    workshop.release(&format!("{head}models:\n{}\n{}", &models[second..], &models[..second]));
    workshop.build("two").unwrap();
    assert_eq!(files_below(&workshop.path("one")), files_below(&workshop.path("two")));
}

#[test]
fn custody_says_where_a_model_came_from_and_how_it_was_converted() {
    let workshop = Workshop::new();
    workshop.build("bundle").unwrap();
    let (_, contents) = contents(&workshop.path("bundle"));
    let of =
        |name: &str| contents.models().iter().find(|model| model.artifact.name.as_str() == name).unwrap();
    let chat = of("tiny-chat");
    let Custody { source, published_hash, derivation, .. } = &chat.custody;
    assert_eq!((source.kind, source.file.as_str()), (SourceKind::Wheel, "tiny_chat-1.whl"));
    let wheel_hash = Digest::of(&fs::read(workshop.path("tiny_chat-1.whl")).unwrap()).hex();
    assert_eq!(published_hash.as_ref().unwrap().value, wheel_hash);
    assert!(derivation.is_none());
    assert_eq!(chat.manifest.weights().unwrap().digest, Digest::of(workshop.chat()));

    let bert = of("tiny-bert");
    let derivation = bert.custody.derivation.as_ref().unwrap();
    let weights = bert.manifest.weights().unwrap();
    assert_eq!(derivation.output, weights.digest);
    assert_eq!(derivation.inputs.len(), 4, "the licence is shipped, not converted");
    assert_eq!(bert.custody.source.members.len(), 5);
    let made =
        fs::read(Store::open_existing(&workshop.path("bundle")).unwrap().path_of(&weights.digest)).unwrap();
    let header = Header::read(&mut made.as_slice(), &Limits::default()).unwrap();
    assert_eq!(header.architecture(), Some("bert"));
    let files: Vec<_> = bert.manifest.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["tiny-bert.gguf", "LICENSE"]);
}

#[test]
fn stock_skopeo_copies_a_model_out_of_the_bundle_with_its_digest_unchanged() {
    let workshop = Workshop::new();
    let exported = workshop.build("bundle").unwrap();
    let chat = exported.models.iter().find(|model| model.name.as_str() == "tiny-chat").unwrap();
    let out = workshop.path("out");
    let source = format!("oci:{}:tiny-chat", workshop.path("bundle").display());
    let output = Command::new("skopeo")
        .args(["copy", "--quiet", &source, &format!("dir:{}", out.display())])
        .output()
        .expect("skopeo is installed (apt: skopeo)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Digest::of(&fs::read(out.join("manifest.json")).unwrap()), chat.manifest);
    assert_eq!(fs::read(out.join(chat.weights.hex())).unwrap(), workshop.chat());
}

#[test]
fn a_release_follows_its_previous_one_and_never_goes_back() {
    let workshop = Workshop::new();
    workshop.build("first").unwrap();
    workshop.edit("2026.11.1", "2026.11.2");
    let mut order = workshop.order("second");
    order.previous = Some(workshop.path("first"));
    let second = export(&order, &hermetic_transfer::export::Unwatched).unwrap();
    assert_eq!(second.counter, 2);
    assert!(workshop.path("second/metadata/2.targets.json").exists());
    let (statement, _) = contents(&workshop.path("second"));
    let previous = statement.release().previous.clone().unwrap();
    assert_eq!((previous.version.as_str(), previous.counter), ("2026.11.1", 1));
    assert_eq!(
        previous.statement,
        Digest::of(&fs::read(workshop.path("first").join(STATEMENT_FILE)).unwrap())
    );

    let mut order = workshop.order("third");
    order.previous = Some(workshop.path("second"));
    let error = export(&order, &hermetic_transfer::export::Unwatched).unwrap_err();
    assert_eq!(error.code().as_str(), "E0413", "{error}");

    workshop.edit("2026.11.2", "2026.11.3");
    workshop.edit("collector:", "counter: 1\ncollector:");
    let error = export(&order, &hermetic_transfer::export::Unwatched).unwrap_err();
    assert_eq!(error.code().as_str(), "E0417", "{error}");
}

#[test]
fn a_previous_bundle_that_was_altered_is_refused() {
    let workshop = Workshop::new();
    workshop.build("first").unwrap();
    let statement = workshop.path("first").join(STATEMENT_FILE);
    let mut bytes = fs::read(&statement).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&statement, bytes).unwrap();
    let mut order = workshop.order("second");
    order.previous = Some(workshop.path("first"));
    let error = export(&order, &hermetic_transfer::export::Unwatched).unwrap_err();
    assert_eq!(error.code().as_str(), "E0414", "{error}");
}

#[test]
fn a_missing_wheel_and_a_name_that_fits_two_are_refused() {
    let workshop = Workshop::new();
    fs::copy(workshop.path("tiny_chat-1.whl"), workshop.path("tiny_chat-2.whl")).unwrap();
    let error = refused(&workshop, "E0312");
    assert!(error.to_string().contains("several"), "{error}");
    fs::remove_file(workshop.path("tiny_chat-1.whl")).unwrap();
    fs::remove_file(workshop.path("tiny_chat-2.whl")).unwrap();
    refused(&workshop, "E0312");
}

#[test]
fn one_flipped_bit_in_a_wheel_is_refused_before_anything_is_read_out_of_it() {
    let workshop = Workshop::new();
    let path = workshop.path("tiny_chat-1.whl");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 4;
    fs::write(&path, bytes).unwrap();
    let error = refused(&workshop, "E0313");
    assert!(matches!(error, ExportError::SourceHash { .. }), "{error}");
}

#[test]
fn a_member_that_is_not_there_and_a_member_with_another_hash_are_refused() {
    let workshop = Workshop::new();
    workshop.edit("chat/tiny.gguf", "chat/other.gguf");
    refused(&workshop, "E0314");
    workshop.edit("chat/other.gguf", "chat/tiny.gguf");
    workshop.edit(&Digest::of(workshop.chat()).hex(), &Digest::of(b"other").hex());
    refused(&workshop, "E0316");
}

/// Replaces the chat wheel by one with these files, pinned as it is.
fn with_chat_wheel(files: &[(&str, Vec<u8>)]) -> Workshop {
    let workshop = Workshop::new();
    let before = Digest::of(&fs::read(workshop.path("tiny_chat-1.whl")).unwrap());
    let after = wheel(&workshop.path("tiny_chat-1.whl"), files);
    workshop.edit(&before.hex(), &after.hex());
    workshop.edit(&format!("            sha256: {}\n", Digest::of(workshop.chat()).hex()), "");
    workshop
}

#[test]
fn an_archive_with_a_name_that_climbs_out_is_refused_whole() {
    for name in ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil"] {
        let good = chat_gguf(&[1; 400]);
        let workshop = with_chat_wheel(&[("chat/tiny.gguf", good), (name, b"x".to_vec())]);
        let error = refused(&workshop, "E0315");
        assert!(error.to_string().contains("unsafe name"), "{name}: {error}");
    }
}

#[test]
fn an_archive_that_declares_more_than_any_packing_could_hold_is_refused() {
    let workshop = with_chat_wheel(&[("chat/tiny.gguf", chat_gguf(&vec![0; 4_000]))]);
    let path = workshop.path("tiny_chat-1.whl");
    let mut bytes = fs::read(&path).unwrap();
    let before = Digest::of(&bytes);
    // The declared size in the central directory: 24 bytes into its entry (APPNOTE 4.3.12).
    let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[entry + 24..entry + 28].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    workshop.edit(&before.hex(), &Digest::of(&bytes).hex());
    refused(&workshop, "E0315");
}

#[test]
fn weights_an_enclave_could_not_serve_are_refused_here() {
    let text = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
    let no_template = gguf(&[text("general.architecture", "llama")], &[1; 400]);
    let mut cut = chat_gguf(&[1; 400]);
    cut.truncate(cut.len() - 64);
    for weights in [b"not a model at all".to_vec(), no_template, cut] {
        refused(&with_chat_wheel(&[("chat/tiny.gguf", weights)]), "E0320");
    }
}

#[test]
fn a_conversion_without_its_vocabulary_is_refused() {
    let workshop = Workshop::new();
    workshop.edit("          - { path: model/vocab.txt, role: config }\n", "");
    let error = refused(&workshop, "E0319");
    assert!(error.to_string().contains("vocab.txt"), "{error}");
}

#[test]
fn too_few_keys_are_noticed_before_anything_is_read() {
    let workshop = Workshop::new();
    fs::remove_file(workshop.path("keys/targets-2.pem")).unwrap();
    // If the wheels were opened first, this would be the error instead.
    fs::remove_file(workshop.path("tiny_chat-1.whl")).unwrap();
    let error = refused(&workshop, "E0410");
    let chain = hermetic_diagnostics::chain(&error).join(" ");
    assert!(chain.contains("expected 2 of the targets keys"), "{chain}");
}

#[test]
fn root_keys_are_not_needed_for_a_build() {
    let workshop = Workshop::new();
    for number in 1..=3 {
        fs::remove_file(workshop.path(&format!("keys/root-{number}.pem"))).unwrap();
    }
    workshop.build("bundle").unwrap();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let workshop = Workshop::new();
    let key = workshop.path("keys/targets-1.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&workshop, "E0983");
}

#[test]
fn an_output_that_is_there_is_never_touched() {
    let workshop = Workshop::new();
    workshop.build("bundle").unwrap();
    let before = files_below(&workshop.path("bundle"));
    let error = workshop.build("bundle").unwrap_err();
    assert_eq!(error.code().as_str(), "E0317");
    assert_eq!(files_below(&workshop.path("bundle")), before);
    let error = hold_ceremony(&ceremony_order(&workshop.path("keys"))).unwrap_err();
    assert_eq!(error.code().as_str(), "E0317");
}

#[test]
fn what_a_killed_build_left_is_taken_away_by_the_next() {
    let workshop = Workshop::new();
    fs::create_dir_all(workshop.path(".bundle.building/blobs/sha256")).unwrap();
    fs::write(workshop.path(".bundle.building/blobs/sha256/left-over"), b"x").unwrap();
    workshop.build("bundle").unwrap();
    assert!(!workshop.path(".bundle.building").exists());
    assert!(!files_below(&workshop.path("bundle")).keys().any(|name| name.ends_with("left-over")));
}

/// Stops at the first byte after so many.
struct StopAfter {
    bytes: u64,
    seen: AtomicU64,
}

impl Progress for StopAfter {
    fn stage(&self, _: Stage) {}
    fn advance(&self, bytes: u64) {
        self.seen.fetch_add(bytes, Ordering::SeqCst);
    }
    fn stopped(&self) -> bool {
        self.seen.load(Ordering::SeqCst) > self.bytes
    }
}

#[test]
fn a_build_that_is_stopped_anywhere_leaves_nothing() {
    let workshop = Workshop::new();
    let before = workshop.names();
    let whole = StopAfter { bytes: u64::MAX, seen: AtomicU64::new(0) };
    export(&workshop.order("whole"), &whole).unwrap();
    fs::remove_dir_all(workshop.path("whole")).unwrap();
    let total = whole.seen.load(Ordering::SeqCst);
    for eighth in 0..8 {
        let stop = StopAfter { bytes: total * eighth / 8, seen: AtomicU64::new(0) };
        match export(&workshop.order("stopped"), &stop) {
            Err(ExportError::Stopped) => {}
            // The last piece may come after the last question.
            Ok(_) if eighth == 7 => fs::remove_dir_all(workshop.path("stopped")).unwrap(),
            other => panic!("{eighth}: {other:?}"),
        }
        assert_eq!(workshop.names(), before, "stopped at {eighth}/8");
    }
}

#[test]
fn the_bytes_announced_are_the_bytes_read() {
    struct Counts {
        total: AtomicU64,
        seen: AtomicU64,
    }
    impl Progress for Counts {
        fn total(&self, bytes: u64) {
            self.total.store(bytes, Ordering::SeqCst);
        }
        fn advance(&self, bytes: u64) {
            self.seen.fetch_add(bytes, Ordering::SeqCst);
        }
    }
    let workshop = Workshop::new();
    let counts = Counts { total: AtomicU64::new(0), seen: AtomicU64::new(0) };
    export(&workshop.order("bundle"), &counts).unwrap();
    let (total, seen) = (counts.total.into_inner(), counts.seen.into_inner());
    // A conversion's output is announced as long as its input; headers and documentation differ a little.
    assert!(total.abs_diff(seen) < total / 10, "{total} announced, {seen} read");
}

#[test]
fn a_ceremony_makes_private_keys_and_a_root_an_enclave_accepts() {
    let workshop = Workshop::new();
    for ring in &workshop.ceremony.roles {
        for key in &ring.keys {
            let mode = fs::metadata(workshop.path("keys").join(&key.file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.file);
        }
    }
    let root = Root::parse(&fs::read(workshop.path("keys/root.json")).unwrap()).unwrap();
    assert_eq!((root.version(), root.digest()), (1, workshop.ceremony.root_digest));
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(workshop.path("keys/ceremony.json")).unwrap()).unwrap();
    assert_eq!(summary["root_digest"], workshop.ceremony.root_digest.to_string());
}

#[test]
fn a_threshold_no_keys_can_meet_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (keys, threshold) in [(2, 3), (0, 0), (2, 0)] {
        let mut order = ceremony_order(&folder.path().join("keys"));
        order.targets = RoleOrder { keys, threshold };
        let error = hold_ceremony(&order).unwrap_err();
        assert_eq!(error.code().as_str(), "E0412", "{keys}/{threshold}: {error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
