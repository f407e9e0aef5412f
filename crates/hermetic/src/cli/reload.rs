//! `hermetic reload`: asks the serving process to read its configuration again, and says what came of it.

use super::Context;
use super::enclave::Enclave;
use crate::serving::outcome::{Outcome, Serving, Verdict};
use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose, Report};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Reading and checking a configuration takes milliseconds; starting to follow a large registry may take seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

/// Why a reload did not take place.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("expected a process that serves `{state}`, found none", state = .state.display())]
    NobodyServes { state: PathBuf },
    #[error("cannot find out who serves `{state}`", state = .state.display())]
    Unknown { state: PathBuf, source: FileError },
    #[error("cannot ask process {pid} to reload")]
    Signal { pid: i32, source: io::Error },
    #[error("expected process {pid} to answer within {} s, found nothing", ANSWER_WITHIN.as_secs())]
    NoAnswer { pid: i32 },
    #[error("the configuration is refused as a whole, and the former stays in force: [{code}] {}", .causes.join(": "))]
    Rejected { code: String, causes: Vec<String>, hint: Option<String> },
}

impl Diagnose for ReloadError {
    fn code(&self) -> Code {
        match self {
            Self::NobodyServes { .. } | Self::Unknown { .. } => Code::new("E1014"),
            Self::Signal { .. } | Self::NoAnswer { .. } => Code::new("E1015"),
            Self::Rejected { .. } => Code::new("E1016"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NobodyServes { .. } => Some(
                "the state folder is that of the configuration as it is now; if `state_dir` was changed, restart the service".to_owned(),
            ),
            Self::Rejected { hint, .. } => hint.clone(),
            Self::Unknown { .. } | Self::Signal { .. } | Self::NoAnswer { .. } => None,
        }
    }
}

pub(crate) fn run(_: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    // A file with mistakes in it is told here, with all of them, and nobody is disturbed.
    let paths = Enclave::open(context)?.paths;
    let state = || paths.root.clone();
    let serving = Serving::find(&paths).map_err(|source| ReloadError::Unknown { state: state(), source })?;
    let Serving { pid } = serving.ok_or_else(|| ReloadError::NobodyServes { state: state() })?;
    let before = Outcome::last(&paths).map(|outcome| (outcome.count, outcome.at_unix_ms));
    let process = Pid::from_raw(pid).ok_or_else(|| ReloadError::NobodyServes { state: state() })?;
    kill_process(process, Signal::HUP).map_err(|errno| ReloadError::Signal { pid, source: errno.into() })?;
    let newer = |outcome: &Outcome| Some((outcome.count, outcome.at_unix_ms)) != before;
    let outcome = wait_for(|| Outcome::last(&paths).filter(newer))?.ok_or(ReloadError::NoAnswer { pid })?;
    if let Verdict::Rejected { code, causes, hint } = outcome.verdict {
        return Err(ReloadError::Rejected { code, causes, hint }.into());
    }
    context.out.result(&outcome, told);
    Ok(ExitCode::SUCCESS)
}

/// Looks until there is something, or the time is over.
fn wait_for(look: impl Fn() -> Option<Outcome>) -> Result<Option<Outcome>, ReloadError> {
    let start = |source| ReloadError::Signal { pid: 0, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(start)?;
    let looking = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(outcome) = look() {
                return outcome;
            }
        }
    };
    Ok(runtime.block_on(async { tokio::time::timeout(ANSWER_WITHIN, looking).await.ok() }))
}

fn told(outcome: &Outcome) -> Vec<String> {
    let (first, keys, restart_keys) = match &outcome.verdict {
        Verdict::Changed { keys, restart_keys } => ("in force", keys.as_slice(), restart_keys),
        Verdict::Unchanged { restart_keys } => ("in force already", [].as_slice(), restart_keys),
        Verdict::Rejected { .. } => return Vec::new(),
    };
    let mut lines = vec![format!("{}: {first} ({})", outcome.file.display(), outcome.in_force)];
    lines.extend(keys.iter().map(|key| format!("changed        {key}")));
    lines.extend(restart_keys.iter().map(|key| format!("needs restart  {key}")));
    lines
}
