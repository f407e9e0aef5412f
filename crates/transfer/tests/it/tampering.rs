//! A hostile disk: each way of lying has its own code, leaves nothing behind, and does not spoil the next import.

use crate::enclave::{Enclave, NOW};
use crate::vendor::{Vendor, Wanted};
use hermetic_bundle::layout::{
    BLOBS_FOLDER, INDEX_FILE, OCI_LAYOUT_FILE, PART_TABLE_FILE, STATEMENT_FILE, blob_path,
};
use hermetic_digest::Digest;
use hermetic_transfer::import::{ImportError, Plan, Progress};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use tough::schema::{Signature, Signed, Snapshot, Timestamp};

/// A vendor, an enclave that trusts it, and a disk with a good bundle to be spoiled.
struct Case {
    vendor: Vendor,
    enclave: Enclave,
    disk: tempfile::TempDir,
    chat: Digest,
}

impl Case {
    fn new() -> Self {
        Self::with(&Wanted::small("2026.11.2", 2))
    }

    fn with(wanted: &Wanted) -> Self {
        let vendor = Vendor::new();
        let disk = tempfile::tempdir().unwrap();
        let chat = vendor.bundle(disk.path(), wanted);
        let enclave = Enclave::trusting(&vendor);
        Self { vendor, enclave, disk, chat }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.disk.path().join(file)
    }

    fn blob(&self) -> PathBuf {
        self.path(&blob_path(&self.chat))
    }

