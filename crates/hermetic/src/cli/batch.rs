//! `hermetic batch`: what batches there are, how far they are, and an end to one. Works beside a service that runs and
//! without one: a batch that is cancelled here is looked at by the service within a second, or at its next start.

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_batches::{Batch, BatchObject, WrongStatus};
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_ids::{BatchId, ProjectName};
use hermetic_ledger::record::{Event, Record};
use hermetic_metadata::{BatchChange, BatchRow, Listing, MetadataError};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the batches, the newest first.
    List(ListArguments),
    /// Show one batch, as its owner sees it.
    Show {
        /// The batch's id, as listed: `batch_…`.
        id: BatchId,
    },
    /// Begin no more lines of a batch. Those in flight end.
    Cancel(CancelArguments),
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Only those of this project.
    #[arg(long)]
    project: Option<ProjectName>,
    /// At most so many.
    #[arg(long, default_value = "100")]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct CancelArguments {
    /// The batch's id, as listed: `batch_…`.
    id: BatchId,
    /// Who cancels it; `import.engineer` of the configuration, or this process's user id, by default.
    #[arg(long)]
    by: Option<String>,
}

/// Why a batch is not shown or cancelled.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    #[error("there is no batch {id}")]
    Missing { id: BatchId },
    #[error("{0}")]
    Status(WrongStatus),
    #[error("expected batches as this release keeps them, found another form")]
    Form(#[source] serde_json::Error),
    #[error("cannot look the batch up")]
    Metadata(#[from] MetadataError),
}

impl Diagnose for BatchError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::new("E0862"),
            Self::Status(_) => Code::new("E0863"),
            Self::Form(_) => Code::new("E0503"),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("`hermetic batch list` shows those there are".to_owned()),
            Self::Metadata(error) => error.hint(),
            Self::Status(_) | Self::Form(_) => None,
        }
    }
}

/// One batch of a list.
#[derive(Debug, Serialize)]
struct Line {
    id: BatchId,
    project: ProjectName,
    status: &'static str,
    total: u64,
    completed: u64,
    failed: u64,
    created: String,
}

#[derive(Debug, Serialize)]
struct Cancelled {
    id: BatchId,
    status: &'static str,
    leaf: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    match &arguments.command {
        Command::List(arguments) => list(arguments, &enclave, context)?,
        Command::Show { id } => show(*id, &enclave, context)?,
        Command::Cancel(arguments) => cancel(arguments, &enclave, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(document: &str) -> Result<Batch, BatchError> {
    serde_json::from_str(document).map_err(BatchError::Form)
}

fn list(arguments: &ListArguments, enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let listing = Listing { limit: arguments.limit, ..Listing::default() };
    let rows = enclave.metadata()?.batches(arguments.project.as_ref(), &listing)?;
    let lines = rows.into_iter().map(line).collect::<Result<Vec<_>, _>>()?;
    context.out.result(&lines, |lines| text(lines));
    Ok(())
}

fn line(row: BatchRow) -> Result<Line, BatchError> {
    let batch = read(&row.document)?;
    let counts = batch.counts();
    Ok(Line {
        id: row.id,
        project: row.project,
        status: batch.status().as_str(),
        total: counts.total,
        completed: counts.completed,
        failed: counts.failed,
        created: rfc3339(row.created_unix_ms),
    })
}

fn text(lines: &[Line]) -> Vec<String> {
    if lines.is_empty() {
        return vec!["there are no batches".to_owned()];
    }
    let head = ["batch", "project", "status", "answered", "failed", "of", "created"];
    let [id, project, status, answered, failed, of, created] = head;
    let mut out =
        vec![format!("{id:<38} {project:<20} {status:<11} {answered:>8} {failed:>8} {of:>8}  {created}")];
    out.extend(lines.iter().map(|line| {
        format!(
            "{:<38} {:<20} {:<11} {:>8} {:>8} {:>8}  {}",
            line.id.to_string(),
            line.project.as_str(),
            line.status,
            line.completed,
            line.failed,
            line.total,
            line.created
        )
    }));
    out
}

fn show(id: BatchId, enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let row = enclave.metadata()?.batch(id)?.ok_or(BatchError::Missing { id })?;
    let batch = read(&row.document)?;
    context.out.result(&BatchObject::from(&batch), |object| {
        let shown = serde_json::to_string_pretty(object).unwrap_or_default();
        shown.lines().map(str::to_owned).collect()
    });
    Ok(())
}

/// The leaf comes first, as with every change an operator makes.
fn cancel(arguments: &CancelArguments, enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let (id, clock) = (arguments.id, Clock::system());
    let metadata = enclave.metadata()?;
    let row = metadata.batch(id)?.ok_or(BatchError::Missing { id })?;
    let now = clock.unix_millis();
    let changes = read(&row.document)?.cancel(now).map_err(BatchError::Status)?;
    let mut leaf = None;
    if changes {
        let event = Event::BatchCancelled { batch: id, by: enclave.by(arguments.by.as_ref()) };
        let ledger = enclave.ledger(&clock, &enclave.connector())?;
        leaf = Some(ledger.append_blocking(&Record::new(now, event))?.index);
    }
    let changed = metadata.change_batch(id, |document| {
        let mut batch = read(document)?;
        batch.cancel(now).map_err(BatchError::Status)?;
        let document = serde_json::to_string(&batch).map_err(BatchError::Form)?;
        let change = BatchChange { document, ended_unix_ms: None, files: Vec::new() };
        Ok::<_, BatchError>((Some(change), batch.status().as_str()))
    });
    let status = changed?.ok_or(BatchError::Missing { id })?;
    context.out.result(&Cancelled { id, status, leaf }, |cancelled| {
        vec![format!(
            "{} is {}: its lines in flight end, and no more are begun",
            cancelled.id, cancelled.status
        )]
    });
    Ok(())
}
