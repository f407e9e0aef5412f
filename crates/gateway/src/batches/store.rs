//! What is kept of files and batches, and where: rows in the database, contents sealed in a folder.
//!
//! ```text
//! batches/files/<file id>           contents that rows name
//! batches/incoming/<file id>        contents that are being written; nobody sees them, and a start removes them
//! batches/journals/<batch id>/<n>   answers of a batch that runs, one log for each start
//! ```

use hermetic_batches::Usage;
use hermetic_bounded_io::{
    EntryKind, FileError, Mode, RelativePath, create_folders, list_folder, remove_durable, remove_tree,
    rename_durable,
};
use hermetic_content_store::{ContentError, ContentKey, SealedReader, SealedWriter};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::{BatchId, FileId};
use hermetic_metadata::{Metadata, MetadataError};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Entries of a folder of ours that are looked at: far above what quotas allow.
const ENTRIES_MAX: usize = 10_000_000;

/// How much of files and batches there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Lines of one batch. Default 50,000, as OpenAI allows.
    pub lines_max: u64,
    /// Bytes of one file. Default 200 MiB.
    pub file_bytes_max: u64,
    /// Bytes of all files of one project. Default 10 GiB: fifty of the largest.
    pub project_bytes_max: u64,
    /// Lines asked at the same time, over all batches. Default 8: as many as a small engine computes at once, so that
    /// batches fill what others leave and take nothing from them.
    pub in_flight: usize,
    /// Lines of one batch asked at the same time. Default 4, so that two batches run beside each other.
    pub in_flight_per_batch: usize,
    /// How long files are kept that do not say it themselves, and batches that ended. Default 30 days.
    pub retention: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            lines_max: 50_000,
            file_bytes_max: 200 << 20,
            project_bytes_max: 10 << 30,
            in_flight: 8,
            in_flight_per_batch: 4,
            retention: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

/// Files and batches of one enclave. Cheap to clone; what touches the disk blocks.
#[derive(Debug, Clone)]
pub struct Batches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    key: ContentKey,
    metadata: Metadata,
    options: BatchOptions,
    /// Something happened that the runner should look at.
    wake: Notify,
    /// How far batches are that run here.
    progress: Mutex<HashMap<BatchId, Progress>>,
    /// Held while a file becomes visible: the quota is looked at in the same moment.
    filing: Mutex<()>,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) usage: Usage,
}

/// Why files and batches cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BatchesError {
    #[error("cannot use the folder in which files and batches are kept")]
    File(#[source] FileError),
    #[error("cannot look up which files there are")]
    Metadata(#[source] MetadataError),
}

impl Diagnose for BatchesError {
    fn code(&self) -> Code {
        match self {
            Self::File(_) => Code::new("E0866"),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) => Some("check room and owner of `batches/` in the state folder".to_owned()),
            Self::Metadata(error) => error.hint(),
        }
    }
}

