//! `hermetic policy`: the policies, questioned without serving anything.

mod check;
mod explain;
mod question;
mod recorded;
mod replay;
mod test;

use super::Context;
use super::enclave::{levels, read_config, read_policies};
use hermetic_bounded_io::FileError;
use hermetic_config::Config;
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_policy::{Levels, Policies, PolicyText, Revision};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Report every mistake of a policy folder, each with file, line and column, and what is probably not meant.
    Check {
        /// The folder; without one, `policy.dir` of the configuration.
        dir: Option<PathBuf>,
    },
    /// Ask the questions of the `*.test.yaml` files beside the policies and compare the answers.
    Test {
        /// The folder; without one, `policy.dir` of the configuration.
        dir: Option<PathBuf>,
    },
    /// Say why a request was denied or permitted, or why one would be.
    Explain(Box<explain::Arguments>),
    /// Judge recorded requests again under other policies and say what would change.
    Replay(replay::Arguments),
}

/// What can be wrong with what was asked.
#[derive(Debug, thiserror::Error)]
enum PolicyError {
    #[error("expected a policy folder, found none: neither on the command line nor as `policy.dir`")]
    NoFolder,
    #[error("cannot read the tests in `{path}`", path = path.display())]
    Tests { path: PathBuf, source: FileError },
    #[error("expected test cases in `{path}`: {detail}", path = path.display())]
    Malformed { path: PathBuf, detail: String },
    #[error("expected every case to be decided as it says, found {failed} of {cases} decided otherwise")]
    Failed { failed: usize, cases: usize },
    #[error("expected `{what}` to be given, found nothing")]
    Incomplete { what: &'static str },
    #[error("expected a record of a request that policy decided about, found none of {request}")]
    NoDecision { request: String },
}

impl Diagnose for PolicyError {
    fn code(&self) -> Code {
        match self {
            Self::NoFolder => Code::new("E0916"),
            Self::Tests { .. } | Self::Malformed { .. } => Code::new("E0917"),
            Self::Failed { .. } => Code::new("E0918"),
            Self::Incomplete { .. } | Self::NoDecision { .. } => Code::new("E0919"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFolder => Some("give the folder, or a configuration with --config FILE".to_owned()),
            Self::Incomplete { .. } => {
                Some("`hermetic policy explain --help` lists what a question consists of".to_owned())
            }
            Self::NoDecision { .. } => Some("`hermetic audit show` prints what there is".to_owned()),
            Self::Tests { .. } | Self::Malformed { .. } | Self::Failed { .. } => None,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Check { dir } => check::run(&Site::of(context, dir.as_deref())?, context)?,
        Command::Test { dir } => test::run(&Site::of(context, dir.as_deref())?, context)?,
        Command::Explain(arguments) => explain::run(arguments, context)?,
        Command::Replay(arguments) => replay::run(arguments, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A policy folder and the site whose levels it speaks of.
struct Site {
    folder: PathBuf,
    levels: Levels,
    /// Without a configuration the levels are those of the default.
    config: Option<Config>,
}

impl Site {
    /// With a folder given, a missing configuration is not missed: policies are also checked where they are written.
    fn of(context: &Context, folder: Option<&Path>) -> Result<Self, Report> {
        let config = match folder {
            Some(_) if !context.config_path.exists() => None,
            _ => Some(read_config(&context.config_path)?.0),
        };
        let configured = config.as_ref().and_then(|config| config.policy.dir.clone());
        let folder = folder.map(Path::to_owned).or(configured).ok_or(PolicyError::NoFolder)?;
        let levels = config.as_ref().map_or_else(|| Ok(Levels::default()), levels)?;
        Ok(Self { folder, levels, config })
    }

    fn policies(&self) -> Result<Policies, Report> {
        read_policies(Some(&self.folder), &self.levels)
    }
}

/// The state of a policy folder, for people and for tools.
#[derive(Debug, Clone, serde::Serialize)]
struct RevisionView {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// `clean`, `dirty` or `unverified`, where there is a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<&'static str>,
}

impl RevisionView {
    fn of(revision: &Revision) -> Self {
        let commit = revision.commit.as_ref();
        Self {
            digest: revision.digest.to_string(),
            commit: commit.map(|commit| commit.id.clone()),
            agreement: commit.map(|commit| commit.agreement.as_str()),
        }
    }

    fn line(&self) -> String {
        match (&self.commit, self.agreement) {
            (Some(commit), Some("clean")) => format!("{} (commit {commit})", self.digest),
            (Some(commit), Some("dirty")) => {
                format!("{} (changed since commit {commit})", self.digest)
            }
            (Some(commit), _) => format!("{} (commit {commit}, not compared)", self.digest),
            (None, _) => self.digest.clone(),
        }
    }
}

/// A policy that decided, as it is written.
#[derive(Debug, Clone, serde::Serialize)]
struct PolicyView {
    id: String,
    effect: &'static str,
    file: String,
    line: usize,
    column: usize,
    text: String,
}

impl PolicyView {
    fn of(policy: &PolicyText) -> Self {
        Self {
            id: policy.id.clone(),
            effect: if policy.forbids { "forbid" } else { "permit" },
            file: policy.file.clone(),
            line: policy.line,
            column: policy.column,
            text: policy.text.clone(),
        }
    }

    fn all(policies: &Policies, ids: &[String]) -> Vec<Self> {
        ids.iter().filter_map(|id| policies.text_of(id)).map(Self::of).collect()
    }

    fn lines(&self) -> Vec<String> {
        let head = format!("  {} ({}) at {}:{}:{}", self.id, self.effect, self.file, self.line, self.column);
        std::iter::once(head).chain(self.text.lines().map(|line| format!("    | {line}"))).collect()
    }
}
