//! What is kept of responses, and where: rows in the database, contents sealed in a folder.
//!
//! ```text
//! responses/kept/<response id>       contents that rows name
//! responses/incoming/<response id>   contents that are being written; nobody sees them, and a start removes them
//! ```

use crate::stored::refusal::StateRefusal;
use crate::stored::sealed::Contents;
use hermetic_bounded_io::{
    EntryKind, FileError, Mode, create_folders, list_folder, remove_durable, rename_durable,
};
use hermetic_content_store::{ContentError, ContentKey, SealedReader, SealedWriter};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::{ProjectName, ResponseId};
use hermetic_metadata::{Metadata, MetadataError, ResponseRow};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Entries of a folder of ours that are looked at: far above what quotas allow.
const ENTRIES_MAX: usize = 10_000_000;

/// Whether responses are kept, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether responses are kept, shown and gone on from. Default no: what is not kept cannot be read by anybody. Where they
    /// were kept before, they still go when their time is over.
    pub keeps: bool,
    /// How long a response is kept. Default 30 days, as OpenAI does.
    pub retention: Duration,
    /// Largest request and response together that is kept. Default 8 MiB: twice the largest body, as a response repeats what
    /// its request set.
    pub response_bytes_max: usize,
    /// Largest conversation that is gone on from, all kept requests and responses together. Default 16 MiB: far above the
    /// longest context, and so much is held in memory while the request is read.
    pub conversation_bytes_max: u64,
    /// Most responses that a conversation is gone on from. Default 256: each is a file that is opened.
    pub turns_max: u32,
    /// Bytes of all responses kept for one project. Default 10 GiB, as for files: nobody fills the disk for the others.
    pub project_bytes_max: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            keeps: false,
            retention: Duration::from_secs(30 * 24 * 3_600),
            response_bytes_max: 8 << 20,
            conversation_bytes_max: 16 << 20,
            turns_max: 256,
            project_bytes_max: 10 << 30,
        }
    }
}

/// Responses of one enclave. Cheap to clone; what touches the disk blocks.
#[derive(Debug, Clone)]
pub struct StoredResponses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    key: ContentKey,
    metadata: Metadata,
    options: StoreOptions,
    /// Bytes kept for each project: looked at for every request that is to be kept.
    held: Mutex<HashMap<ProjectName, u64>>,
}

/// Why stored responses cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoredResponsesError {
    #[error("cannot use the folder in which responses are kept")]
    File(#[source] FileError),
    #[error("cannot look up which responses there are")]
    Metadata(#[source] MetadataError),
}

impl Diagnose for StoredResponsesError {
    fn code(&self) -> Code {
        match self {
            Self::File(_) => Code::new("E0876"),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) => Some("check room and owner of `responses/` in the state folder".to_owned()),
            Self::Metadata(error) => error.hint(),
        }
    }
}

impl StoredResponses {
    /// Makes the folders that are missing, and removes what a crash left in them. Only one process may, and only after it has
    /// settled what the one before it left open.
    pub fn open(
        folder: &Path,
        key: ContentKey,
        metadata: Metadata,
        options: StoreOptions,
    ) -> Result<Self, StoredResponsesError> {
        let held = metadata.response_bytes().map_err(StoredResponsesError::Metadata)?;
        let responses = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            key,
            metadata,
            options,
            held: Mutex::new(held.into_iter().collect()),
        }));
        responses.tidy()?;
        Ok(responses)
    }

    fn tidy(&self) -> Result<(), StoredResponsesError> {
        let (incoming, kept) = (self.0.folder.join("incoming"), self.0.folder.join("kept"));
        for folder in [&incoming, &kept] {
            create_folders(folder, Mode::Private).map_err(StoredResponsesError::File)?;
        }
        for entry in list_folder(&incoming, ENTRIES_MAX).map_err(StoredResponsesError::File)? {
            remove_durable(&incoming.join(entry.name)).map_err(StoredResponsesError::File)?;
        }
        let ids = self.0.metadata.response_ids().map_err(StoredResponsesError::Metadata)?;
        let known: HashSet<String> = ids.iter().map(ToString::to_string).collect();
        for entry in list_folder(&kept, ENTRIES_MAX).map_err(StoredResponsesError::File)? {
            if entry.kind == EntryKind::File && !known.contains(&entry.name) {
                remove_durable(&kept.join(entry.name)).map_err(StoredResponsesError::File)?;
            }
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.0.options
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    pub(crate) fn retention_millis(&self) -> u64 {
        u64::try_from(self.0.options.retention.as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes kept for a project.
    pub(crate) fn held_for(&self, project: &ProjectName) -> u64 {
        self.held().get(project).copied().unwrap_or(0)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ProjectName, u64>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a response: durable, and to be seen, when this returns. If it fails there is none.
    pub(crate) fn put(&self, row: &ResponseRow, contents: &Contents) -> Result<(), StateRefusal> {
        let (incoming, kept) = (self.incoming(row.id), self.kept(row.id));
        let writing = || {
            let writer = SealedWriter::create(&incoming, &row.id.to_string(), &self.0.key)?;
            contents.write(writer)?;
            rename_durable(&incoming, &kept).map_err(ContentError::File)
        };
        let named = || self.0.metadata.insert_response(row).map_err(StateRefusal::from);
        let put = writing().map_err(StateRefusal::from).and_then(|()| named());
        if put.is_err() {
            // The next start removes what cannot be removed now.
            for place in [&incoming, &kept] {
                if let Err(error) = remove_durable(place) {
                    tracing::warn!(%error, "what was written of a response could not be removed; the next start does");
                }
            }
            return put;
        }
        let mut held = self.held();
        let of_project = held.entry(row.project.clone()).or_default();
        *of_project = of_project.saturating_add(row.bytes);
        Ok(())
    }

    /// What is kept of a response. One whose contents have just gone is missing.
    pub(crate) fn read(&self, row: &ResponseRow) -> Result<Contents, StateRefusal> {
        let opened = SealedReader::open(&self.kept(row.id), &row.id.to_string(), &self.0.key);
        match opened {
            Ok(reader) => Contents::read(reader, row),
            Err(error) if error.is_not_found() => Err(StateRefusal::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the row away, after which nobody sees the response, then what is in it.
    pub(crate) fn remove(&self, row: &ResponseRow) -> Result<(), StateRefusal> {
        if self.0.metadata.delete_response(row.id)? {
            let mut held = self.held();
            if let Some(of_project) = held.get_mut(&row.project) {
                *of_project = of_project.saturating_sub(row.bytes);
            }
        }
        remove_durable(&self.kept(row.id)).map_err(|error| ContentError::File(error).into())
    }

    fn incoming(&self, id: ResponseId) -> PathBuf {
        self.0.folder.join("incoming").join(id.to_string())
    }

    fn kept(&self, id: ResponseId) -> PathBuf {
        self.0.folder.join("kept").join(id.to_string())
    }
}

/// On a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateRefusal> + Send + 'static,
) -> Result<T, StateRefusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StateRefusal::Lost))
}
