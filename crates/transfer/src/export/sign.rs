//! Signing what was assembled, and looking at the result the way an enclave will.

use super::assemble::Assembled;
use super::keys::KeyFolder;
use super::previous::Previous;
use super::release_file::ReleaseFile;
use super::staging::Staging;
use super::{ExportError, Exported, Order};
use hermetic_bounded_io::read_capped;
use hermetic_bundle::layout::{
    HINT_FILE, INDEX_FILE, METADATA_FOLDER, PART_TABLE_FILE, STATEMENT_FILE, target_name,
};
use hermetic_bundle::limits::{INDEX_BYTES_MAX, PART_TABLE_BYTES_MAX};
use hermetic_bundle::statement::{PreviousRelease, Release};
use hermetic_bundle::{Contents, Hint, ImageIndex, PartTable, Statement, UtcTime};
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use hermetic_trust::signing::{MetadataPlan, sign_metadata, sign_statement};
use hermetic_trust::{Anchor, Floor, verify};
use std::num::NonZeroU64;

/// What a release will say of itself, agreed before work begins.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) version: ReleaseVersion,
    /// Also the version of the TUF metadata: one number that grows with every release.
    pub(super) counter: NonZeroU64,
    pub(super) created: UtcTime,
    pub(super) expires: UtcTime,
    pub(super) previous: Option<PreviousRelease>,
    pub(super) collector: String,
}

impl Terms {
    pub(super) fn agree(
        release: &ReleaseFile,
        previous: Option<&Previous>,
        order: &Order,
    ) -> Result<Self, ExportError> {
        if previous.is_some_and(|previous| previous.release.version == release.version) {
            // An enclave knows a release by its version; a second one under the same would be refused there.
            return Err(ExportError::VersionReused { version: release.version.clone() });
        }
        let before = previous.map_or(0, |previous| previous.release.counter);
        let found = release.counter.unwrap_or(before.saturating_add(1));
        let counter = NonZeroU64::new(found).filter(|counter| counter.get() > before);
        let counter = counter.ok_or(ExportError::Counter { previous: before, found })?;
        let created = whole_seconds(order.created.or(release.created).unwrap_or(order.now));
        Ok(Self {
            version: release.version.clone(),
            counter,
            created,
            expires: created.plus_days(release.expires_after_days),
            previous: previous.map(|previous| previous.release.clone()),
            collector: release.collector.clone(),
        })
    }
}

/// TUF writes whole seconds; a release says the same time everywhere.
fn whole_seconds(time: UtcTime) -> UtcTime {
    UtcTime::from_unix_millis(time.unix_millis() / 1_000 * 1_000).unwrap_or(time)
}

/// What came out of signing.
pub(super) struct Signed {
    statement: Digest,
    root_version: u64,
    signers: Vec<String>,
}

/// Writes the part table, the statement, the metadata and the hint.
pub(super) fn sign(
    assembled: &Assembled,
    terms: &Terms,
    keys: &KeyFolder,
    staging: &Staging,
) -> Result<Signed, ExportError> {
    let table = assembled.parts.to_bytes().map_err(ExportError::Document)?;
    staging.write(PART_TABLE_FILE, &table)?;
    let index =
        read_capped(&staging.folder().join(INDEX_FILE), INDEX_BYTES_MAX).map_err(ExportError::Output)?;
    let release = Release {
        version: terms.version.clone(),
        counter: terms.counter.get(),
        created: terms.created,
        previous: terms.previous.clone(),
        artifacts: assembled.artifacts.clone(),
    };
    let statement =
        Statement::new(Digest::of(&index), Digest::of(&table), release).map_err(ExportError::Document)?;
    let signers = keys.signers();
    let envelope = sign_statement(keys.root(), &signers, &statement).map_err(ExportError::Signing)?;
    staging.write(STATEMENT_FILE, &envelope)?;
    let target = target_name(&terms.version);
    let plan = MetadataPlan {
        version: terms.counter,
        expires: terms.expires,
        target_name: &target,
        target: &envelope,
    };
    for (name, bytes) in sign_metadata(keys.root(), &signers, &plan).map_err(ExportError::Signing)? {
        staging.write(&format!("{METADATA_FOLDER}/{name}"), &bytes)?;
    }
    for (version, bytes) in keys.older_roots() {
        staging.write(&format!("{METADATA_FOLDER}/{version}.root.json"), bytes)?;
    }
    let digest = Digest::of(&envelope);
    let hint =
        Hint::single_volume(terms.version.clone(), digest).to_bytes().map_err(ExportError::Document)?;
    staging.write(HINT_FILE, &hint)?;
    let signers = hermetic_bundle::dsse::Envelope::parse(&envelope).map_err(ExportError::Document)?;
    let signers = signers.signatures().iter().map(|signature| signature.keyid.clone()).collect();
    Ok(Signed { statement: digest, root_version: keys.root().version(), signers })
}

/// Reads the finished bundle back through the doors an enclave uses. A bundle that would be refused there is not
/// published here.
pub(super) fn check(staging: &Staging, keys: &KeyFolder, now: UtcTime) -> Result<(), ExportError> {
    let folder = staging.folder();
    let floor = Floor::new([], now.unix_millis());
    let verified =
        verify(folder, &Anchor::explicit(keys.root().clone()), floor).map_err(ExportError::Verify)?.release;
    let index = read_capped(&folder.join(INDEX_FILE), INDEX_BYTES_MAX).map_err(ExportError::Output)?;
    let index = ImageIndex::parse(&index).map_err(ExportError::Document)?;
    let table =
        read_capped(&folder.join(PART_TABLE_FILE), PART_TABLE_BYTES_MAX).map_err(ExportError::Output)?;
    let table = PartTable::parse(&table).map_err(ExportError::Document)?;
    let store = staging.store();
    let contents =
        Contents::read(&index, verified.release(), |at| store.read_small(&at.digest).map_err(Into::into))
            .map_err(ExportError::Contents)?;
    contents.check_part_table(&table).map_err(ExportError::Contents)
}

impl Signed {
    pub(super) fn summary(self, assembled: Assembled, terms: &Terms, order: &Order) -> Exported {
        Exported {
            release: terms.version.clone(),
            counter: terms.counter.get(),
            created: terms.created,
            expires: terms.expires,
            bundle: order.out.clone(),
            statement: self.statement,
            root_version: self.root_version,
            signers: self.signers,
            models: assembled.models,
            blobs: assembled.parts.blobs().len() as u64,
            bytes: assembled.parts.total_bytes(),
        }
    }
}
