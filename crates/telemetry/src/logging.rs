//! How logs are written: one line per event on stderr, as text for people or as JSON for collectors.
//!
//! Prompts, answers and keys are never fields of an event; that is for the code that logs to keep, and `Debug` of the
//! types that hold them shows nothing.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, reload};

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("expected a log filter such as `info` or `warn,hermetic_gateway=debug`, found `{found}`")]
    Filter { found: String, source: ParseError },
    #[error("logging was started twice")]
    Twice { source: TryInitError },
    #[error("the log level cannot be changed any more")]
    Gone { source: reload::Error },
}

type Replace = dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync;

/// Changes what is logged while the process runs.
#[derive(Clone)]
pub struct LogLevelHandle(Arc<Replace>);

impl LogLevelHandle {
    /// `filter` is as for [`start_logging`].
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        (self.0)(parse(filter)?).map_err(|source| LogError::Gone { source })
    }
}

impl fmt::Debug for LogLevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogLevelHandle")
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|source| LogError::Filter { found: filter.to_owned(), source })
}

/// Starts logging for the whole process. `filter` is `info`, or per crate `warn,hermetic_gateway=debug`.
pub fn start_logging(format: LogFormat, filter: &str) -> Result<LogLevelHandle, LogError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_writer(std::io::stderr)
        // A line that cannot be written, because the disk is full, would else be told to the same place by a macro that
        // panics where that fails: in the middle of whatever request the line is about.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let (started, handle) = match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.finish().try_init(), LogLevelHandle(Arc::new(move |filter| handle.reload(filter))))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.finish().try_init(), LogLevelHandle(Arc::new(move |filter| handle.reload(filter))))
        }
    };
    started.map(|()| handle).map_err(|source| LogError::Twice { source })
}
