//! Making a bundle on the connected side: the whole flow, in order.
//!
//! ```text
//! release file → keys → collect → assemble → sign → check → publish
//! ```
//!
//! What can fail cheaply fails first: the release file, the previous bundle and every key are read before the first
//! gigabyte is hashed. Everything is built in a folder beside the output and takes its name at the end; a run that
//! fails or is stopped leaves nothing under that name.

mod assemble;
mod blob;
pub mod ceremony;
mod collect;
mod convert;
mod error;
mod gguf_facts;
mod keys;
mod previous;
mod progress;
mod release_file;
mod sign;
mod sources;
mod staging;
mod wheel;

pub use error::ExportError;
pub use progress::{Progress, Stage, Unwatched};

use hermetic_bundle::limits::PART_BYTES_DEFAULT;
use hermetic_bundle::{ModelKind, UtcTime};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ReleaseVersion};
use keys::KeyFolder;
use previous::Previous;
use release_file::ReleaseFile;
use serde::Serialize;
use staging::Staging;
use std::path::{Path, PathBuf};

/// What to build, from what, signed by whom, where to.
#[derive(Debug, Clone)]
pub struct Order {
    /// The release file.
    pub release: PathBuf,
    /// Where sources are looked for by file name, instead of where the release file says.
    pub sources: Option<PathBuf>,
    /// The key folder a ceremony made, or as much of it as signing needs.
    pub keys: PathBuf,
    pub out: PathBuf,
    /// The bundle this one follows.
    pub previous: Option<PathBuf>,
    /// The time the release states, where neither the release file nor `created` gives one.
    pub now: UtcTime,
    /// The time the release states, before what the release file says.
    pub created: Option<UtcTime>,
    pub part_bytes: u64,
}

impl Order {
    pub fn new(release: &Path, keys: &Path, out: &Path, now: UtcTime) -> Self {
        Self {
            release: release.to_owned(),
            sources: None,
            keys: keys.to_owned(),
            out: out.to_owned(),
            previous: None,
            now,
            created: None,
            part_bytes: PART_BYTES_DEFAULT,
        }
    }
}

/// What was built.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    pub release: ReleaseVersion,
    pub counter: u64,
    pub created: UtcTime,
    pub expires: UtcTime,
    pub bundle: PathBuf,
    /// Digest of the signed release statement.
    pub statement: Digest,
    pub root_version: u64,
    pub signers: Vec<String>,
    pub models: Vec<ExportedModel>,
    pub blobs: u64,
    pub bytes: u64,
}

/// One model of what was built.
#[derive(Debug, Clone, Serialize)]
pub struct ExportedModel {
    pub name: ModelName,
    pub kind: ModelKind,
    pub manifest: Digest,
    pub weights: Digest,
    pub weights_bytes: u64,
    /// Made here from what was collected, by this tool.
    pub derived_by: Option<String>,
}

/// Builds a bundle.
pub fn export(order: &Order, progress: &dyn Progress) -> Result<Exported, ExportError> {
    progress.stage(Stage::Prepare);
    let release = ReleaseFile::read(order)?;
    let keys = KeyFolder::open(&order.keys)?;
    let previous = Previous::read(order.previous.as_deref(), keys.root(), order.now)?;
    let terms = sign::Terms::agree(&release, previous.as_ref(), order)?;
    keys.check_can_sign(&terms)?;
    let sources = sources::locate(&release, order)?;
    let staging = Staging::begin(&order.out, sources::room_needed(&sources))?;

    progress.total(sources::bytes_to_read(&sources));
    progress.stage(Stage::Collect);
    let bench =
        collect::Bench { store: staging.store(), part_bytes: order.part_bytes, terms: &terms, progress };
    let collected = sources.iter().map(|source| bench.collect(source)).collect::<Result<Vec<_>, _>>()?;

    progress.stage(Stage::Assemble);
    let assembled = assemble::assemble(&bench, collected)?;

    progress.stage(Stage::Sign);
    let signed = sign::sign(&assembled, &terms, &keys, &staging)?;

    progress.stage(Stage::Check);
    sign::check(&staging, &keys, order.now)?;
    staging.publish()?;
    Ok(signed.summary(assembled, &terms, order))
}
