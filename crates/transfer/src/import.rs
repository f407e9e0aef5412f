//! Taking a bundle into the enclave: the whole flow, in order.
//!
//! ```text
//! verify metadata → preflight → copy+hash → seal → record → register
//! ```
//!
//! Up to `seal` nothing of the bundle is visible outside `incoming/` and the journal; a refusal at any earlier point
//! leaves the enclave as it was. A run that is cut off (power, `kill -9`, a pulled disk) is finished by running it
//! again: parts that were checked and synced are in the journal and are not read a second time.

mod copy;
mod error;
mod examine;
mod media;
mod parallel;
mod preflight;
mod progress;
mod register;

pub use error::ImportError;
pub use examine::{BlobFinding, Examination, examine};
pub use preflight::Plan;
pub use progress::{NoProgress, Progress, Stage};

use hermetic_bounded_io::{FileLock, Mode, create_folders};
use hermetic_clock::{Clock, UnixMillis};
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use hermetic_ledger_store::Ledger;
use hermetic_metadata::{ImportRow, ImportState, Metadata, ReleaseRow};
use hermetic_store::Store;
use hermetic_trust::{Anchor, Floor, TrustStore, VerifiedRelease, Warning};
use media::Media;
use std::path::Path;

/// The enclave a bundle is imported into.
#[derive(Debug, Clone)]
pub struct Site {
    pub store: Store,
    pub metadata: Metadata,
    pub ledger: Ledger,
    pub trust: TrustStore,
    pub clock: Clock,
    /// Moments that have provably passed: when this binary was built, the last ledger entry.
    pub proven_unix_ms: Vec<UnixMillis>,
}

/// How an import is run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who answers for this import; recorded in the ledger and in custody.
    pub engineer: String,
    /// Threads that read and hash.
    pub threads: usize,
    /// Parts of this many bytes together are synced and journaled at once: what a crash can cost.
    pub journal_bytes: u64,
}

impl Order {
    /// An order with as many threads as there are cores.
    pub fn by(engineer: &str) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { engineer: engineer.to_owned(), threads, journal_bytes: JOURNAL_BYTES }
    }
}

/// A sync costs milliseconds, 64 MiB of a USB disk a fifth of a second: syncing is kept a small share of the work.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Longest name of an engineer; it stands in a ledger leaf of limited size.
const ENGINEER_BYTES_MAX: usize = 200;

/// What an import came to.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Imported {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub counter: u64,
    pub signers: Vec<String>,
    pub root_version: u64,
    /// `false` when this very release was here already and nothing was done.
    pub imported_now: bool,
    /// Ledger leaf of the import.
    pub leaf: u64,
    pub plan: Option<Plan>,
    pub warnings: Vec<Warning>,
}

/// Imports the bundle in the folder `bundle`.
pub fn import(
    site: &Site,
    bundle: &Path,
    order: &Order,
    progress: &dyn Progress,
) -> Result<Imported, ImportError> {
    check_engineer(&order.engineer)?;
    let _alone = lock(site)?;

    progress.stage(Stage::VerifyMetadata);
    let floor = floor(site)?;
    let verification = hermetic_trust::verify(bundle, &Anchor::pinned(&site.trust)?, floor)?;
    let release = &verification.release;
    let known = known(site, release)?;
    match &known {
        Some(row) if is_complete(site, &row.version)? => return Ok(outcome(release, row.leaf, None)),
        // Imported before, and a blob is gone since: the same flow puts it back.
        Some(_) => {}
        None => check_counter(site, release)?,
    }

    progress.stage(Stage::Preflight);
    let media = Media::open(bundle, release)?;
    let plan = preflight::plan(site, &media)?;
    progress.planned(&plan);
    if known.is_none() {
        begin(site, release, order)?;
    }

    progress.stage(Stage::Copy);
    copy::copy(site, &media, &plan, (order, progress))?;
    progress.stage(Stage::Seal);
    copy::seal(site, &media)?;

    let leaf = match known {
        Some(row) => row.leaf,
        None => {
            progress.stage(Stage::Record);
            let leaf = register::record(site, release, &media, order)?;
            verification.pending.commit()?;
            register::register(site, release, &media, (order, leaf))?;
            leaf
        }
    };
    copy::forget_leftovers(site)?;
    Ok(outcome(release, leaf, Some(plan)))
}

/// The floor this enclave has proof of, before the bundle at hand adds to it.
pub fn floor(site: &Site) -> Result<Floor, ImportError> {
    let stored = site.metadata.floor_unix_ms()?;
    Ok(Floor::new(site.proven_unix_ms.iter().copied().chain([stored]), site.clock.unix_millis()))
}

fn lock(site: &Site) -> Result<FileLock, ImportError> {
    let folder = site.trust.folder();
    create_folders(folder, Mode::Private).map_err(|source| ImportError::State { source })?;
    let lock = FileLock::try_exclusive(&folder.join("import.lock"))
        .map_err(|source| ImportError::State { source })?;
    lock.ok_or(ImportError::AnotherImport)
}

fn check_engineer(engineer: &str) -> Result<(), ImportError> {
    let plain = engineer.chars().all(|c| !c.is_control());
    if engineer.trim().is_empty() || engineer.len() > ENGINEER_BYTES_MAX || !plain {
        return Err(ImportError::Engineer { bytes_max: ENGINEER_BYTES_MAX, found: engineer.len() });
    }
    Ok(())
}

/// The row of this very release, when it was imported to the end. The same version under another statement is refused.
fn known(site: &Site, release: &VerifiedRelease) -> Result<Option<ReleaseRow>, ImportError> {
    let version = &release.release().version;
    match site.metadata.release(version)? {
        Some(row) if row.statement != release.digest() => Err(ImportError::VersionReused {
            version: version.clone(),
            known: row.statement,
            found: release.digest(),
        }),
        row => Ok(row),
    }
}

fn is_complete(site: &Site, version: &ReleaseVersion) -> Result<bool, ImportError> {
    let blobs = site.metadata.release_blobs(version)?;
    Ok(blobs.iter().all(|(blob, bytes)| site.store.size_of(blob).is_ok_and(|found| found == *bytes)))
}

fn check_counter(site: &Site, release: &VerifiedRelease) -> Result<(), ImportError> {
    let found = release.release().counter;
    match site.metadata.highest_counter()? {
        Some(known) if found <= known => {
            Err(ImportError::OlderRelease { version: release.release().version.clone(), found, known })
        }
        _ => Ok(()),
    }
}

fn begin(site: &Site, release: &VerifiedRelease, order: &Order) -> Result<(), ImportError> {
    site.metadata.begin_import(&ImportRow {
        statement: release.digest(),
        release: release.release().version.clone(),
        counter: release.release().counter,
        engineer: order.engineer.clone(),
        state: ImportState::Copying,
        started_unix_ms: site.clock.unix_millis(),
        finished_unix_ms: None,
    })?;
    Ok(())
}

fn outcome(release: &VerifiedRelease, leaf: u64, plan: Option<Plan>) -> Imported {
    Imported {
        release: release.release().version.clone(),
        release_digest: release.digest(),
        counter: release.release().counter,
        signers: release.signers().to_vec(),
        root_version: release.root_version(),
        imported_now: plan.is_some(),
        leaf,
        plan,
        warnings: release.warnings().to_vec(),
    }
}
