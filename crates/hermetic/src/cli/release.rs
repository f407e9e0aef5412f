//! `hermetic release`: what was imported, what waits, what serves.

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::Report;
use hermetic_ids::ReleaseVersion;
use hermetic_registry::{Move, Mover, Registry, ReleaseView};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every imported release, newest first.
    List,
    /// Show a release: its artifacts, their files, their custody.
    Show { version: ReleaseVersion },
    /// Let a release wait for promotion.
    Stage {
        version: ReleaseVersion,
        #[command(flatten)]
        by: By,
    },
    /// Let the staged release answer what virtual models give their canaries; the one in production ends that.
    Canary {
        version: ReleaseVersion,
        #[command(flatten)]
        by: By,
    },
    /// Make the staged release serve.
    Promote {
        version: ReleaseVersion,
        #[command(flatten)]
        by: By,
    },
    /// Return to the release that served before, within 30 days.
    Rollback {
        #[command(flatten)]
        by: By,
    },
}

#[derive(Debug, clap::Args)]
struct By {
    /// Who answers for the move; `import.engineer` of the configuration by default.
    #[arg(long)]
    by: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let registry = enclave.registry()?;
    match &arguments.command {
        Command::List => list(&registry, context)?,
        Command::Show { version } => show(&registry, version, context)?,
        Command::Stage { version, by } => {
            moved(&enclave, by, context, |mover| registry.stage(version, mover))?;
        }
        Command::Canary { version, by } => {
            moved(&enclave, by, context, |mover| registry.canary(version, mover))?;
        }
        Command::Promote { version, by } => {
            moved(&enclave, by, context, |mover| registry.promote(version, mover))?;
        }
        Command::Rollback { by } => moved(&enclave, by, context, |mover| registry.rollback(mover))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn moved(
    enclave: &Enclave,
    by: &By,
    context: &Context,
    go: impl FnOnce(Mover<'_>) -> Result<Move, hermetic_registry::RegistryError>,
) -> Result<(), Report> {
    let clock = Clock::system();
    let by = by.by.clone().or_else(|| enclave.config.import.engineer.clone()).unwrap_or_default();
    let ledger = enclave.ledger(&clock, &enclave.connector())?;
    let made = go(Mover { ledger: &ledger, clock: &clock, by: &by })?;
    context.out.result(&made, |made| {
        let Move { release, to, displaced, moved_now, leaf } = made;
        if !moved_now {
            return vec![format!("{release} holds {to} already; nothing changed")];
        }
        let instead = displaced.as_ref().map(|other| format!(", in place of {other}")).unwrap_or_default();
        let leaf = leaf.map(|leaf| format!(" (leaf {leaf})")).unwrap_or_default();
        vec![format!("{release} holds {to} now{instead}{leaf}")]
    });
    Ok(())
}

#[derive(Debug, serde::Serialize)]
struct ReleaseLine {
    version: ReleaseVersion,
    counter: u64,
    labels: Vec<String>,
    created: String,
    imported: String,
    engineer: String,
    bytes: u64,
    digest: String,
    root_version: u64,
    signers: Vec<String>,
    leaf: u64,
}

impl From<&ReleaseView> for ReleaseLine {
    fn from(view: &ReleaseView) -> Self {
        let release = &view.release;
        Self {
            version: release.version.clone(),
            counter: release.counter,
            labels: view.labels.iter().map(ToString::to_string).collect(),
            created: rfc3339(release.created_unix_ms),
            imported: rfc3339(release.imported_unix_ms),
            engineer: release.engineer.clone(),
            bytes: view.bytes,
            digest: release.statement.to_string(),
            root_version: release.root_version,
            signers: release.signers.clone(),
            leaf: release.leaf,
        }
    }
}

fn list(registry: &Registry, context: &Context) -> Result<(), Report> {
    let lines: Vec<ReleaseLine> = registry.releases()?.iter().map(ReleaseLine::from).collect();
    context.out.result(&lines, |lines| {
        if lines.is_empty() {
            return vec![
                "no release was imported yet: `hermetic bundle import DIR --engineer NAME`".to_owned(),
            ];
        }
        let head = format!(
            "{:<20} {:>7}  {:<20} {:>10}  {:<24} by",
            "version", "counter", "labels", "size", "imported"
        );
        let row = |line: &ReleaseLine| {
            format!(
                "{:<20} {:>7}  {:<20} {:>10}  {:<24} {}",
                line.version.as_str(),
                line.counter,
                line.labels.join(","),
                indicatif::BinaryBytes(line.bytes).to_string(),
                line.imported,
                line.engineer
            )
        };
        std::iter::once(head).chain(lines.iter().map(row)).collect()
    });
    Ok(())
}

#[derive(Debug, serde::Serialize)]
struct ArtifactLine {
    name: String,
    kind: String,
    manifest: String,
    files: Vec<FileLine>,
    custody: serde_json::Value,
}

#[derive(Debug, serde::Serialize)]
struct FileLine {
    path: String,
    digest: String,
    bytes: u64,
}

#[derive(Debug, serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    release: ReleaseLine,
    artifacts: Vec<ArtifactLine>,
}

fn show(registry: &Registry, version: &ReleaseVersion, context: &Context) -> Result<(), Report> {
    let (view, artifacts) = registry.release(version)?;
    let artifacts = artifacts
        .into_iter()
        .map(|artifact| ArtifactLine {
            name: artifact.name.to_string(),
            kind: artifact.kind,
            manifest: artifact.manifest.to_string(),
            files: artifact
                .files
                .into_iter()
                .map(|file| FileLine { path: file.path, digest: file.blob.to_string(), bytes: file.bytes })
                .collect(),
            custody: serde_json::from_str(&artifact.custody)
                .unwrap_or(serde_json::Value::String(artifact.custody)),
        })
        .collect();
    context.out.result(&Shown { release: ReleaseLine::from(&view), artifacts }, lines_of);
    Ok(())
}

fn lines_of(shown: &Shown) -> Vec<String> {
    let Shown { release, artifacts } = shown;
    let labels = if release.labels.is_empty() { "none".to_owned() } else { release.labels.join(", ") };
    let mut lines = vec![
        format!("release   {} (counter {})", release.version, release.counter),
        format!("labels    {labels}"),
        format!("statement {}", release.digest),
        format!("created   {}", release.created),
        format!("imported  {} by {} (leaf {})", release.imported, release.engineer, release.leaf),
        format!("signed by {} (root version {})", release.signers.join(", "), release.root_version),
    ];
    for artifact in artifacts {
        lines.push(String::new());
        lines.push(format!("{} ({})", artifact.name, artifact.kind));
        lines.push(format!("  manifest  {}", artifact.manifest));
        for file in &artifact.files {
            lines.push(format!(
                "  {:<30} {:>10}  {}",
                file.path,
                indicatif::BinaryBytes(file.bytes).to_string(),
                file.digest
            ));
        }
        let said = |pointer: &str| {
            artifact.custody.pointer(pointer).and_then(|v| v.as_str()).unwrap_or("unknown").to_owned()
        };
        lines.push(format!(
            "  source    {} {} ({})",
            said("/vendor/source/name"),
            said("/vendor/source/version"),
            said("/vendor/source/file")
        ));
        lines.push(format!("  licence   {}", said("/vendor/licence")));
        lines.push(format!(
            "  engineer  {} (collected), {} (imported {})",
            said("/vendor/responsible_engineer"),
            said("/importer"),
            said("/imported_at")
        ));
    }
    lines
}
