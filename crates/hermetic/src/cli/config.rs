//! `hermetic config check|diff|schema|explain`: the configuration, questioned without starting anything.

use super::Context;
use super::enclave::read_config;
use hermetic_config::{Change, Config, Effect, KeyReference, ModelSource};
use hermetic_diagnostics::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Report every mistake of a configuration file, each with line and column.
    Check {
        /// The file; without one, that of `--config`.
        file: Option<PathBuf>,
    },
    /// Say what changes from the configuration of `--config` to another file: what a reload puts in force, and what
    /// waits for a restart.
    Diff {
        /// The other file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration, for editors and pipelines.
    Schema,
    /// Say what a key means, what it takes, its default and an example; without a key, list all.
    Explain {
        /// A key such as `gateway.listen`.
        key: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match &arguments.command {
        Command::Check { file } => check(file.as_ref().unwrap_or(&context.config_path), context)?,
        Command::Diff { file } => diff(file, context)?,
        Command::Schema => {
            let schema = hermetic_config::json_schema();
            context.out.line(serde_json::to_string_pretty(schema).unwrap_or_else(|_| schema.to_string()));
        }
        Command::Explain { key: None } => {
            context.out.result(&hermetic_config::keys(), |keys| keys.iter().map(listed).collect());
        }
        Command::Explain { key: Some(key) } => context.out.result(&hermetic_config::explain(key)?, explained),
    }
    Ok(ExitCode::SUCCESS)
}

/// What `config check` says about a good file.
#[derive(Debug, serde::Serialize)]
struct Checked {
    file: PathBuf,
    digest: String,
    tier: &'static str,
    state_dir: PathBuf,
    listen: String,
    enclave: Vec<String>,
    models: Vec<String>,
}

fn check(file: &Path, context: &Context) -> Result<(), Report> {
    let (config, digest) = read_config(file)?;
    let checked = Checked {
        file: file.to_owned(),
        digest: digest.to_string(),
        tier: config.tier.as_str(),
        state_dir: config.state_dir.clone(),
        listen: config.gateway.listen.to_string(),
        enclave: config.network.enclave.entries().iter().map(ToString::to_string).collect(),
        models: models(&config),
    };
    context.out.result(&checked, |checked| {
        let sealed = if config.tier.is_sealed() { ", every endpoint is inside the enclave" } else { "" };
        let list =
            |items: &[String], none: &str| if items.is_empty() { none.to_owned() } else { items.join(", ") };
        vec![
            format!("{}: no mistakes", checked.file.display()),
            format!("tier       {}{sealed}", checked.tier),
            format!("state      {}", checked.state_dir.display()),
            format!("listens    {}", checked.listen),
            format!("enclave    {}", list(&checked.enclave, "loopback alone")),
            format!("models     {}", list(&checked.models, "every model of the release in production")),
            format!("digest     {}", checked.digest),
        ]
    });
    Ok(())
}

fn diff(file: &Path, context: &Context) -> Result<(), Report> {
    let (from, _) = read_config(&context.config_path)?;
    let (to, _) = read_config(file)?;
    context.out.result(&hermetic_config::changes(&from, &to), |changes| {
        if changes.is_empty() {
            return vec![format!("{}: every value is the same", file.display())];
        }
        changes.iter().map(changed).collect()
    });
    Ok(())
}

fn changed(change: &Change) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
    let effect = match change.effect {
        Effect::Reload => "reload ",
        Effect::Restart => "restart",
    };
    format!("{effect}  {}: {} -> {}", change.key, value(&change.from), value(&change.to))
}

fn models(config: &Config) -> Vec<String> {
    let named = |model: &hermetic_config::Model| match &model.source {
        ModelSource::Artifact { artifact, label, .. } if *artifact == model.name => {
            format!("{} ({label})", model.name)
        }
        ModelSource::Artifact { artifact, label, .. } => format!("{} = {artifact} ({label})", model.name),
        ModelSource::Targets(virtual_model) => {
            let names: Vec<&str> = virtual_model.targets.iter().map(|target| target.name.as_str()).collect();
            format!("{} = one of {}", model.name, names.join(", "))
        }
        ModelSource::Endpoint { base_url, .. } => format!("{} at {base_url}", model.name),
    };
    config.models.iter().map(named).collect()
}

fn listed(key: &KeyReference) -> String {
    let first = key.description.split(". ").next().unwrap_or_default().trim_end_matches('.');
    format!("{:<38} {first}", key.key)
}

fn explained(key: &KeyReference) -> Vec<String> {
    let mut lines = vec![key.key.clone(), String::new(), key.description.clone(), String::new()];
    lines.push(format!("takes:    {}{}", key.takes, if key.required { " (required)" } else { "" }));
    lines.extend(key.default.as_ref().map(|default| format!("default:  {default}")));
    lines.extend(key.example.as_ref().map(|example| format!("example:  {example}")));
    lines.extend(
        key.choices
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(word, text)| format!("  {word}: {text}")),
    );
    lines.extend(key.below.iter().map(|below| format!("  {below}")));
    lines
}
