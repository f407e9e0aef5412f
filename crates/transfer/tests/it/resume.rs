//! `kill -9` anywhere: the import is finished by running it again, and nothing half-done is ever visible.

use crate::enclave::{Enclave, NOW, order};
use crate::vendor::{Vendor, Wanted, weights};
use hermetic_bundle::ModelKind;
use hermetic_metadata::Metadata;
use hermetic_store::Store;
use hermetic_transfer::import::{Order, Plan, Progress, Stage, import};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const STATE: &str = "HERMETIC_TEST_IMPORT_STATE";
const BUNDLE: &str = "HERMETIC_TEST_IMPORT_BUNDLE";
const KILLS: usize = 50;
const MODEL_BYTES: usize = 64 << 20;

/// Says on stdout where the import is, a line at a time: what the parent waits on.
struct Lines;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "IMPORT {line}").unwrap();
    out.flush().unwrap();
}

impl Progress for Lines {
    fn stage(&self, stage: Stage) {
        say(&format!("stage {}", stage.title()));
    }
    fn planned(&self, plan: &Plan) {
        say(&format!(
            "plan {} {} {} {}",
            plan.bytes, plan.bytes_present, plan.bytes_journaled, plan.bytes_to_copy
        ));
    }
    fn copied(&self, bytes: u64) {
        say(&format!("copied {bytes}"));
    }
    fn journaled(&self, parts: usize) {
        say(&format!("journaled {parts}"));
    }
}

/// Not a claim by itself: the process that [`killed_anywhere_an_import_is_finished_by_running_it_again`] kills.
#[test]
fn child_that_imports() {
    let (Some(state), Some(bundle)) = (std::env::var_os(STATE), std::env::var_os(BUNDLE)) else { return };
    let enclave = Enclave::at(Path::new(&state), NOW);
    let order = Order { journal_bytes: 4 << 20, ..order() };
    import(&enclave.site, Path::new(&bundle), &order, &Lines).unwrap();
}

fn spawn(state: &Path, bundle: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "resume::child_that_imports", "--nocapture"])
        .env(STATE, state)
        .env(BUNDLE, bundle)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What one run said before it ended or was killed.
#[derive(Default)]
struct Run {
    finished: bool,
    copied: u64,
    /// total, present, journaled, to copy
    plan: Option<[u64; 4]>,
}

/// Runs the import and kills it once `lines` lines were said.
fn run_killed_after(lines: usize, state: &Path, bundle: &Path) -> Run {
    let mut child = spawn(state, bundle);
    let mut run = Run::default();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut count = 0;
    for line in said {
        let Some((_, line)) = line.split_once("IMPORT ") else { continue };
        if let Some(bytes) = line.strip_prefix("copied ") {
            run.copied += bytes.parse::<u64>().unwrap();
        }
        if let Some(plan) = line.strip_prefix("plan ") {
            let numbers: Vec<u64> = plan.split(' ').map(|n| n.parse().unwrap()).collect();
            run.plan = Some(numbers.try_into().unwrap());
        }
        count += 1;
        if count == lines {
            child.kill().unwrap();
        }
    }
    run.finished = child.wait().unwrap().success();
    run
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn fresh_state(vendor: &Vendor) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    Enclave::at(&path, NOW).pin(&vendor.root);
    (folder, path)
}

/// What is visible is complete; what is not complete is not visible.
fn check_visible(state: &Path, whole: bool) {
    let metadata = Metadata::open(&state.join("metadata.sqlite")).unwrap();
    let store = Store::open(&state.join("store")).unwrap();
    let releases = metadata.releases().unwrap();
    assert!(!whole || releases.len() == 1);
    for release in &releases {
        for (blob, bytes) in metadata.release_blobs(&release.version).unwrap() {
            assert_eq!(store.size_of(&blob).unwrap(), bytes);
        }
    }
    for entry in store.list().unwrap() {
        assert!(entry.missing.is_empty(), "{entry:?}");
    }
}

#[test]
fn killed_anywhere_an_import_is_finished_by_running_it_again() {
    let (vendor, disk) = (Vendor::new(), tempfile::tempdir().unwrap());
    let wanted = Wanted {
        part_bytes: 1 << 20,
        models: vec![
            ("chat", ModelKind::Chat, weights(1, MODEL_BYTES + 12_345)),
            ("embed", ModelKind::Embedding, weights(2, MODEL_BYTES / 2)),
        ],
        ..Wanted::small("1", 1)
    };
    vendor.bundle(disk.path(), &wanted);
    let mut random = Random(0x5eed_0fac_ade5);
    let (mut folder, mut state) = fresh_state(&vendor);
    let (mut kills, mut finished, mut expected) = (0, 0, u64::MAX);
    while kills < KILLS {
        // Mostly inside the copy; now and then before it, or after it, where sealing and recording happen.
        let lines = if random.below(4) == 0 { random.below(6) + 1 } else { random.below(70) + 1 };
        let lines = if finished > 0 && random.below(5) == 0 { 1_000 } else { lines };
        let run = run_killed_after(usize::try_from(lines).unwrap(), &state, disk.path());
        if let Some([total, present, journaled, to_copy]) = run.plan {
            assert_eq!(present + journaled + to_copy, total, "every byte is accounted for");
            assert!(to_copy <= expected, "a journaled part was forgotten: {to_copy} after {expected}");
            assert!(run.copied <= to_copy, "a part was read twice");
            expected = to_copy;
        }
        check_visible(&state, run.finished);
        if run.finished {
            finished += 1;
            finish(&state);
            (folder, state) = fresh_state(&vendor);
            expected = u64::MAX;
        } else {
            kills += 1;
        }
    }
    let last = run_killed_after(usize::MAX, &state, disk.path());
    assert!(last.finished);
    finish(&state);
    drop(folder);
    assert!(finished > 0, "no run ever got to its end between the kills");
}

/// After an import that was killed and finished: all bytes right, nothing left over, one release, one leaf or more.
fn finish(state: &Path) {
    check_visible(state, true);
    let enclave = Enclave::at(state, NOW);
    let report = enclave.scrub();
    assert!(report.is_clean(), "{report:?}");
    let leftovers: Vec<_> = std::fs::read_dir(state.join("store/incoming"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.len() == 64)
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}
