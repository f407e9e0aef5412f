//! The end of an import: the ledger leaf, the names in the store, the rows.

use super::media::Media;
use super::{ImportError, Order, Site};
use hermetic_bundle::custody::PublishedHash;
use hermetic_bundle::model_pack::FileRole;
use hermetic_bundle::{Custody, Descriptor, ModelContents};
use hermetic_ids::{ModelName, ReleaseVersion};
use hermetic_ledger::record::{BundleImported, Event, ImportedArtifact, Record};
use hermetic_metadata::{ArtifactFile, ArtifactRow, ReleaseRow};
use hermetic_trust::VerifiedRelease;

/// Writes the leaf. It is durable before any row can show the release.
pub(super) fn record(
    site: &Site,
    release: &VerifiedRelease,
    media: &Media,
    order: &Order,
) -> Result<u64, ImportError> {
    let artifacts = media.contents.models().iter().map(imported_artifact).collect();
    let event = Event::BundleImported(BundleImported {
        release: release.release().version.clone(),
        release_digest: release.digest(),
        counter: release.release().counter,
        root_version: release.root_version(),
        signers: release.signers().to_vec(),
        importer: order.engineer.clone(),
        artifacts,
        blobs: media.table.blobs().len() as u64,
        bytes: media.table.total_bytes(),
        floor_unix_ms: release.floor().proven_unix_ms(),
    });
    let record = Record { v: 1, at_unix_ms: site.clock.unix_millis(), event };
    let appended = site.ledger.append_blocking(&record).map_err(|source| ImportError::Ledger { source })?;
    Ok(appended.index)
}

/// Names the manifests in the store, then makes everything visible in one transaction.
pub(super) fn register(
    site: &Site,
    release: &VerifiedRelease,
    media: &Media,
    (order, leaf): (&Order, u64),
) -> Result<(), ImportError> {
    for entry in media.index.manifests() {
        match media.contents.models().iter().find(|model| model.artifact.manifest.digest == entry.digest) {
            Some(model) => {
                site.store.tag(entry, &store_name(&model.artifact.name, &release.release().version))
            }
            None => site.store.list_untagged(entry),
        }
        .map_err(ImportError::store)?;
    }
    let imported_unix_ms = site.clock.unix_millis();
    let row = ReleaseRow {
        version: release.release().version.clone(),
        statement: release.digest(),
        counter: release.release().counter,
        created_unix_ms: release.created_unix_ms(),
        imported_unix_ms,
        engineer: order.engineer.clone(),
        root_version: release.root_version(),
        signers: release.signers().to_vec(),
        leaf,
    };
    let artifacts = media
        .contents
        .models()
        .iter()
        .map(|model| artifact_row(model, order, imported_unix_ms))
        .collect::<Result<Vec<_>, _>>()?;
    let blobs: Vec<_> = media.table.blobs().map(|blob| (blob.digest(), blob.size())).collect();
    // Only signed time is stored: see `hermetic_trust::expiry`.
    site.metadata.register_release(&row, &artifacts, &blobs, release.created_unix_ms())?;
    Ok(())
}

/// The name of a model in the store: with its release, so that a newer one does not take an older one's name away while
/// that can still be rolled back to. Tools read what follows the last `:` as a tag, and there may be only one.
fn store_name(model: &ModelName, release: &ReleaseVersion) -> String {
    let separator = if model.as_str().contains(':') { '-' } else { ':' };
    format!("{model}{separator}{release}")
}

fn imported_artifact(model: &ModelContents) -> ImportedArtifact {
    let Custody { source, published_hash, licence, .. } = &model.custody;
    ImportedArtifact {
        name: model.artifact.name.clone(),
        digest: model.artifact.manifest.digest,
        source: format!("{} {} ({})", source.name, source.version, source.file),
        published_hash: published_hash.as_ref().map(|PublishedHash { value, .. }| format!("sha256:{value}")),
        licence: licence.clone(),
    }
}

/// The custody record as this enclave keeps it: the vendor's document, unchanged, and who took it in.
#[derive(serde::Serialize)]
struct CustodyRecord<'a> {
    vendor: &'a Custody,
    importer: &'a str,
    imported_at: String,
}

fn artifact_row(
    model: &ModelContents,
    order: &Order,
    imported_unix_ms: u64,
) -> Result<ArtifactRow, ImportError> {
    let custody = CustodyRecord {
        vendor: &model.custody,
        importer: &order.engineer,
        imported_at: hermetic_clock::rfc3339(imported_unix_ms),
    };
    let custody = serde_json::to_string(&custody).map_err(|source| ImportError::Custody { source })?;
    let manifest = Descriptor::from(&model.artifact.manifest);
    let files = model
        .manifest
        .files()
        .iter()
        .map(|file| ArtifactFile {
            path: file.path.as_str().to_owned(),
            blob: file.digest,
            bytes: file.size,
            role: match file.role {
                FileRole::Weights => "weights",
                FileRole::Config => "config",
                FileRole::Doc => "doc",
            }
            .to_owned(),
        })
        .collect();
    Ok(ArtifactRow {
        name: model.artifact.name.clone(),
        kind: model.artifact.kind.as_str().to_owned(),
        manifest: manifest.digest,
        manifest_bytes: manifest.size,
        custody,
        files,
    })
}
