//! The bundle as it lies on the media: every file accounted for, every small document checked against the statement.
//!
//! The media is hostile. Nothing is opened that was not first seen, by its own name and without following links, as a
//! regular file of the size the signed part table states.

use super::ImportError;
use super::parallel::Job;
use hermetic_bounded_io::{EntryKind, FileError, RelativePath, list_folder, open_regular, read_capped};
use hermetic_bundle::layout::{
    BLOBS_FOLDER, HINT_FILE, INDEX_FILE, METADATA_FOLDER, OCI_LAYOUT_FILE, PART_TABLE_FILE, RELEASE_FOLDER,
    STATEMENT_FILE, blob_path,
};
use hermetic_bundle::limits::{
    BLOBS_MAX, DOCUMENT_BYTES_MAX, INDEX_BYTES_MAX, PART_TABLE_BYTES_MAX, ROOTS_MAX,
};
use hermetic_bundle::model_pack::FILE_PATH;
use hermetic_bundle::{
    BlobParts, Contents, ContentsError, Descriptor, Hint, ImageIndex, ImageManifest, PartTable,
};
use hermetic_digest::Digest;
use hermetic_store::Store;
use hermetic_trust::VerifiedRelease;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Folders that a filesystem or a desktop leaves at the root of a disk. Seen, never entered.
const IGNORED: [&str; 4] = ["lost+found", "System Volume Information", "$RECYCLE.BIN", ".Trashes"];

/// Takes a piece of a part and where it lies in the blob.
type Sink<'a> = dyn FnMut(&[u8], u64) -> Result<(), ImportError> + 'a;

/// A bundle whose documents fit together and whose files are all there, at the sizes stated.
#[derive(Debug)]
pub(super) struct Media {
    root: PathBuf,
    pub(super) index: ImageIndex,
    pub(super) table: PartTable,
    pub(super) table_digest: Digest,
    pub(super) contents: Contents,
}

impl Media {
    pub(super) fn open(root: &Path, release: &VerifiedRelease) -> Result<Self, ImportError> {
        let listed = list_tree(root)?;
        let index_bytes = named_file(root, INDEX_FILE, (INDEX_BYTES_MAX, release.index()))?;
        let table_bytes = named_file(root, PART_TABLE_FILE, (PART_TABLE_BYTES_MAX, release.part_table()))?;
        let document = |file: &str| {
            let file = file.to_owned();
            move |source| ImportError::Document { file, source }
        };
        let index = ImageIndex::parse(&index_bytes).map_err(document(INDEX_FILE))?;
        let table = PartTable::parse(&table_bytes).map_err(document(PART_TABLE_FILE))?;
        check_blobs(&listed, &table)?;
        check_hint(root, release)?;
        Store::open_existing(root).map_err(|source| ImportError::Layout { source })?;
        let contents = read_contents(root, &index, &table, release)?;
        Ok(Self { root: root.to_owned(), index, table, table_digest: release.part_table(), contents })
    }

    /// Every part of every blob, in the order of the table.
    pub(super) fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
        self.table.blobs().flat_map(|blob| blob.parts().map(move |part| Job { blob, part }))
    }

    /// Reads one part, once, handing each piece to `sink` with its offset in the blob, and checks it.
    pub(super) fn read_part(
        &self,
        job: &Job<'_>,
        buffer: &mut [u8],
        mut sink: impl FnMut(&[u8], u64) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        read_part(&self.root, job, buffer, &mut sink)
    }
}

