//! What a serving process leaves in `run/` for commands that talk to it: which process it is, and what came of its last
//! reload.
//!
//! Invariant: the process named in `serve.json` is the one that holds `serve.lock`, and the lock goes with the process; so
//! a number that was given to another process since is never sent a signal.

use crate::cli::enclave::StatePaths;
use hermetic_bounded_io::{FileError, FileLock, Mode, read_capped, replace_unsynced};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Largest of the files: the mistakes of the largest configuration.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A serving process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) pid: i32,
}

/// Says which process serves, until dropped.
#[derive(Debug)]
pub(crate) struct Announced {
    _lock: FileLock,
}

/// What came of one reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Reloads since the start.
    pub(crate) count: u64,
    pub(crate) file: PathBuf,
    /// Digest of the configuration that is in force now.
    pub(crate) in_force: String,
    pub(crate) at_unix_ms: u64,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Changed {
        keys: Vec<String>,
        restart_keys: Vec<String>,
    },
    /// It is in force already, but for keys that wait for a restart.
    Unchanged {
        restart_keys: Vec<String>,
    },
    Rejected {
        code: String,
        causes: Vec<String>,
        hint: Option<String>,
    },
}

impl Serving {
    /// For the process that writes the ledger: there is one. Whoever looks holds the lock for a moment only.
    pub(crate) fn announce(paths: &StatePaths) -> Result<Announced, FileError> {
        let lock = FileLock::exclusive(&paths.run().join("serve.lock"))?;
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        write(paths, "serve.json", &Self { pid })?;
        Ok(Announced { _lock: lock })
    }

    /// The process that serves, if one does.
    pub(crate) fn find(paths: &StatePaths) -> Result<Option<Self>, FileError> {
        if FileLock::try_exclusive(&paths.run().join("serve.lock"))?.is_some() {
            return Ok(None);
        }
        Ok(read(paths, "serve.json"))
    }
}

impl Outcome {
    pub(crate) fn write(&self, paths: &StatePaths) -> Result<(), FileError> {
        write(paths, "reload.json", self)
    }

    /// The last one, if there has been any.
    pub(crate) fn last(paths: &StatePaths) -> Option<Self> {
        read(paths, "reload.json")
    }
}

/// Replaced in one step, so that a reader finds the one before or this one. Not synced: it means nothing after a crash.
fn write(paths: &StatePaths, name: &str, value: &impl Serialize) -> Result<(), FileError> {
    replace_unsynced(&paths.run().join(name), &serde_json::to_vec(value).unwrap_or_default(), Mode::Private)
}

fn read<T: serde::de::DeserializeOwned>(paths: &StatePaths, name: &str) -> Option<T> {
    serde_json::from_slice(&read_capped(&paths.run().join(name), FILE_BYTES_MAX).ok()?).ok()
}
