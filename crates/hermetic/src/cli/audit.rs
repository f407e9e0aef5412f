//! `hermetic audit`: read the ledger, prove a record, verify a proof, check everything.
//!
//! Reading works while the service writes. `verify` needs neither configuration nor state: a stranger runs it.

mod content;
mod lines;
mod target;

pub(super) use lines::printable;

use super::Context;
use super::enclave::Enclave;
use hermetic_bounded_io::{FileError, Mode, read_capped, read_text_capped, write_atomic};
use hermetic_clock::Clock;
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_ids::RequestId;
use hermetic_keys::SigningKey;
use hermetic_ledger::note::VerifierKeyError;
use hermetic_ledger::proof_file::PROOF_BYTES_MAX;
use hermetic_ledger::{ProofFile, RecordView, VerifierKey};
use hermetic_ledger_store::{CheckpointWatch, ReadError, Snapshot};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use target::Target;

/// A verifier key is one line of under 400 bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the newest records.
    Tail {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: u64,
        /// Go on printing records as they are signed.
        #[arg(long, short)]
        follow: bool,
    },
    /// Print one record, or all records of a request.
    Show {
        /// An index, or a request id (`req_…`, as in the answer's `x-request-id`).
        target: Target,
        /// Also open the kept prompt and answer of the request. That they were opened goes on record first.
        #[arg(long)]
        content: bool,
        /// Who reads the content; `import.engineer` of the configuration, or this process's user id, by default.
        #[arg(long, requires = "content")]
        by: Option<String>,
    },
    /// Write a proof that a stranger can verify offline.
    Prove {
        /// An index, or a request id: then its last record, which names the first.
        target: Target,
        /// Where to write the proof.
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Verify a proof. Needs no configuration and no state: the file and the log's public key are enough.
    Verify {
        /// The proof (`.tlog-proof`).
        file: PathBuf,
        /// The log's verifier key as `audit key` prints it, or a file that holds it.
        #[arg(long, short)]
        key: String,
    },
    /// Re-hash the whole ledger and compare it with what was signed.
    Check,
    /// Print the verifier key to hand to auditors.
    Key,
}

