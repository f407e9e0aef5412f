//! Finding what the release file names, before anything is hashed.

use super::release_file::{ModelOrder, Origin, ReleaseFile, WheelOrigin};
use super::wheel::Wheel;
use super::{ExportError, Order};
use hermetic_bounded_io::{EntryKind, list_folder, open_regular};
use hermetic_ids::ModelName;
use std::path::{Path, PathBuf};

/// Most files in a folder that is searched for a wheel.
const FOLDER_ENTRIES_MAX: usize = 10_000;

/// What documents and metadata of a bundle take beside its models: a few kilobytes a model, and room to spare.
const DOCUMENTS_BYTES: u64 = 16 * 1024 * 1024;

/// A model whose source is there.
#[derive(Debug)]
pub(super) struct Located<'a> {
    pub(super) model: &'a ModelOrder,
    pub(super) place: Place<'a>,
    /// Lengths of the members, in the order of the release file.
    pub(super) members_bytes: Vec<u64>,
}

#[derive(Debug)]
pub(super) enum Place<'a> {
    Wheel { origin: &'a WheelOrigin, wheel: Wheel },
    Folder { path: PathBuf },
}

impl Located<'_> {
    fn members_total(&self) -> u64 {
        self.members_bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// Opens every source and finds every member.
pub(super) fn locate<'a>(release: &'a ReleaseFile, order: &Order) -> Result<Vec<Located<'a>>, ExportError> {
    release.models.iter().map(|model| locate_one(model, release, order)).collect()
}

/// Bytes on disk the build takes at its height. A conversion keeps its input beside its output until it is done.
pub(super) fn room_needed(sources: &[Located<'_>]) -> u64 {
    let needed = |source: &Located<'_>| match source.model.convert {
        Some(_) => source.members_total().saturating_mul(2),
        None => source.members_total(),
    };
    sources.iter().map(needed).fold(DOCUMENTS_BYTES, u64::saturating_add)
}

/// Bytes that will be hashed: archives against their pins, members while they are read, conversions while written.
pub(super) fn bytes_to_read(sources: &[Located<'_>]) -> u64 {
    let one = |source: &Located<'_>| {
        let archive = match &source.place {
            Place::Wheel { wheel, .. } => wheel.bytes(),
            Place::Folder { .. } => 0,
        };
        let times = if source.model.convert.is_some() { 2 } else { 1 };
        archive.saturating_add(source.members_total().saturating_mul(times))
    };
    sources.iter().map(one).fold(0, u64::saturating_add)
}

fn locate_one<'a>(
    model: &'a ModelOrder,
    release: &ReleaseFile,
    order: &Order,
) -> Result<Located<'a>, ExportError> {
    match &model.from {
        Origin { wheel: Some(origin), .. } => {
            let path = wheel_path(model, origin, release, order)?;
            let wheel = Wheel::open(&model.name, &path)?;
            let members = origin.members.iter().map(|member| wheel.member_bytes(member.path.0.as_str()));
            let members_bytes = members.collect::<Result<_, _>>()?;
            Ok(Located { model, place: Place::Wheel { origin, wheel }, members_bytes })
        }
        Origin { folder, .. } => {
            let named = folder.as_ref().map_or(Path::new("."), |folder| Path::new(&folder.path));
            let path = release.folder.join(named);
            let mut members_bytes = Vec::new();
            for member in model.members() {
                let (_, bytes) = open_regular(&member.path.0.under(&path))
                    .map_err(|source| missing_or_unreadable(&model.name, source))?;
                members_bytes.push(bytes);
            }
            Ok(Located { model, place: Place::Folder { path }, members_bytes })
        }
    }
}

/// The one file a wheel's `file` names; its last component may hold one `*`.
fn wheel_path(
    model: &ModelOrder,
    origin: &WheelOrigin,
    release: &ReleaseFile,
    order: &Order,
) -> Result<PathBuf, ExportError> {
    let named = Path::new(&origin.file);
    let pattern = named.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = match &order.sources {
        Some(folder) => folder.clone(),
        None => release.folder.join(named.parent().unwrap_or(Path::new(""))),
    };
    let Some((before, after)) = pattern.split_once('*') else { return Ok(folder.join(pattern)) };
    let missing = |found: String| ExportError::SourceMissing {
        model: model.name.clone(),
        path: folder.join(pattern),
        found,
    };
    let searched = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let entries = match list_folder(searched, FOLDER_ENTRIES_MAX) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Err(missing("no such folder".to_owned())),
        Err(source) => return Err(ExportError::Source { model: model.name.clone(), source }),
    };
    let fits = |name: &str| {
        name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
    };
    let mut found = entries.iter().filter(|entry| entry.kind == EntryKind::File && fits(&entry.name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(folder.join(&only.name)),
        (None, _) => Err(missing("no such file".to_owned())),
        (Some(one), Some(other)) => Err(missing(format!("several: `{}`, `{}`", one.name, other.name))),
    }
}

pub(super) fn missing_or_unreadable(
    model: &ModelName,
    source: hermetic_bounded_io::FileError,
) -> ExportError {
    if source.is_not_found() {
        let path = source.path().to_owned();
        return ExportError::SourceMissing { model: model.clone(), path, found: "no such file".to_owned() };
    }
    ExportError::Source { model: model.clone(), source }
}