    /// The bundle is refused with `code`; afterwards a good one is imported.
    fn refused(self, code: &str) -> ImportError {
        let error = self.enclave.refuses(self.disk.path(), code);
        let good = tempfile::tempdir().unwrap();
        self.vendor.bundle(good.path(), &Wanted::small("2026.11.9", 9));
        assert!(self.enclave.import(good.path()).unwrap().imported_now);
        assert!(self.enclave.scrub().is_clean());
        error
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn one_flipped_byte_in_a_blob_is_found_with_its_file_and_range() {
    let case = Case::new();
    flip(&case.blob(), 2 * 4096 + 17);
    let file = blob_path(&case.chat);
    let error = case.refused("E0435");
    assert_eq!(error.to_string(), format!("`{file}` is damaged between byte 8192 and byte 12288 (part 2)"));
}

#[test]
fn one_flipped_byte_in_any_other_file_is_found_too() {
    let case = Case::new();
    let mut files = Vec::new();
    collect(case.disk.path(), case.disk.path(), &mut files);
    for file in files.iter().filter(|f| {
        !f.ends_with("root.json") && !f.ends_with("hermetic-bundle.json") && *f != OCI_LAYOUT_FILE
    }) {
        let path = case.path(file);
        let good = fs::read(&path).unwrap();
        // An enclave for each: what one import found good, the next does not read again.
        let enclave = Enclave::trusting(&case.vendor);
        let before = enclave.visible();
        for at in [0, good.len() / 2, good.len() - 1] {
            // White space after a document is not covered by a signature, and says nothing.
            if good[at].is_ascii_whitespace() && file.ends_with("timestamp.json") {
                continue;
            }
            flip(&path, at);
            assert!(enclave.import(case.disk.path()).is_err(), "{file} byte {at}");
            assert_eq!(enclave.visible(), before, "{file} byte {at}");
            fs::write(&path, &good).unwrap();
        }
        assert!(enclave.import(case.disk.path()).unwrap().imported_now, "{file}");
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn a_missing_blob_is_found_before_anything_is_copied() {
    let case = Case::new();
    fs::remove_file(case.blob()).unwrap();
    let file = blob_path(&case.chat);
    let error = case.refused("E0433");
    assert!(error.to_string().contains(&file), "{error}");
}

#[test]
fn a_metadata_file_of_another_bundle_is_refused() {
    // The same version numbers, other content: found by hash.
    for file in ["2.snapshot.json", "2.targets.json"] {
        let case = Case::new();
        let other = tempfile::tempdir().unwrap();
        case.vendor.bundle(other.path(), &Wanted { metadata: 2, ..Wanted::small("2026.11.3", 3) });
        fs::copy(other.path().join("metadata").join(file), case.path("metadata").join(file)).unwrap();
        let error = case.refused("E0404");
        let text = format!("{:?}", hermetic_diagnostics::chain(&error));
        assert!(text.contains(file), "{text}");
    }
    // Other version numbers: found by name.
    let case = Case::new();
    let other = tempfile::tempdir().unwrap();
    case.vendor.bundle(other.path(), &Wanted::small("2026.11.3", 3));
    fs::copy(other.path().join("metadata/timestamp.json"), case.path("metadata/timestamp.json")).unwrap();
    case.refused("E0404");
}

/// Signs a document with the vendor's snapshot and timestamp key.
fn signed_online<T: tough::schema::Role + serde::Serialize>(vendor: &Vendor, document: T) -> Vec<u8> {
    let message = document.canonical_form().unwrap();
    let key = &vendor.online_key.0;
    let id = hermetic_trust::signing::key_id(*key.public().as_bytes()).unwrap();
    let signature = Signature {
        keyid: hex::decode(id).unwrap().into(),
        sig: key.sign(&message).unwrap().to_vec().into(),
    };
    serde_json::to_vec(&Signed { signed: document, signatures: vec![signature] }).unwrap()
}

/// Puts `targets` in the bundle and makes snapshot and timestamp name it, as whoever holds only the online key could.
fn put_targets(case: &Case, targets: &[u8]) {
    let folder = case.path("metadata");
    fs::write(folder.join("2.targets.json"), targets).unwrap();
    let mut snapshot: Signed<Snapshot> =
        serde_json::from_slice(&fs::read(folder.join("2.snapshot.json")).unwrap()).unwrap();
    let meta = snapshot.signed.meta.get_mut("targets.json").unwrap();
    meta.length = Some(targets.len() as u64);
    meta.hashes.as_mut().unwrap().sha256 = Digest::of(targets).as_bytes().to_vec().into();
    let snapshot = signed_online(&case.vendor, snapshot.signed);
    fs::write(folder.join("2.snapshot.json"), &snapshot).unwrap();
    let mut timestamp: Signed<Timestamp> =
        serde_json::from_slice(&fs::read(folder.join("timestamp.json")).unwrap()).unwrap();
    let meta = timestamp.signed.meta.get_mut("snapshot.json").unwrap();
    meta.length = Some(snapshot.len() as u64);
    meta.hashes.as_mut().unwrap().sha256 = Digest::of(&snapshot).as_bytes().to_vec().into();
    fs::write(folder.join("timestamp.json"), signed_online(&case.vendor, timestamp.signed)).unwrap();
}

#[test]
fn too_few_signatures_are_counted_and_named() {
    let case = Case::new();
    let path = case.path("metadata/2.targets.json");
    let mut targets: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    targets["signatures"].as_array_mut().unwrap().pop();
    put_targets(&case, &serde_json::to_vec(&targets).unwrap());
    let error = case.refused("E0402");
    let text = format!("{:?}", hermetic_diagnostics::chain(&error));
    assert!(text.contains("2 of the targets keys, found 1"), "{text}");
}

#[test]
fn one_key_signing_twice_is_one_key() {
    let case = Case::new();
    let path = case.path("metadata/2.targets.json");
    let mut targets: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let signatures = targets["signatures"].as_array_mut().unwrap();
    signatures[1] = signatures[0].clone();
    put_targets(&case, &serde_json::to_vec(&targets).unwrap());
    case.refused("E0406");
}

#[test]
fn a_bundle_by_somebody_else_is_refused_by_its_keys() {
    let case = Case::new();
    let (stranger, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    stranger.bundle(disk.path(), &Wanted::small("2026.11.2", 2));
    case.enclave.refuses(disk.path(), "E0403");
    // Also when they bring the vendor's own root along.
    fs::copy(case.path("metadata/1.root.json"), disk.path().join("metadata/1.root.json")).unwrap();
    case.enclave.refuses(disk.path(), "E0403");
}

#[test]
fn an_older_release_is_refused_whether_its_metadata_is_old_or_made_new() {
    let case = Case::new();
    case.enclave.import(case.disk.path()).unwrap();
    let old = tempfile::tempdir().unwrap();
    case.vendor.bundle(old.path(), &Wanted::small("2026.11.1", 1));
    case.enclave.refuses(old.path(), "E0405");
    let resigned = tempfile::tempdir().unwrap();
    case.vendor.bundle(resigned.path(), &Wanted { metadata: 7, ..Wanted::small("2026.11.1", 1) });
    case.enclave.refuses(resigned.path(), "E0438");
    let rebuilt = tempfile::tempdir().unwrap();
    let wanted = Wanted { metadata: 7, created: "2026-11-22T11:00:00Z", ..Wanted::small("2026.11.2", 2) };
    case.vendor.bundle(rebuilt.path(), &wanted);
    case.enclave.refuses(rebuilt.path(), "E0439");
}

#[test]
fn a_refused_bundle_does_not_raise_what_later_ones_are_measured_against() {
    let case = Case::with(&Wanted { metadata: 50, ..Wanted::small("2026.11.2", 2) });
    flip(&case.blob(), 0);
    case.enclave.refuses(case.disk.path(), "E0435");
    let good = tempfile::tempdir().unwrap();
    case.vendor.bundle(good.path(), &Wanted::small("2026.11.3", 3));
    assert!(case.enclave.import(good.path()).unwrap().imported_now);
}

#[test]
fn a_role_that_has_provably_expired_is_refused_by_the_floor_not_by_the_clock() {
    let vendor = Vendor::new();
    let (later, stale) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    vendor.bundle(later.path(), &Wanted { created: "2027-03-01T00:00:00Z", ..Wanted::small("1", 1) });
    vendor.bundle(stale.path(), &Wanted { expires: "2027-02-01T00:00:00Z", ..Wanted::small("2", 2) });
    let enclave = Enclave::trusting(&vendor);
    // The machine's clock stands at NOW, before both dates; what proves the time is the first release's signature.
    assert!(NOW < "2027-02-01");
    enclave.import(later.path()).unwrap();
    let error = enclave.refuses(stale.path(), "E0407");
    let text = format!("{:?}", hermetic_diagnostics::chain(&error));
    assert!(text.contains("targets metadata expired on 2027-02-01") && text.contains("2027-03-01"), "{text}");
}

#[test]
fn links_devices_and_strangers_files_are_refused() {
    let case = Case::new();
    let outside = tempfile::tempdir().unwrap();
    fs::rename(case.blob(), outside.path().join("blob")).unwrap();
    symlink(outside.path().join("blob"), case.blob()).unwrap();
    case.refused("E0431");

    let case = Case::new();
    let outside = tempfile::tempdir().unwrap();
    fs::rename(case.path("metadata"), outside.path().join("metadata")).unwrap();
    symlink(outside.path().join("metadata"), case.path("metadata")).unwrap();
    case.refused("E0431");

    let case = Case::new();
    fs::remove_file(case.path("metadata/timestamp.json")).unwrap();
    symlink("/etc/hostname", case.path("metadata/timestamp.json")).unwrap();
    case.refused("E0431");

    let case = Case::new();
    fs::write(case.path("autorun.inf"), b"x").unwrap();
    case.refused("E0431");

    let case = Case::new();
    fs::write(case.path(&format!("{BLOBS_FOLDER}/{}", Digest::of(b"unsigned").hex())), b"unsigned").unwrap();
    case.refused("E0431");

    let case = Case::new();
    let fifo = case.path("release/pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    case.refused("E0431");
}

#[test]
fn a_path_that_climbs_out_of_its_folder_is_refused_although_it_is_signed() {
    for path in ["../../../etc/cron.d/x", "/etc/cron.d/x", "a/../../x", "a\\\\..\\\\x"] {
        let edit =
            move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("model.gguf", path).into_bytes();
        let case = Case::with(&Wanted { edit_manifest: Box::new(edit), ..Wanted::small("2026.11.2", 2) });
        case.refused("E0432");
    }
}

#[test]
fn a_size_that_is_not_the_files_is_refused_wherever_it_is_told() {
    let case = Case::new();
    fs::OpenOptions::new().append(true).open(case.blob()).unwrap().write_all(b"more").unwrap();
    case.refused("E0434");

    let case = Case::new();
    fs::OpenOptions::new().write(true).open(case.blob()).unwrap().set_len(4096).unwrap();
    case.refused("E0434");

    // Signed documents that disagree with the file, or with each other.
    let edit = |from: &'static str, to: &'static str| -> crate::vendor::Edit {
        Box::new(move |bytes| String::from_utf8(bytes).unwrap().replace(from, to).into_bytes())
    };
    let table =
        Wanted { edit_table: edit("\"size\":20580", "\"size\":20581"), ..Wanted::small("2026.11.2", 2) };
    Case::with(&table).refused("E0434");
    let manifest =
        Wanted { edit_manifest: edit("\"size\":1000", "\"size\":1001"), ..Wanted::small("2026.11.2", 2) };
    Case::with(&manifest).refused("E0434");
    let index = Wanted { edit_index: Box::new(inflate_first_size), ..Wanted::small("2026.11.2", 2) };
    Case::with(&index).refused("E0420");
}

fn inflate_first_size(bytes: Vec<u8>) -> Vec<u8> {
    let mut index: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    index["manifests"][0]["size"] = 1_000_000_000_u64.into();
    serde_json::to_vec(&index).unwrap()
}

#[test]
fn files_of_two_bundles_mixed_are_refused() {
    for (file, code) in [
        (INDEX_FILE, "E0445"),
        (PART_TABLE_FILE, "E0445"),
        (STATEMENT_FILE, "E0408"),
        ("hermetic-bundle.json", "E0445"),
    ] {
        let case = Case::new();
        let other = tempfile::tempdir().unwrap();
        case.vendor.bundle(other.path(), &Wanted::small("2026.11.3", 3));
        fs::copy(other.path().join(file), case.path(file)).unwrap();
        case.refused(code);
    }
}

/// A small filesystem of its own, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={megabytes}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Fills a disk to its last byte when the import reaches a point.
struct Filler {
    path: PathBuf,
    at_plan: bool,
    filled: Mutex<bool>,
}

impl Filler {
    fn fill(&self) {
        let mut filled = self.filled.lock().unwrap();
        if !*filled {
            let mut file = fs::File::create(&self.path).unwrap();
            for size in [1 << 20, 4096, 1] {
                while file.write_all(&vec![0; size]).is_ok() {}
            }
            *filled = true;
        }
    }
}

impl Progress for Filler {
    fn planned(&self, _: &Plan) {
        if self.at_plan {
            self.fill();
        }
    }
    fn copied(&self, _: u64) {
        self.fill();
    }
}

/// Mounting needs privileges: as somebody else, the test runs itself again inside a user namespace.
const INSIDE: &str = "HERMETIC_TEST_INSIDE_NAMESPACE";

#[test]
fn a_disk_that_is_or_becomes_full_says_so_and_the_import_goes_on_when_there_is_room() {
    let Some(tiny) = SmallDisk::mounted(8) else {
        if std::env::var_os(INSIDE).is_some() {
            eprintln!("no privilege to mount a small filesystem here, even in a namespace: not checked");
            return;
        }
        let name =
            "tampering::a_disk_that_is_or_becomes_full_says_so_and_the_import_goes_on_when_there_is_room";
        let again = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(again.is_ok_and(|status| status.success()), "the test failed inside its namespace");
        return;
    };
    let case = Case::new();
    let enclave = on_disk(&case.vendor, tiny.0.path());
    enclave.refuses(case.disk.path(), "E0436");

    for at_plan in [true, false] {
        let small = SmallDisk::mounted(48).unwrap();
        let enclave = on_disk(&case.vendor, small.0.path());
        let before = enclave.visible();
        let filler = Filler { path: small.0.path().join("filler"), at_plan, filled: Mutex::default() };
        let error = enclave.import_watched(case.disk.path(), &filler).unwrap_err();
        assert_eq!(hermetic_diagnostics::Diagnose::code(&error).as_str(), "E0437", "{error:?}");
        assert_eq!(enclave.visible(), before);
        fs::remove_file(&filler.path).unwrap();
        assert!(enclave.import(case.disk.path()).unwrap().imported_now);
        assert!(enclave.scrub().is_clean());
    }
}

/// An enclave whose store and rows are on the disk at `path`.
fn on_disk(vendor: &Vendor, path: &Path) -> Enclave {
    let mut enclave = Enclave::trusting(vendor);
    enclave.site.store = hermetic_store::Store::open(&path.join("store")).unwrap();
    enclave.site.metadata = hermetic_metadata::Metadata::open(&path.join("metadata.sqlite")).unwrap();
    enclave
}
