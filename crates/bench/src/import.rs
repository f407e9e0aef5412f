//! Import against `sha256sum`: how much does verifying, copying, syncing and recording cost over hashing alone?
//!
//! Both read the same files, warm in the page cache, in the same run. `sha256sum` reads and hashes on one core; the
//! import reads, hashes on every core, writes, syncs, seals and records. Peak disk is measured while it runs.

use crate::results::{Results, Row};
use anyhow::{Context, ensure};
use hermetic_bounded_io::{Mode, create_folders, list_folder, write_atomic};
use hermetic_bundle::custody::{Source, SourceKind};
use hermetic_bundle::layout::{self, blob_path};
use hermetic_bundle::model_pack::{FileRole, ModelConfig, ModelDescriptor, ModelFile, ModelTechnical};
use hermetic_bundle::oci::{EMPTY_CONTENT, REF_NAME};
use hermetic_bundle::statement::BlobRef;
use hermetic_bundle::{
    BlobParts, ChainBuilder, Custody, Descriptor, Hint, ImageIndex, ModelKind, ModelManifest, PartTable,
    Release, ReleaseArtifact, Statement, UtcTime,
};
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_digest::Digest;
use hermetic_keys::SigningKey;
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_metadata::Metadata;
use hermetic_store::Store;
use hermetic_transfer::import::{Order, Progress, Site, import};
use hermetic_trust::ceremony::{CeremonyPlan, RoleSet, make_root};
use hermetic_trust::signing::{MetadataPlan, Signer, SignerError, sign_metadata, sign_statement};
use hermetic_trust::{Pinning, Root, TrustStore};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MODELS: usize = 4;
const MODEL_BYTES: usize = 128 << 20;
const PART_BYTES: u64 = 16 << 20;
const ROUNDS: usize = 3;