/// What can be wrong with what was asked.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("expected records of the request {request}, found none")]
    NoSuchRequest { request: String },
    #[error("expected a verifier key, or a file that holds one, found neither")]
    Key(#[source] VerifierKeyError),
    #[error("cannot use the file `{path}`", path = path.display())]
    File { path: PathBuf, source: FileError },
    #[error("the ledger's origin cannot name a key")]
    Origin(#[source] VerifierKeyError),
    #[error("expected the ledger to be as it was signed, found {findings} difference(s)")]
    Unsound { findings: u64 },
    #[error("expected the {half} that the records of {request} commit to, found another")]
    OtherContent { request: RequestId, half: &'static str },
}

impl Diagnose for AuditError {
    fn code(&self) -> Code {
        match self {
            Self::NoSuchRequest { .. } => Code::new("E0615"),
            Self::Key(_) | Self::File { .. } => Code::new("E0619"),
            Self::Origin(_) => Code::new("E0613"),
            Self::Unsound { .. } => Code::new("E0616"),
            Self::OtherContent { .. } => Code::new("E0623"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Key(_) => Some("the log's owner prints the key with `hermetic audit key`".to_owned()),
            Self::Unsound { .. } => Some("copy the ledger's folder before anything else".to_owned()),
            Self::NoSuchRequest { .. } => Some("`hermetic audit tail` lists the newest records".to_owned()),
            Self::OtherContent { .. } => {
                Some("compare `keys/commitments.pem` with the copy that was kept".to_owned())
            }
            Self::File { .. } | Self::Origin(_) => None,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Tail { limit, follow } => tail(context, *limit, *follow)?,
        Command::Show { target, content: false, .. } => show(context, *target)?,
        Command::Show { target, content: true, by } => content::show(context, *target, by.as_ref())?,
        Command::Prove { target, out } => prove(context, *target, out)?,
        Command::Verify { file, key } => verify(context, file, key)?,
        Command::Check => check(context)?,
        Command::Key => key(context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn view(snapshot: &Snapshot, index: u64) -> Result<RecordView, ReadError> {
    Ok(RecordView::of(index, &snapshot.read(index)?))
}

fn print(context: &Context, view: &RecordView) {
    if context.out.json {
        context.out.line(serde_json::to_string(view).unwrap_or_default());
    } else {
        context.out.line(lines::short(view));
    }
}

fn tail(context: &Context, limit: u64, follow: bool) -> Result<(), Report> {
    let enclave = Enclave::open(context)?;
    let dir = enclave.paths.ledger();
    // Before the first look: what is signed in between is not missed.
    let mut watch = follow.then(|| CheckpointWatch::new(&dir)).transpose()?;
    let mut next = None;
    loop {
        match Snapshot::latest(&dir) {
            Ok(snapshot) => {
                let from = next.unwrap_or_else(|| snapshot.size().saturating_sub(limit));
                for index in from..snapshot.size() {
                    print(context, &view(&snapshot, index)?);
                }
                next = Some(from.max(snapshot.size()));
            }
            // Following a ledger that is not begun yet waits for it.
            Err(ReadError::Empty { .. }) if follow => next = Some(0),
            Err(error) => return Err(error.into()),
        }
        let Some(watch) = &mut watch else { return Ok(()) };
        watch.wait()?;
    }
}

/// The records asked for, in the newest state. Only when they are too new to be signed is the ledger opened, which
/// makes whoever writes it sign.
fn find(context: &Context, target: Target) -> Result<(Snapshot, Vec<u64>), Report> {
    let enclave = Enclave::open(context)?;
    match Snapshot::latest(&enclave.paths.ledger()) {
        Ok(snapshot) => {
            let found = target.in_snapshot(&snapshot)?;
            if target.is_complete(&snapshot, &found)? {
                return Ok((snapshot, found));
            }
        }
        Err(ReadError::Empty { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let ledger = enclave.ledger(&Clock::system(), &enclave.connector())?;
    let snapshot = ledger.snapshot()?;
    let found = target.in_snapshot(&snapshot)?;
    match (target, found.is_empty()) {
        (_, false) => Ok((snapshot, found)),
        (Target::Index(index), true) => Err(ReadError::Outside { index, size: snapshot.size() }.into()),
        (Target::Request(request), true) => {
            Err(AuditError::NoSuchRequest { request: request.to_string() }.into())
        }
    }
}

fn show(context: &Context, target: Target) -> Result<(), Report> {
    let (snapshot, found) = find(context, target)?;
    let views = found.into_iter().map(|index| view(&snapshot, index)).collect::<Result<Vec<_>, _>>()?;
    context.out.result(&views, |views| views.iter().flat_map(lines::long).collect());
    Ok(())
}

fn prove(context: &Context, target: Target, out: &Path) -> Result<(), Report> {
    let (snapshot, found) = find(context, target)?;
    let index = target::last_of_request(&snapshot, &found)?;
    let proof = snapshot.prove(index)?;
    write_atomic(out, proof.to_text().as_bytes(), Mode::Shared)
        .map_err(|source| AuditError::File { path: out.to_owned(), source })?;
    let checkpoint = snapshot.checkpoint();
    let written = serde_json::json!({
        "index": index, "records_of_request": found, "file": out, "origin": checkpoint.origin,
        "size": checkpoint.size, "root": checkpoint.root, "hashes": proof.path.len(),
    });
    context.out.result(&written, |_| {
        vec![
            format!(
                "record {index} of {}, proved against {} signed records",
                checkpoint.origin, checkpoint.size
            ),
            format!("proof:  {}", out.display()),
            format!("verify: hermetic audit verify {} --key VKEY", out.display()),
        ]
    });
    Ok(())
}

fn verify(context: &Context, file: &Path, key: &str) -> Result<(), Report> {
    let key = read_key(key)?;
    let bytes = read_capped(file, PROOF_BYTES_MAX as u64)
        .map_err(|source| AuditError::File { path: file.to_owned(), source })?;
    let proved = ProofFile::read(&bytes)?.verify(&key)?;
    let view = RecordView::of(proved.index(), proved.record());
    let verified = serde_json::json!({
        "verified": true, "index": proved.index(), "origin": proved.checkpoint().origin,
        "size": proved.checkpoint().size, "root": proved.checkpoint().root, "record": view.record,
    });
    context.out.result(&verified, |_| {
        let checkpoint = proved.checkpoint();
        let mut lines = vec![
            format!("verified: record {} is in the log {}", proved.index(), checkpoint.origin),
            format!("signed:   {} records, root {}", checkpoint.size, checkpoint.root),
        ];
        lines.extend(lines::long(&view));
        lines
    });
    Ok(())
}

/// A key as text or in a file. Whatever parses as a key is one; everything else is taken for a path.
fn read_key(given: &str) -> Result<VerifierKey, AuditError> {
    let malformed = match given.trim().parse() {
        Ok(key) => return Ok(key),
        Err(malformed) => malformed,
    };
    match read_text_capped(Path::new(given), KEY_FILE_BYTES_MAX) {
        Ok(text) => text.trim().parse().map_err(AuditError::Key),
        Err(error) if error.is_not_found() => Err(AuditError::Key(malformed)),
        Err(source) => Err(AuditError::File { path: PathBuf::from(given), source }),
    }
}

fn own_key(enclave: &Enclave) -> Result<VerifierKey, Report> {
    let key = SigningKey::load(&enclave.ledger_key_path())?;
    let origin = &enclave.config.ledger.origin;
    Ok(VerifierKey::new(origin, *key.public().as_bytes()).map_err(AuditError::Origin)?)
}

fn key(context: &Context) -> Result<(), Report> {
    let key = own_key(&Enclave::open(context)?)?;
    context.out.result(&serde_json::json!({"key": key.to_string()}), |_| vec![key.to_string()]);
    Ok(())
}

/// The records of a request, in the newest state.
pub(super) fn find_request(context: &Context, request: RequestId) -> Result<(Snapshot, Vec<u64>), Report> {
    find(context, Target::Request(request))
}

/// A progress bar over records; invisible when nobody watches.
pub(super) fn records_bar(context: &Context, doing: &'static str, records: u64) -> indicatif::ProgressBar {
    if context.out.quiet || context.out.json || !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template(
        "{msg} [{bar:30}] {pos}/{len} records  {per_sec}  {eta} left",
    )
    .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(records).with_style(style).with_message(doing)
}

fn check(context: &Context) -> Result<(), Report> {
    let enclave = Enclave::open(context)?;
    let key = own_key(&enclave)?;
    let snapshot = Snapshot::latest(&enclave.paths.ledger())?;
    let bar = records_bar(context, "checking", snapshot.size());
    let report = hermetic_ledger_store::check(&snapshot, &key, |records| bar.set_position(records))?;
    bar.finish_and_clear();
    context.out.result(&report, |report| {
        let mut lines: Vec<String> = report
            .findings
            .iter()
            .map(|finding| {
                let record =
                    finding.index.map_or_else(String::new, |index| format!(" (from record {index})"));
                format!("damaged  {}{record}: {}", finding.file, finding.problem)
            })
            .collect();
        if report.is_sound() {
            lines.push(format!(
                "sound: {} records, {} bytes, root {}",
                report.records, report.bytes, report.root
            ));
            lines.push(format!("signed by {key}"));
        }
        lines
    });
    let findings = report.findings.len() as u64 + report.more;
    if findings == 0 { Ok(()) } else { Err(AuditError::Unsound { findings }.into()) }
}