fn read_part(root: &Path, job: &Job<'_>, buffer: &mut [u8], sink: &mut Sink<'_>) -> Result<(), ImportError> {
    let Job { blob, part } = job;
    let file = open_blob(root, blob)?;
    let path = blob_path(&blob.digest());
    let (first, last) = (part.offset, part.offset.saturating_add(part.bytes));
    let mut hasher = part.hasher();
    let mut at = first;
    while at < last {
        let wanted = usize::try_from(last - at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(piece) = buffer.get_mut(..wanted) else { break };
        file.read_exact_at(piece, at).map_err(|source| ImportError::Read {
            file: path.clone(),
            first,
            last,
            source,
        })?;
        hasher.update(piece);
        sink(piece, at)?;
        at = at.saturating_add(wanted as u64);
    }
    if part.accepts(hasher) {
        Ok(())
    } else {
        Err(ImportError::Damaged { file: path, first, last, part: part.index })
    }
}

fn open_blob(root: &Path, blob: &BlobParts) -> Result<File, ImportError> {
    let path = blob_path(&blob.digest());
    let (file, found) = open_regular(&root.join(&path)).map_err(|source| file_error(&path, source))?;
    if found != blob.size() {
        return Err(ImportError::Size { file: path, expected: blob.size(), found });
    }
    Ok(file)
}

/// A file of the bundle that could not be opened, as what it means to the operator.
fn file_error(file: &str, source: FileError) -> ImportError {
    let file = file.to_owned();
    match source {
        FileError::NotRegular { found, .. } => ImportError::NotRegular { file, found },
        FileError::TooLarge { cap, found, .. } => ImportError::Size { file, expected: cap, found },
        other if other.is_not_found() => ImportError::Missing { file },
        source => ImportError::Unreadable { file, source },
    }
}

/// Reads a file that the statement names by digest.
fn named_file(root: &Path, file: &str, (cap, expected): (u64, Digest)) -> Result<Vec<u8>, ImportError> {
    let bytes = read_capped(&root.join(file), cap).map_err(|source| file_error(file, source))?;
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(ImportError::NotNamed { file: file.to_owned(), expected, found });
    }
    Ok(bytes)
}

/// The hint carries no signature and decides nothing; one that tells another story says that files were mixed.
fn check_hint(root: &Path, release: &VerifiedRelease) -> Result<(), ImportError> {
    let bytes = read_capped(&root.join(HINT_FILE), DOCUMENT_BYTES_MAX)
        .map_err(|source| file_error(HINT_FILE, source))?;
    let hint =
        Hint::parse(&bytes).map_err(|source| ImportError::Document { file: HINT_FILE.to_owned(), source })?;
    let expected = &release.release().version;
    if hint.release != *expected {
        return Err(ImportError::Hint { expected: expected.clone(), found: hint.release });
    }
    Ok(())
}

/// Lists the whole bundle without following anything, refuses what has no place in it, and returns the blobs' sizes.
fn list_tree(root: &Path) -> Result<BTreeMap<String, u64>, ImportError> {
    let top = [
        (HINT_FILE, EntryKind::File),
        (OCI_LAYOUT_FILE, EntryKind::File),
        (INDEX_FILE, EntryKind::File),
        (METADATA_FOLDER, EntryKind::Folder),
        (RELEASE_FOLDER, EntryKind::Folder),
        ("blobs", EntryKind::Folder),
    ];
    let ignored = |name: &str| IGNORED.contains(&name) || name.starts_with(".Trash-");
    let entries = list(root, "", 1_000)?;
    check_entries("", &entries, |name, kind| {
        top.contains(&(name, kind)) || (ignored(name) && kind == EntryKind::Folder)
    })?;
    let metadata = list(root, METADATA_FOLDER, 2 * ROOTS_MAX)?;
    check_entries(METADATA_FOLDER, &metadata, |name, kind| kind == EntryKind::File && is_metadata(name))?;
    let release = list(root, RELEASE_FOLDER, 1_000)?;
    check_entries(RELEASE_FOLDER, &release, |name, kind| {
        let path = format!("{RELEASE_FOLDER}/{name}");
        kind == EntryKind::File && (path == STATEMENT_FILE || path == PART_TABLE_FILE)
    })?;
    let algorithms = list(root, "blobs", 1_000)?;
    check_entries("blobs", &algorithms, |name, kind| kind == EntryKind::Folder && name == "sha256")?;
    let blobs = list(root, BLOBS_FOLDER, BLOBS_MAX + 1)?;
    check_entries(BLOBS_FOLDER, &blobs, |_, kind| kind == EntryKind::File)?;
    Ok(blobs.into_iter().map(|entry| (entry.name, entry.bytes)).collect())
}

fn list(root: &Path, folder: &str, max: usize) -> Result<Vec<hermetic_bounded_io::FolderEntry>, ImportError> {
    let path = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
    list_folder(&path, max).map_err(|source| match source {
        other if other.is_not_found() => ImportError::Missing { file: format!("{folder}/") },
        source => ImportError::Unreadable { file: format!("{folder}/"), source },
    })
}