/// Runs the benchmark below `folder`, which must be on the disk that is to be measured.
pub(crate) fn run(folder: &Path) -> anyhow::Result<Results> {
    let clock = Clock::system();
    let scratch = tempfile::tempdir_in(folder)?;
    let disk = scratch.path().join("disk");
    let vendor = Vendor::new()?;
    let bytes = vendor.bundle(&disk)?;
    let blobs = list_folder(&disk.join(layout::BLOBS_FOLDER), 1_000)?;
    let blobs: Vec<PathBuf> = blobs.iter().map(|e| disk.join(layout::BLOBS_FOLDER).join(&e.name)).collect();
    sha256sum(&clock, &blobs)?;
    let (mut hashing, mut importing, mut peak) = (Vec::new(), Vec::new(), 0);
    // In turns, so that a slow moment of the machine falls on both.
    for round in 0..ROUNDS {
        hashing.push(rate(bytes, sha256sum(&clock, &blobs)?));
        let state = scratch.path().join(format!("state-{round}"));
        let (took, used) = import_once(&clock, &vendor, &disk, &state)?;
        importing.push(rate(bytes, took));
        peak = peak.max(used);
        hermetic_bounded_io::remove_tree(scratch.path(), &format!("state-{round}").parse()?)?;
    }
    let (hashing, importing) = (median(hashing), median(importing));
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let peak_ratio = peak as f64 / bytes as f64;
    let mut results = Results::new("import");
    let case = format!("{} MB, warm cache, median of {ROUNDS}", bytes / 1_000_000);
    results.row(Row::new("sha256sum", &case, "throughput", hashing, "MB/s"));
    results.row(Row::new("hermetic import", &case, "throughput", importing, "MB/s"));
    results.row(Row::new("hermetic import", &case, "peak_disk", peak_ratio, "x bundle"));
    results.ratio("import_vs_sha256sum", importing / hashing);
    Ok(results)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

fn sha256sum(clock: &Clock, files: &[PathBuf]) -> anyhow::Result<Duration> {
    let start = clock.monotonic();
    let output = Command::new("sha256sum").args(files).output().context("run sha256sum")?;
    ensure!(output.status.success(), "sha256sum failed");
    Ok(clock.monotonic().saturating_sub(start))
}

/// Watches how much disk the store takes.
#[derive(Debug)]
struct Usage {
    store: PathBuf,
    peak: AtomicU64,
}

impl Usage {
    fn look(&self) {
        let folder = |name: &str| list_folder(&self.store.join(name), 10_000).unwrap_or_default();
        let files = folder("incoming").into_iter().chain(folder(layout::BLOBS_FOLDER));
        self.peak.fetch_max(files.map(|entry| entry.bytes).sum(), Ordering::Relaxed);
    }
}

impl Progress for Usage {
    fn journaled(&self, _: usize) {
        self.look();
    }
}

fn import_once(clock: &Clock, vendor: &Vendor, disk: &Path, state: &Path) -> anyhow::Result<(Duration, u64)> {
    create_folders(&state.join("ledger"), Mode::Private)?;
    create_folders(&state.join("keys"), Mode::Private)?;
    let key = Arc::new(SigningKey::load_or_generate(&state.join("keys/ledger.pem"))?);
    let connector = Connector::new(AllowList::loopback());
    let options =
        LedgerOptions::new(state.join("ledger"), "bench.example/ledger", key, clock.clone(), connector);
    let site = Site {
        store: Store::open(&state.join("store"))?,
        metadata: Metadata::open(&state.join("metadata.sqlite"))?,
        ledger: Ledger::open(options)?,
        trust: TrustStore::at(&state.join("trust")),
        clock: clock.clone(),
        proven_unix_ms: Vec::new(),
    };
    site.trust.pin(&vendor.root, Pinning::First)?;
    let usage = Usage { store: state.join("store"), peak: AtomicU64::new(0) };
    let start = clock.monotonic();
    let imported = import(&site, disk, &Order::by("bench"), &usage)?;
    let took = clock.monotonic().saturating_sub(start);
    ensure!(imported.imported_now, "the state was not fresh");
    usage.look();
    Ok((took, usage.peak.load(Ordering::Relaxed)))
}

#[derive(Debug)]
struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> [u8; 32] {
        *self.0.public().as_bytes()
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.0.sign(message)?)
    }
}

/// One key for every role: signing is not what is measured.
#[derive(Debug)]
struct Vendor {
    key: Key,
    root: Root,
}

impl Vendor {
    fn new() -> anyhow::Result<Self> {
        let key = Key(SigningKey::generate()?);
        let role = || RoleSet { threshold: 1, keys: vec![&key as &dyn Signer] };
        let root = make_root(&CeremonyPlan {
            expires: "2034-11-22T00:00:00Z".parse()?,
            root: role(),
            targets: role(),
            snapshot: role(),
            timestamp: role(),
        })?;
        Ok(Self { key, root })
    }

