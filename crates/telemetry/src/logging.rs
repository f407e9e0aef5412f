//! How logs are written: one line per event on stderr, as text for people or as JSON for collectors.
//!
//! Prompts, answers and keys are never fields of an event; that is for the code that logs to keep, and `Debug` of the
//! types that hold them shows nothing.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

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
}

/// Starts logging for the whole process. `filter` is `info`, or per crate `warn,hermetic_gateway=debug`.
pub fn start_logging(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let filter =
        EnvFilter::try_new(filter).map_err(|source| LogError::Filter { found: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|source| LogError::Twice { source })
}