fn check_entries(
    folder: &str,
    entries: &[hermetic_bounded_io::FolderEntry],
    belongs: impl Fn(&str, EntryKind) -> bool,
) -> Result<(), ImportError> {
    for entry in entries {
        let shown: String = entry.name.escape_debug().take(200).collect();
        let file = if folder.is_empty() { shown } else { format!("{folder}/{shown}") };
        match entry.kind {
            EntryKind::Link => return Err(ImportError::NotRegular { file, found: "a symbolic link" }),
            EntryKind::Special => return Err(ImportError::NotRegular { file, found: "a special file" }),
            EntryKind::File | EntryKind::Folder if belongs(&entry.name, entry.kind) => {}
            EntryKind::File | EntryKind::Folder => return Err(ImportError::Foreign { file }),
        }
    }
    Ok(())
}

/// `timestamp.json`, `N.root.json`, `N.snapshot.json`, `N.targets.json` (TUF 1.0, "Consistent snapshots").
fn is_metadata(name: &str) -> bool {
    let versioned = name.split_once('.').is_some_and(|(version, role)| {
        !version.is_empty()
            && version.bytes().all(|b| b.is_ascii_digit())
            && matches!(role, "root.json" | "snapshot.json" | "targets.json")
    });
    versioned || name == "timestamp.json"
}

/// The blobs on the media are those of the part table, at their sizes; no more, no fewer.
fn check_blobs(listed: &BTreeMap<String, u64>, table: &PartTable) -> Result<(), ImportError> {
    for blob in table.blobs() {
        let file = blob_path(&blob.digest());
        match listed.get(&blob.digest().hex()) {
            None => return Err(ImportError::Missing { file }),
            Some(&found) if found != blob.size() => {
                return Err(ImportError::Size { file, expected: blob.size(), found });
            }
            Some(_) => {}
        }
    }
    let known = |name: &str| Digest::from_hex(name).is_ok_and(|digest| table.blob(&digest).is_some());
    match listed.keys().find(|name| !known(name)) {
        Some(name) => Err(ImportError::Foreign { file: format!("{BLOBS_FOLDER}/{}", name.escape_debug()) }),
        None => Ok(()),
    }
}

/// Walks the documents of the release. Each is read through its parts, so that a damaged one is reported like any other
/// damaged blob: file and byte range.
fn read_contents(
    root: &Path,
    index: &ImageIndex,
    table: &PartTable,
    release: &VerifiedRelease,
) -> Result<Contents, ImportError> {
    let fetch = |at: &Descriptor| {
        read_document(root, table, at)
            .map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
    };
    let contents = Contents::read(index, release.release(), fetch)
        .and_then(|contents| contents.check_part_table(table).map(|()| contents));
    contents.map_err(|error| match error {
        ContentsError::Fetch { source, what, model, digest } => match source.downcast::<ImportError>() {
            Ok(own) => *own,
            Err(source) => {
                ImportError::Contents { source: ContentsError::Fetch { source, what, model, digest } }
            }
        },
        ContentsError::Document { what: "manifest", digest, .. }
            if unsafe_path(root, table, &digest).is_some() =>
        {
            let path = unsafe_path(root, table, &digest).unwrap_or_default();
            ImportError::UnsafePath { manifest: digest, path }
        }
        source => ImportError::Contents { source },
    })
}

fn read_document(root: &Path, table: &PartTable, at: &Descriptor) -> Result<Vec<u8>, ImportError> {
    let blob = table.blob(&at.digest).ok_or(ImportError::NotInTable { digest: at.digest })?;
    if blob.size() != at.size {
        return Err(ImportError::Size { file: blob_path(&at.digest), expected: at.size, found: blob.size() });
    }
    if blob.size() > DOCUMENT_BYTES_MAX {
        return Err(ImportError::Size {
            file: blob_path(&at.digest),
            expected: DOCUMENT_BYTES_MAX,
            found: blob.size(),
        });
    }
    let mut bytes = Vec::new();
    let mut buffer = vec![0; super::parallel::PIECE_BYTES];
    for part in blob.parts() {
        read_part(root, &Job { blob, part }, &mut buffer, &mut |piece, _| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
    }
    Ok(bytes)
}

/// The first file path in a manifest that would leave its folder, if that is what is wrong with the manifest.
fn unsafe_path(root: &Path, table: &PartTable, manifest: &Digest) -> Option<String> {
    let size = table.blob(manifest)?.size();
    let at = Descriptor::new(hermetic_bundle::MediaType::manifest(), *manifest, size);
    let image = ImageManifest::parse(&read_document(root, table, &at).ok()?).ok()?;
    let path = image
        .layers()
        .iter()
        .filter_map(|layer| layer.annotations.get(FILE_PATH))
        .find(|path| path.parse::<RelativePath>().is_err())?;
    Some(path.escape_debug().take(200).collect())
}
