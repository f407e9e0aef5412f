//! `hermetic guard`: what guardrails look for, and what they find in a text, without serving anything.

use super::Context;
use super::enclave::read_config;
use crate::serving::guardrails::NotCompiled;
use clap::Subcommand;
use hermetic_bounded_io::{FileError, read_named};
use hermetic_config::Guardrails;
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_gateway::compile;
use hermetic_guard::{
    Action, Detectors, Fingerprint, Plan, RuleName, Verdict, View, Writing, built_in, redact,
};
use serde::Serialize;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the rules there are, those of this configuration included.
    Rules {
        /// Only those of a group: `pii`, `pii.us`, `secret`.
        group: Option<String>,
    },
    /// Look for personal data and secrets in a text. The exit code is 3 when something is found.
    Scan(ScanArguments),
    /// Try the patterns of the configuration on their own examples.
    Test,
}

#[derive(Debug, clap::Args)]
struct ScanArguments {
    /// The file; `-` or nothing: what is given on standard input.
    file: Option<PathBuf>,
    /// Only these rules or groups. May be given several times.
    #[arg(long, value_name = "GROUP")]
    only: Vec<String>,
    /// Print the text as it is masked instead of what was found.
    #[arg(long)]
    redact: bool,
}

/// Most that is looked at in one go: all of it is held.
const SCAN_BYTES_MAX: u64 = 256 << 20;

/// What `scan` ends with when something was found: a pipeline can stop at it, and tell it from a failure.
const FOUND: u8 = 3;

/// Why a text is not looked at.
#[derive(Debug, thiserror::Error)]
enum GuardError {
    #[error("cannot read the text in `{path}`", path = path.display())]
    File { path: PathBuf, source: FileError },
    #[error("cannot read the text on standard input")]
    Input(#[source] std::io::Error),
    #[error("expected at most {SCAN_BYTES_MAX} bytes on standard input, found more")]
    TooLong,
    #[error("expected a rule or a group of rules, found `{group}`")]
    Unknown { group: String },
}

impl Diagnose for GuardError {
    fn code(&self) -> Code {
        Code::new("E0895")
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some("`hermetic guard rules` lists them".to_owned()),
            Self::TooLong => Some("cut the text, or give it as a file".to_owned()),
            Self::File { .. } | Self::Input(_) => None,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Rules { group } => rules(group.as_deref(), context),
        Command::Scan(arguments) => scan(arguments, context),
        Command::Test => test(context),
    }
}

/// Without a configuration, the rules that come with the product.
fn site(context: &Context) -> Result<Guardrails, Report> {
    if context.config_path.exists() {
        return Ok(read_config(&context.config_path)?.0.guardrails);
    }
    Ok(Guardrails::default())
}

fn detectors(site: &Guardrails) -> Result<Arc<Detectors>, Report> {
    let rules = site.patterns.iter().cloned().chain(built_in()).chain(hermetic_guard::names());
    Ok(compile(rules.collect()).map_err(NotCompiled)?)
}

fn names(detectors: &Detectors) -> Vec<&RuleName> {
    let mut names: Vec<&RuleName> = detectors.rules().map(|(_, rule)| &rule.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[derive(Debug, Serialize)]
struct Listed {
    rule: String,
    label: String,
}

fn rules(group: Option<&str>, context: &Context) -> Result<ExitCode, Report> {
    let detectors = detectors(&site(context)?)?;
    let all = names(&detectors);
    let wanted = all.into_iter().filter(|name| group.is_none_or(|group| name.is_in(group)));
    let listed: Vec<Listed> =
        wanted.map(|name| Listed { rule: name.to_string(), label: format!("[{}]", name.label()) }).collect();
    if let (Some(group), true) = (group, listed.is_empty()) {
        return Err(GuardError::Unknown { group: group.to_owned() }.into());
    }
    context.out.result(&listed, |listed| {
        listed.iter().map(|listed| format!("{:<40} {}", listed.rule, listed.label)).collect()
    });
    Ok(ExitCode::SUCCESS)
}

/// One thing found, by line and column, both from one, columns in bytes.
#[derive(Debug, Serialize)]
struct Found {
    rule: String,
    line: usize,
    column: usize,
    length: usize,
}

/// On a terminal nobody needs to tell the same from the same.
#[derive(Debug)]
struct Unkeyed;

impl Fingerprint for Unkeyed {
    fn of(&self, _: &[u8]) -> String {
        String::new()
    }
}

fn scan(arguments: &ScanArguments, context: &Context) -> Result<ExitCode, Report> {
    let detectors = detectors(&site(context)?)?;
    for group in &arguments.only {
        if !names(&detectors).iter().any(|name| name.is_in(group)) {
            return Err(GuardError::Unknown { group: group.clone() }.into());
        }
    }
    let text = text(arguments.file.as_deref(), context)?;
    let only = &arguments.only;
    let looked_for = |name: &RuleName| only.is_empty() || only.iter().any(|group| name.is_in(group));
    let plan = Plan::new(detectors, Arc::new(Unkeyed), |name| looked_for(name).then_some(Action::Mask));
    let view = View::of(Writing::Plain, &text);
    let redaction = redact(&plan, &mut plan.scratch(), &view);
    if arguments.redact {
        let masked = redaction.text.as_deref().unwrap_or(&text);
        context.out.text(&String::from_utf8_lossy(masked));
    } else {
        let found: Vec<Found> =
            redaction.verdicts.iter().map(|verdict| found(&plan, &view, verdict)).collect();
        context.out.result(&found, |found| found.iter().map(line).collect());
        context.out.note(format!("{} found", found.len()));
    }
    Ok(if redaction.verdicts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn line(found: &Found) -> String {
    format!("{}:{}: {} ({} bytes)", found.line, found.column, found.rule, found.length)
}

/// Where it stands in the text as it is written. What it is, is not printed: the place is enough for whoever may see it.
fn found(plan: &Plan, view: &View, verdict: &Verdict) -> Found {
    let at = view.written_start(verdict.at);
    let before = view.written().get(..at).unwrap_or_default();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    Found {
        rule: plan.detectors().name(verdict.rule).to_string(),
        line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        column: at - line_start + 1,
        length: view.written_end(verdict.at + verdict.length) - at,
    }
}

fn text(file: Option<&Path>, context: &Context) -> Result<Vec<u8>, GuardError> {
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        let read = read_named(path, SCAN_BYTES_MAX);
        return read.map_err(|source| GuardError::File { path: path.to_owned(), source });
    }
    if std::io::stdin().is_terminal() {
        context.out.note("reading from standard input, until its end");
    }
    let mut text = Vec::new();
    let input = std::io::stdin().lock();
    input.take(SCAN_BYTES_MAX + 1).read_to_end(&mut text).map_err(GuardError::Input)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SCAN_BYTES_MAX {
        return Err(GuardError::TooLong);
    }
    Ok(text)
}

#[derive(Debug, Serialize)]
struct Tested {
    patterns: usize,
}

/// Reading the configuration tries every pattern on its examples, and refuses it where one is not as it says.
fn test(context: &Context) -> Result<ExitCode, Report> {
    let site = read_config(&context.config_path)?.0.guardrails;
    detectors(&site)?;
    let tested = Tested { patterns: site.patterns.len() };
    context.out.result(&tested, |tested| {
        vec![format!("{} patterns find what they say they find, and nothing else", tested.patterns)]
    });
    Ok(ExitCode::SUCCESS)
}
