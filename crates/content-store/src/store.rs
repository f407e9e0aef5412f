//! The folder: `content/<yyyy-mm-dd>/<request id>`.

use crate::error::ContentError;
use crate::file::{self, Content, Kept};
use crate::seal::ContentKey;
use hermetic_bounded_io::{Mode, create_folders, read_capped, sync_folder, write_atomic};
use hermetic_ids::RequestId;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest file that is read back: far above the largest body and answer a gateway holds.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Where content is kept. Cheap to clone; blocking.
#[derive(Debug, Clone)]
pub struct ContentStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    key: ContentKey,
    /// The day whose folder is known to survive a power cut.
    durable_day: Mutex<String>,
}

impl ContentStore {
    /// Makes the folder when it is missing.
    pub fn open(root: &Path, key: ContentKey) -> Result<Self, ContentError> {
        create_folders(root, Mode::Private).map_err(ContentError::File)?;
        let root = root.to_owned();
        Ok(Self(Arc::new(Inner { root, key, durable_day: Mutex::default() })))
    }

    /// Returns when the content is durable.
    pub fn put(&self, content: &Content<'_>) -> Result<(), ContentError> {
        let day = day(content.admitted_unix_ms);
        let file = file::encode(content, &self.0.key)?;
        let write = || {
            let path = self.folder_for(&day)?.join(content.request.to_string());
            write_atomic(&path, &file, Mode::Private).map_err(ContentError::File)
        };
        match write() {
            // The folder of the day was removed while we served.
            Err(ContentError::File(error)) if error.is_not_found() => {
                self.0.durable_day.lock().unwrap_or_else(PoisonError::into_inner).clear();
                write()
            }
            written => written,
        }
    }

    /// Opens what was kept of a request that was admitted at that time.
    pub fn get(&self, request: RequestId, admitted_unix_ms: u64) -> Result<Kept, ContentError> {
        let path = self.0.root.join(day(admitted_unix_ms)).join(request.to_string());
        let bytes = read_capped(&path, FILE_BYTES_MAX).map_err(|error| match error.is_not_found() {
            true => ContentError::Missing { request },
            false => ContentError::File(error),
        })?;
        file::decode(request, &bytes, &self.0.key)
    }

    /// The folder of a day, durably made. Whoever comes while another thread makes it waits: a file in a folder that
    /// is lost is lost.
    fn folder_for(&self, day: &str) -> Result<PathBuf, ContentError> {
        let folder = self.0.root.join(day);
        let mut durable = self.0.durable_day.lock().unwrap_or_else(PoisonError::into_inner);
        if *durable != day {
            create_folders(&folder, Mode::Private).map_err(ContentError::File)?;
            // Also when it was there: whoever made it may have been cut off before its sync.
            sync_folder(&self.0.root).map_err(ContentError::File)?;
            day.clone_into(&mut durable);
        }
        Ok(folder)
    }
}

/// `2026-11-23`, in UTC.
fn day(unix_ms: u64) -> String {
    let mut day = hermetic_clock::rfc3339(unix_ms);
    day.truncate("yyyy-mm-dd".len());
    day
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const REQUEST: RequestId = RequestId::from_bytes([3; 16]);
    /// 2026-11-18.
    const ADMITTED: u64 = 1_795_000_000_000;

    fn content() -> Content<'static> {
        Content { request: REQUEST, admitted_unix_ms: ADMITTED, prompt: b"p", answer: b"a", answer_total: 1 }
    }

    #[test]
    fn content_lies_in_the_folder_of_its_day_and_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("content");
        let store = ContentStore::open(&root, ContentKey::from_bytes(&[1; 32])).unwrap();
        assert!(matches!(store.get(REQUEST, ADMITTED), Err(ContentError::Missing { .. })));
        store.put(&content()).unwrap();
        let file = root.join(day(ADMITTED)).join(REQUEST.to_string());
        assert!(day(ADMITTED).starts_with("2026-11-1"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let again = ContentStore::open(&root, ContentKey::from_bytes(&[1; 32])).unwrap();
        let kept = again.get(REQUEST, ADMITTED).unwrap();
        assert_eq!((kept.prompt, kept.answer), (b"p".to_vec(), b"a".to_vec()));
    }

    #[test]
    fn a_day_that_was_erased_as_a_whole_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path(), ContentKey::from_bytes(&[1; 32])).unwrap();
        store.put(&content()).unwrap();
        std::fs::remove_file(folder.path().join(day(ADMITTED)).join(REQUEST.to_string())).unwrap();
        std::fs::remove_dir(folder.path().join(day(ADMITTED))).unwrap();
        assert!(matches!(store.get(REQUEST, ADMITTED), Err(ContentError::Missing { .. })));
        store.put(&content()).unwrap();
        assert_eq!(store.get(REQUEST, ADMITTED).unwrap().answer, b"a");
    }

    #[test]
    fn content_that_cannot_be_kept_is_an_error_and_works_again_when_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path(), ContentKey::from_bytes(&[1; 32])).unwrap();
        let in_the_way = folder.path().join(day(ADMITTED));
        std::os::unix::fs::symlink("/nonexistent/folder", &in_the_way).unwrap();
        assert!(matches!(store.put(&content()), Err(ContentError::File(_))));
        std::fs::remove_file(&in_the_way).unwrap();
        store.put(&content()).unwrap();
    }
}