    /// Writes a bundle of [`MODELS`] models and returns the bytes of its blobs.
    fn bundle(&self, folder: &Path) -> anyhow::Result<u64> {
        for sub in [layout::METADATA_FOLDER, layout::RELEASE_FOLDER, layout::BLOBS_FOLDER] {
            create_folders(&folder.join(sub), Mode::Shared)?;
        }
        let mut blobs = Blobs { folder, parts: Vec::new() };
        blobs.put(EMPTY_CONTENT)?;
        let (mut entries, mut artifacts) = (Vec::new(), Vec::new());
        for number in 0..MODELS {
            let name = format!("model-{number}");
            let (manifest, custody) = blobs.model(&name, &noise(number as u64 + 1))?;
            artifacts.push(ReleaseArtifact {
                name: name.parse()?,
                kind: ModelKind::Chat,
                manifest: BlobRef::from(&manifest),
                custody: BlobRef::from(&custody),
            });
            entries.push(manifest.with_annotation(REF_NAME, format!("{name}:1")));
            entries.push(custody);
        }
        let index = ImageIndex::new(entries)?.to_bytes()?;
        let table = PartTable::new(PART_BYTES, blobs.parts)?;
        let table_bytes = table.to_bytes()?;
        let created: UtcTime = "2026-11-22T00:00:00Z".parse()?;
        let release = Release { version: "1".parse()?, counter: 1, created, previous: None, artifacts };
        let statement = Statement::new(Digest::of(&index), Digest::of(&table_bytes), release)?;
        let signers: [&dyn Signer; 1] = [&self.key];
        let envelope = sign_statement(&self.root, &signers, &statement)?;
        let plan = MetadataPlan {
            version: NonZeroU64::MIN,
            expires: created.plus_days(500),
            target_name: &layout::target_name(&"1".parse()?),
            target: &envelope,
        };
        let write = |file: &str, bytes: &[u8]| write_atomic(&folder.join(file), bytes, Mode::Shared);
        for (name, bytes) in sign_metadata(&self.root, &signers, &plan)? {
            write(&format!("{}/{name}", layout::METADATA_FOLDER), &bytes)?;
        }
        write(layout::HINT_FILE, &Hint::single_volume("1".parse()?, Digest::of(&envelope)).to_bytes()?)?;
        write(layout::STATEMENT_FILE, &envelope)?;
        write(layout::PART_TABLE_FILE, &table_bytes)?;
        write(layout::INDEX_FILE, &index)?;
        write(layout::OCI_LAYOUT_FILE, layout::OCI_LAYOUT_CONTENT.as_bytes())?;
        Ok(table.total_bytes())
    }
}

struct Blobs<'a> {
    folder: &'a Path,
    parts: Vec<BlobParts>,
}

impl Blobs<'_> {
    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<Digest> {
        let mut builder = ChainBuilder::new(PART_BYTES)?;
        builder.update(bytes);
        let parts = builder.finish();
        let digest = parts.digest();
        write_atomic(&self.folder.join(blob_path(&digest)), bytes, Mode::Shared)?;
        self.parts.push(parts);
        Ok(digest)
    }

    fn model(&mut self, name: &str, weights: &[u8]) -> anyhow::Result<(Descriptor, Descriptor)> {
        let created: UtcTime = "2026-11-22T00:00:00Z".parse()?;
        let (digest, size) = (self.put(weights)?, weights.len() as u64);
        let file = ModelFile { path: "model.gguf".parse()?, role: FileRole::Weights, digest, size };
        let descriptor = ModelDescriptor {
            created_at: created,
            name: name.to_owned(),
            version: None,
            family: None,
            licenses: Vec::new(),
        };
        let config = ModelConfig::new(descriptor, ModelTechnical::default(), std::slice::from_ref(&file))
            .to_bytes()?;
        self.put(&config)?;
        let manifest = ModelManifest::new(ModelConfig::descriptor_of(&config), vec![file])?.to_bytes()?;
        self.put(&manifest)?;
        let manifest = ModelManifest::descriptor(&manifest);
        let source = Source {
            kind: SourceKind::Folder,
            name: name.to_owned(),
            version: "1".to_owned(),
            file: "noise".to_owned(),
            members: Vec::new(),
        };
        let custody = Custody {
            source,
            published_hash: None,
            licence: "CC0-1.0".to_owned(),
            collector: "bench".to_owned(),
            collected_at: created,
            responsible_engineer: "bench".to_owned(),
            derivation: None,
            evals: Vec::new(),
        };
        let document = custody.to_bytes()?;
        self.put(&document)?;
        let referrer = Custody::referrer(&document, &manifest)?.to_bytes()?;
        self.put(&referrer)?;
        Ok((manifest, Custody::referrer_descriptor(&referrer)))
    }
}

/// Bytes no disk or filesystem can make smaller.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(MODEL_BYTES);
    while out.len() < MODEL_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out
}