impl Batches {
    /// Makes the folders that are missing, and removes what a crash left in them. Only one process may.
    pub fn open(
        folder: &Path,
        key: ContentKey,
        metadata: Metadata,
        options: BatchOptions,
    ) -> Result<Self, BatchesError> {
        let batches = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            key,
            metadata,
            options,
            wake: Notify::new(),
            progress: Mutex::default(),
            filing: Mutex::default(),
        }));
        batches.tidy()?;
        Ok(batches)
    }

    fn tidy(&self) -> Result<(), BatchesError> {
        for folder in ["files", "incoming", "journals"] {
            create_folders(&self.0.folder.join(folder), Mode::Private).map_err(BatchesError::File)?;
        }
        let known: HashSet<String> = {
            let ids = self.0.metadata.file_ids().map_err(BatchesError::Metadata)?;
            ids.iter().map(ToString::to_string).collect()
        };
        let running: HashSet<String> = {
            let rows = self.0.metadata.batches_that_run().map_err(BatchesError::Metadata)?;
            rows.iter().map(|row| row.id.to_string()).collect()
        };
        let journals = self.0.folder.join("journals");
        for entry in list_folder(&journals, ENTRIES_MAX).map_err(BatchesError::File)? {
            // Killed between the end of a batch and this.
            if let (false, Ok(folder)) = (running.contains(&entry.name), entry.name.parse()) {
                remove_tree(&journals, &folder).map_err(BatchesError::File)?;
            }
        }
        let incoming = self.0.folder.join("incoming");
        for entry in list_folder(&incoming, ENTRIES_MAX).map_err(BatchesError::File)? {
            remove_durable(&incoming.join(entry.name)).map_err(BatchesError::File)?;
        }
        let files = self.0.folder.join("files");
        for entry in list_folder(&files, ENTRIES_MAX).map_err(BatchesError::File)? {
            if entry.kind == EntryKind::File && !known.contains(&entry.name) {
                remove_durable(&files.join(entry.name)).map_err(BatchesError::File)?;
            }
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> &BatchOptions {
        &self.0.options
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    pub(crate) fn wake(&self) -> &Notify {
        &self.0.wake
    }

    pub(crate) fn retention_millis(&self) -> u64 {
        u64::try_from(self.0.options.retention.as_millis()).unwrap_or(u64::MAX)
    }

    /// Begins the contents of a file that nobody sees yet.
    pub(crate) fn create(&self, file: FileId) -> Result<SealedWriter, ContentError> {
        SealedWriter::create(&self.incoming(file), &file.to_string(), &self.0.key)
    }

    /// Puts finished contents where rows name them.
    pub(crate) fn place(&self, file: FileId) -> Result<(), ContentError> {
        rename_durable(&self.incoming(file), &self.contents(file)).map_err(ContentError::File)
    }

    pub(crate) fn read(&self, file: FileId) -> Result<SealedReader, ContentError> {
        SealedReader::open(&self.contents(file), &file.to_string(), &self.0.key)
    }

    pub(crate) fn remove(&self, file: FileId) -> Result<(), ContentError> {
        remove_durable(&self.contents(file)).map_err(ContentError::File)
    }

    /// Removes contents that will not be finished.
    pub(crate) fn discard(&self, file: FileId) {
        if let Err(error) = remove_durable(&self.incoming(file)) {
            tracing::warn!(%error, "what was written of a file could not be removed; the next start does");
        }
    }

    /// One at a time: a file becomes visible.
    pub(crate) fn filing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.0.filing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self, file: FileId) -> PathBuf {
        self.0.folder.join("incoming").join(file.to_string())
    }

    fn contents(&self, file: FileId) -> PathBuf {
        self.0.folder.join("files").join(file.to_string())
    }

    /// The numbers of the logs there are of a batch, in order. Makes the folder.
    pub(crate) fn logs(&self, batch: BatchId) -> Result<Vec<u32>, ContentError> {
        let folder = self.journal_folder(batch);
        create_folders(&folder, Mode::Private).map_err(ContentError::File)?;
        let entries = list_folder(&folder, ENTRIES_MAX).map_err(ContentError::File)?;
        let mut numbers: Vec<u32> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn create_log(&self, batch: BatchId, number: u32) -> Result<SealedWriter, ContentError> {
        let path = self.journal_folder(batch).join(number.to_string());
        let writer = SealedWriter::create(&path, &log_name(batch, number), &self.0.key)?;
        hermetic_bounded_io::sync_folder_of(&path).map_err(ContentError::File)?;
        Ok(writer)
    }

    pub(crate) fn read_log(&self, batch: BatchId, number: u32) -> Result<SealedReader, ContentError> {
        let path = self.journal_folder(batch).join(number.to_string());
        SealedReader::open(&path, &log_name(batch, number), &self.0.key)
    }

    pub(crate) fn remove_logs(&self, batch: BatchId) -> Result<(), ContentError> {
        let Ok(folder) = batch.to_string().parse::<RelativePath>() else { return Ok(()) };
        remove_tree(&self.0.folder.join("journals"), &folder).map_err(ContentError::File)
    }

    fn journal_folder(&self, batch: BatchId) -> PathBuf {
        self.0.folder.join("journals").join(batch.to_string())
    }

    /// How far a batch is that runs here.
    pub(crate) fn progress(&self, batch: BatchId) -> Option<Progress> {
        self.progresses().get(&batch).copied()
    }

    pub(crate) fn set_progress(&self, batch: BatchId, progress: Option<Progress>) {
        let mut progresses = self.progresses();
        match progress {
            Some(progress) => progresses.insert(batch, progress),
            None => progresses.remove(&batch),
        };
    }

    fn progresses(&self) -> std::sync::MutexGuard<'_, HashMap<BatchId, Progress>> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_name(batch: BatchId, number: u32) -> String {
    format!("{batch} journal {number}")
}
