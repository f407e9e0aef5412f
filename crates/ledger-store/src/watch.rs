//! Waiting for the next checkpoint, from any process, without polling.

use crate::error::ReadError;
use crate::layout::Layout;
use hermetic_bounded_io::FileError;
use rustix::fs::inotify;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Wakes when a checkpoint is put in place.
#[derive(Debug)]
pub struct CheckpointWatch {
    notifier: OwnedFd,
    dir: PathBuf,
}

impl CheckpointWatch {
    /// Starts to watch. A checkpoint that comes after this returns is never missed.
    pub fn new(dir: &Path) -> Result<Self, ReadError> {
        let wrap = |errno: rustix::io::Errno| ReadError::File(FileError::new("watch", dir, errno.into()));
        let notifier = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(wrap)?;
        // A checkpoint is renamed into its place.
        inotify::add_watch(&notifier, dir, inotify::WatchFlags::MOVED_TO).map_err(wrap)?;
        Ok(Self { notifier, dir: dir.to_owned() })
    }

    /// Blocks until a checkpoint was put in place since the last call.
    pub fn wait(&mut self) -> Result<(), ReadError> {
        let name = Layout::new(&self.dir).checkpoint();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.notifier, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(ReadError::File(FileError::new("watch", &self.dir, errno.into()))),
            };
            let seen = event.file_name().map(|seen| seen.to_bytes());
            if seen == name.file_name().map(|name| name.as_encoded_bytes()) {
                return Ok(());
            }
        }
    }
}
