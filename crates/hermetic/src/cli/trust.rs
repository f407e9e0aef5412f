//! `hermetic trust`: whose signatures count in this enclave.

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_bounded_io::{FileError, read_capped};
use hermetic_bundle::limits::METADATA_BYTES_MAX;
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_digest::Digest;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::AppendError;
use hermetic_trust::{PinError, Pinning, RoleSummary, Root, RootError, TrustError, TrustStore};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trust a vendor's root, or the successor of the one that is trusted now.
    Pin(PinArguments),
    /// Show whose signatures count in this enclave.
    Show,
}

#[derive(Debug, clap::Args)]
struct PinArguments {
    /// The root, as a file: `1.root.json`.
    root: PathBuf,
    /// Who answers for it; `import.engineer` of the configuration by default.
    #[arg(long)]
    by: Option<String>,
    /// The digest the root must have, as the vendor gave it over another channel: `sha256:…`.
    #[arg(long)]
    digest: Option<Digest>,
    /// Put it in place of the pinned root although nothing links the two.
    #[arg(long)]
    replace: bool,
}

/// Why a root was not pinned, or cannot be shown.
#[derive(Debug, thiserror::Error)]
enum TrustCommandError {
    #[error("cannot read the root")]
    Read(#[source] FileError),
    #[error("`{path}` cannot be pinned", path = path.display())]
    Root { path: PathBuf, source: RootError },
    #[error("expected a root with the digest {expected}, found {found}")]
    Digest { expected: Digest, found: Digest },
    #[error("expected the name of who answers for the root, found none")]
    By,
    #[error("the ledger did not take the record of the root; nothing was changed")]
    Ledger(#[source] AppendError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Diagnose for TrustCommandError {
    fn code(&self) -> Code {
        match self {
            Self::Read(_) => Code::new("E0441"),
            Self::Root { source, .. } => source.code(),
            Self::Digest { .. } => Code::new("E0440"),
            Self::By => Code::new("E0510"),
            Self::Ledger(_) => Code::new("E0509"),
            Self::Pin(error) => error.code(),
            Self::Trust(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::By => {
                Some("give it with `--by NAME`, or set `import.engineer` in the configuration".to_owned())
            }
            Self::Root { source, .. } => source.hint(),
            Self::Pin(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Digest { .. } => Some(
                "this is not the root the vendor told you of; find out who changed it on the way".to_owned(),
            ),
            Self::Read(_) | Self::Ledger(_) => None,
        }
    }
}

/// A root as it is shown.
#[derive(Debug, serde::Serialize)]
struct RootView {
    version: u64,
    digest: Digest,
    expires: String,
    roles: Vec<RoleSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinning: Option<Pinning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    floor: String,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Pin(arguments) => pin(arguments, context),
        Command::Show => show(context),
    }
}

fn pin(arguments: &PinArguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let store = TrustStore::at(&enclave.paths.trust());
    let root = read_root(&arguments.root)?;
    if let Some(expected) = arguments.digest.filter(|expected| *expected != root.digest()) {
        return Err(TrustCommandError::Digest { expected, found: root.digest() }.into());
    }
    let between = roots_between(&store, &root, &arguments.root)?;
    let pinning = store.plan_pin(&root, &between, arguments.replace).map_err(TrustCommandError::Pin)?;
    let leaf = if pinning == Pinning::Unchanged { None } else { Some(record(arguments, &enclave, &root)?) };
    store.pin(&root, pinning).map_err(TrustCommandError::Pin)?;
    let metadata = enclave.metadata()?;
    let view = RootView { pinning: Some(pinning), leaf, ..view(&root, metadata.floor_unix_ms()?) };
    context.out.result(&view, |view| {
        let said = match pinning {
            Pinning::First => "pinned; compare the key ids below with the vendor's, over another channel",
            Pinning::Unchanged => "was pinned already; nothing changed",
            Pinning::Successor => "pinned; it is signed by the keys of the root before it",
            Pinning::Replaced => "pinned in place of another root; nothing links the two",
        };
        let mut lines = vec![format!("root version {} {said}", view.version)];
        lines.extend(describe(view));
        lines
    });
    Ok(ExitCode::SUCCESS)
}

/// The leaf comes first: a root that the ledger does not know of never counts.
fn record(arguments: &PinArguments, enclave: &Enclave, root: &Root) -> Result<u64, Report> {
    let by = arguments.by.clone().or_else(|| enclave.config.import.engineer.clone());
    let by = by.filter(|by| !by.trim().is_empty()).ok_or(TrustCommandError::By)?;
    let clock = Clock::system();
    let ledger = enclave.ledger(&clock, &enclave.connector())?;
    let mut key_ids: Vec<String> = root.roles().into_iter().flat_map(|role| role.key_ids).collect();
    key_ids.sort();
    key_ids.dedup();
    let event =
        Event::TrustRootPinned { root_version: root.version(), root_digest: root.digest(), key_ids, by };
    let record = Record { v: 1, at_unix_ms: clock.unix_millis(), event };
    let appended = ledger.append_blocking(&record).map_err(TrustCommandError::Ledger)?;
    Ok(appended.index)
}

pub(super) fn read_root(path: &Path) -> Result<Root, Report> {
    let bytes = read_capped(path, METADATA_BYTES_MAX).map_err(TrustCommandError::Read)?;
    let root = Root::parse(&bytes);
    Ok(root.map_err(|source| TrustCommandError::Root { path: path.to_owned(), source })?)
}

/// The roots between the pinned one and the one given, from the folder that holds the latter.
fn roots_between(store: &TrustStore, root: &Root, path: &Path) -> Result<Vec<Root>, Report> {
    let pinned = store.pinned().ok().flatten().map_or(u64::MAX, |pinned| pinned.version());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut between = Vec::new();
    for version in pinned.saturating_add(1)..root.version() {
        let path = folder.join(format!("{version}.root.json"));
        // A missing one is found out where the chain is checked, with the version that was expected.
        match read_capped(&path, METADATA_BYTES_MAX) {
            Ok(_) => between.push(read_root(&path)?),
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(TrustCommandError::Read(error).into()),
        }
    }
    Ok(between)
}

fn show(context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let pinned = TrustStore::at(&enclave.paths.trust()).pinned().map_err(TrustCommandError::Trust)?;
    let root = pinned.ok_or(TrustCommandError::Trust(TrustError::NotPinned))?;
    let view = view(&root, enclave.metadata()?.floor_unix_ms()?);
    context.out.result(&view, |view| {
        let mut lines = vec![format!("root version {}", view.version)];
        lines.extend(describe(view));
        lines
    });
    Ok(ExitCode::SUCCESS)
}

fn view(root: &Root, floor_unix_ms: u64) -> RootView {
    RootView {
        version: root.version(),
        digest: root.digest(),
        expires: rfc3339(root.expires_unix_ms()),
        roles: root.roles(),
        pinning: None,
        leaf: None,
        floor: if floor_unix_ms == 0 { "none yet".to_owned() } else { rfc3339(floor_unix_ms) },
    }
}

fn describe(view: &RootView) -> Vec<String> {
    let mut lines = vec![format!("  digest   {}", view.digest), format!("  expires  {}", view.expires)];
    for role in &view.roles {
        lines.push(format!(
            "  {:<9} {} of {} keys",
            role.role.to_string(),
            role.threshold,
            role.key_ids.len()
        ));
        lines.extend(role.key_ids.iter().map(|id| format!("            {id}")));
    }
    lines.push(format!("  signed time proven here: {}", view.floor));
    if let Some(leaf) = view.leaf {
        lines.push(format!("  recorded as leaf {leaf}"));
    }
    lines
}
