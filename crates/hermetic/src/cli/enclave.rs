//! The enclave a command works on: its checked configuration and where it keeps things.
//!
//! Every command that needs the enclave comes through [`Enclave::open`], so that the configuration is read in one
//! place, with one error for each way it can be wrong.

use super::Context;
use hermetic_bounded_io::{FileError, Mode};
use hermetic_config::{CONFIG_BYTES_MAX, Config};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_digest::Digest;
use hermetic_policy::{Levels, Policies};
use std::path::{Path, PathBuf};

/// A checked configuration, the digest of its text, and the paths of its state.
#[derive(Debug, Clone)]
pub(crate) struct Enclave {
    pub(crate) config: Config,
    /// Digest of the file as read: what `service.started` records.
    pub(crate) config_digest: Digest,
    pub(crate) paths: StatePaths,
}

/// Where an enclave keeps what (`ARCHITECTURE.md`, "State directory").
#[derive(Debug, Clone)]
pub(crate) struct StatePaths {
    pub(crate) root: PathBuf,
}

impl StatePaths {
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.root.join("metadata.sqlite")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The counters of the limits as the ledger tells them: a copy that saves reading it from the beginning.
    pub(crate) fn counters(&self) -> PathBuf {
        self.root.join("counters.json")
    }

    /// The id under which this gateway leases shares of counters it has in common with others.
    pub(crate) fn replica_id(&self) -> PathBuf {
        self.root.join("replica-id")
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    /// Files and batches, sealed.
    pub(crate) fn batches(&self) -> PathBuf {
        self.root.join("batches")
    }

    /// Responses that are kept, sealed.
    pub(crate) fn responses(&self) -> PathBuf {
        self.root.join("responses")
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }
}

/// Why the enclave cannot be opened, before its configuration is even looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenEnclaveError {
    #[error("expected a configuration file at `{path}`", path = path.display())]
    Configuration { path: PathBuf, source: FileError },
    #[error("expected a state folder that can be used at `{path}`", path = path.display())]
    State { path: PathBuf, source: FileError },
}

impl Diagnose for OpenEnclaveError {
    fn code(&self) -> Code {
        match self {
            Self::Configuration { .. } => Code::new("E0101"),
            Self::State { .. } => Code::new("E0110"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration { source, .. } if source.is_not_found() => Some(
                "give the path with --config FILE or HERMETIC_CONFIG; a first file needs two lines, \
                `hermetic explain E0101` shows them"
                    .to_owned(),
            ),
            Self::Configuration { .. } => None,
            Self::State { .. } => {
                Some("check `state_dir` in the configuration and who owns that folder".to_owned())
            }
        }
    }
}

impl Enclave {
    /// Reads and checks the configuration and makes the state folders that are missing.
    pub(crate) fn open(context: &Context) -> Result<Self, Report> {
        let (config, config_digest) = read_config(&context.config_path)?;
        let paths = StatePaths { root: config.state_dir.clone() };
        let folders = [
            paths.root.clone(),
            paths.store(),
            paths.ledger(),
            paths.trust(),
            paths.keys(),
            paths.identity(),
            paths.run(),
        ];
        for folder in folders {
            hermetic_bounded_io::create_folders(&folder, Mode::Private)
                .map_err(|source| OpenEnclaveError::State { path: folder, source })?;
        }
        Ok(Self { config, config_digest, paths })
    }

    /// The classification levels of this site.
    pub(crate) fn levels(&self) -> Result<Levels, Report> {
        levels(&self.config)
    }

    /// The policies as the folder has them now. Without a folder there are none, and nothing is permitted.
    pub(crate) fn policies(&self) -> Result<Policies, Report> {
        read_policies(self.config.policy.dir.as_deref(), &self.levels()?)
    }

    /// Who is named in a record: whom the command line gives, else the configuration's engineer, else this user.
    pub(crate) fn by(&self, given: Option<&String>) -> String {
        let named = given.or(self.config.import.engineer.as_ref()).filter(|by| !by.trim().is_empty());
        named.cloned().unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
    }
}

/// Reads and checks a configuration file without touching the state it names.
pub(crate) fn read_config(path: &Path) -> Result<(Config, Digest), Report> {
    let text = read_config_text(path)?;
    let config = hermetic_config::parse(&text, path)?;
    Ok((config, Digest::of(text.as_bytes())))
}

/// The text of a configuration file. A link is followed: configuration management and Kubernetes mount files as links.
pub(crate) fn read_config_text(path: &Path) -> Result<String, OpenEnclaveError> {
    let fail = |source| OpenEnclaveError::Configuration { path: path.to_owned(), source };
    let target = path.canonicalize().map_err(|source| fail(FileError::new("find", path, source)))?;
    hermetic_bounded_io::read_text_capped(&target, CONFIG_BYTES_MAX).map_err(fail)
}

/// The classification levels a configuration states.
pub(crate) fn levels(config: &Config) -> Result<Levels, Report> {
    let stated = &config.classification;
    Ok(Levels::new(stated.levels.clone(), &stated.default)?)
}

/// Reads and validates a policy folder, with the Git commit behind it.
pub(crate) fn read_policies(folder: Option<&Path>, levels: &Levels) -> Result<Policies, Report> {
    let Some(folder) = folder else { return Ok(Policies::load(&[], levels)?) };
    let read = hermetic_policy_folder::read(folder)?;
    Ok(Policies::load(&read.files, levels)?.of_commit(read.commit))
}
