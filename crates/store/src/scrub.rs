//! Hashing every blob again: disks rot in silence, and an engine that maps a weights file would not notice.

use crate::{Listing, Store, StoreError};
use hermetic_bounded_io::FileError;
use hermetic_bundle::model_pack::FILE_PATH;
use hermetic_bundle::oci::{Descriptor, ImageManifest};
use hermetic_digest::{Digest, Hasher};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Bytes read at a time: long enough for sequential disks, short enough to stop promptly.
const READ_BYTES: usize = 1024 * 1024;

/// How far a scrub is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubProgress {
    pub blobs_total: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
}

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScrubReport {
    /// Blobs hashed.
    pub blobs: u64,
    pub bytes: u64,
    /// Blobs that are not what their name says, or that the index needs and that are not here.
    pub damaged: Vec<Damage>,
    /// Files among the blobs that are no blobs.
    pub strays: Vec<String>,
    /// False when it was stopped before the end.
    pub complete: bool,
}

impl ScrubReport {
    /// Everything was looked at and everything is right.
    pub fn is_clean(&self) -> bool {
        self.complete && self.damaged.is_empty()
    }
}

/// One blob that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    pub digest: Digest,
    pub path: PathBuf,
    #[serde(flatten)]
    pub kind: DamageKind,
    /// What needs this blob: the name and the file inside it. Empty when nothing in the index does.
    pub referred_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "damage")]
pub enum DamageKind {
    /// The bytes hash to something else.
    Altered {
        found: Digest,
    },
    /// The disk would not give the bytes.
    Unreadable {
        reason: String,
    },
    Missing,
}

impl Store {
    /// Hashes every blob and follows every reference. `progress` is told after each piece and may stop the scrub.
    pub fn scrub(
        &self,
        progress: &mut dyn FnMut(ScrubProgress) -> ControlFlow<()>,
    ) -> Result<ScrubReport, StoreError> {
        let Listing { blobs, strays } = self.blobs()?;
        let references = self.references()?;
        let bytes_total = blobs.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let mut at = ScrubProgress { blobs_total: blobs.len() as u64, bytes_done: 0, bytes_total };
        let mut report = ScrubReport { blobs: 0, bytes: 0, damaged: Vec::new(), strays, complete: false };
        let referred_by = |digest: &Digest| references.get(digest).cloned().unwrap_or_default();
        for (digest, _) in &blobs {
            let ControlFlow::Continue(kind) = self.check_blob(digest, &mut at, progress)? else {
                return Ok(report);
            };
            report.blobs += 1;
            report.bytes = at.bytes_done;
            if let Some(kind) = kind {
                let (path, referred_by) = (self.path_of(digest), referred_by(digest));
                report.damaged.push(Damage { digest: *digest, path, kind, referred_by });
            }
        }
        for (digest, referred_by) in references.iter().filter(|(digest, _)| !self.contains(digest)) {
            // A link or a folder in a blob's place is "not here" as well: nothing may be served through it.
            let (path, referred_by) = (self.path_of(digest), referred_by.clone());
            report.damaged.push(Damage { digest: *digest, path, kind: DamageKind::Missing, referred_by });
        }
        report.complete = true;
        Ok(report)
    }

    fn check_blob(
        &self,
        digest: &Digest,
        at: &mut ScrubProgress,
        progress: &mut dyn FnMut(ScrubProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), Option<DamageKind>>, StoreError> {
        let (mut file, _) = match self.open_blob(digest) {
            Ok(opened) => opened,
            Err(StoreError::Missing { .. }) => return Ok(ControlFlow::Continue(Some(DamageKind::Missing))),
            Err(StoreError::File(error)) => return Ok(ControlFlow::Continue(Some(unreadable(&error)))),
            Err(error) => return Err(error),
        };
        let mut buffer = vec![0u8; READ_BYTES];
        let mut hasher = Hasher::new();
        loop {
            let read = match file.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let error = FileError::new("read", &self.path_of(digest), source);
                    return Ok(ControlFlow::Continue(Some(unreadable(&error))));
                }
            };
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            hasher.update(piece);
            at.bytes_done = at.bytes_done.saturating_add(read as u64);
            if progress(*at).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let found = hasher.finish();
        Ok(ControlFlow::Continue((found != *digest).then_some(DamageKind::Altered { found })))
    }

    /// Every blob the index needs, with who needs it.
    fn references(&self) -> Result<BTreeMap<Digest, Vec<String>>, StoreError> {
        let mut references: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for entry in self.index()?.manifests() {
            let name = entry.ref_name().map_or_else(|| entry.digest.to_string(), str::to_owned);
            references.entry(entry.digest).or_default().push(format!("{name} (manifest)"));
            // A manifest that cannot be read is reported as damaged itself; what it named is then unknown.
            let Some(manifest) =
                self.read_small(&entry.digest).ok().and_then(|b| ImageManifest::parse(&b).ok())
            else {
                continue;
            };
            let name = manifest.subject().map_or(name, |subject| format!("referrer of {}", subject.digest));
            references.entry(manifest.config().digest).or_default().push(format!("{name} (config)"));
            for layer in manifest.layers() {
                references.entry(layer.digest).or_default().push(format!("{name} ({})", file_of(layer)));
            }
        }
        Ok(references)
    }
}

/// The file a layer is, in the words of its manifest.
fn file_of(layer: &Descriptor) -> &str {
    layer.annotations.get(FILE_PATH).map_or(layer.media_type.as_str(), String::as_str)
}

fn unreadable(error: &FileError) -> DamageKind {
    DamageKind::Unreadable { reason: hermetic_diagnostics::chain(error).join(": ") }
}
