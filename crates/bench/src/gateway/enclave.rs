//! Our own gateway: `hermetic serve`, the binary that ships, on a configuration and a state folder made for the case.

use super::processes::{Running, free_port};
use super::subject::Subject;
use anyhow::Context as _;
use hermetic_bounded_io::{Mode, create_folders, write_atomic};
use hermetic_clock::Clock;
use hermetic_identity::{Grants, IssuedKey, KeyRequest};
use hermetic_ledger::record::Owner;
use hermetic_metadata::Metadata;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is switched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Identity, Cedar, limits, budget, exact token count and durable records; otherwise a key, a route and records that
    /// are not waited for.
    pub(crate) governed: bool,
    pub(crate) threads: u32,
    pub(crate) keys: usize,
    /// Cedar policies besides the one that permits.
    pub(crate) policies: usize,
    /// Limits about somebody else, besides the ones that count.
    pub(crate) rules: usize,
    /// The models a soak asks for besides the usual ones.
    pub(crate) soak: bool,
}

impl Plan {
    pub(crate) const PLAIN: Self =
        Self { governed: false, threads: 1, keys: 1, policies: 0, rules: 0, soak: false };
    pub(crate) const GOVERNED: Self = Self { governed: true, ..Self::PLAIN };
}

/// The models that are served: the mock engine under names that tell it how to behave.
const MODELS: [&str; 3] = ["bench", "bench:tps-50:out-50", "bench:tps-2:out-8"];
const SOAK_MODELS: [&str; 4] = ["bench:500", "bench:reset", "bench:tps-20:out-40", "bench:wait-150"];

/// Starts `hermetic serve` on `cores`, with its state in `place`.
pub(crate) fn start(
    hermetic: &Path,
    place: &Path,
    engine_port: u16,
    cores: &str,
    plan: &Plan,
) -> anyhow::Result<Subject> {
    let port = free_port()?;
    let (state, policies) = (place.join("state"), place.join("policy"));
    create_folders(&state, Mode::Private)?;
    create_folders(&policies, Mode::Private)?;
    write_atomic(&policies.join("bench.cedar"), cedar(plan).as_bytes(), Mode::Private)?;
    let config = place.join("hermetic.yaml");
    write_atomic(&config, configuration(port, engine_port, plan).as_bytes(), Mode::Private)?;
    let metadata = Metadata::open(&state.join("metadata.sqlite"))?;
    let keys = issue_keys(&metadata, "bench", plan.keys)?;
    let forbidden = issue_keys(&metadata, "elsewhere", 1)?;
    let starved = issue_keys(&metadata, "starved", 1)?;
    drop(metadata);
    let file = place.join("keys.txt");
    write_atomic(&file, keys.join("\n").as_bytes(), Mode::Private)?;
    let (program, config) = (text(hermetic)?, text(&config)?);
    let process = Running::start(cores, &[&program, "--config", &config, "serve"])?;
    let name = if plan.governed { "hermetic: governed" } else { "hermetic: plain" };
    let mut subject = Subject::new(name, port, Some(process));
    subject.key = keys.first().cloned().unwrap_or_default();
    subject.forbidden_key = forbidden.into_iter().next().unwrap_or_default();
    subject.starved_key = starved.into_iter().next().unwrap_or_default();
    subject.keys = (plan.keys > 1).then_some(file);
    subject.wait_until_ready("/readyz")?;
    Ok(subject)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let path: PathBuf = path.canonicalize().with_context(|| format!("`{}` is not there", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

fn configuration(port: u16, engine_port: u16, plan: &Plan) -> String {
    let durability = if plan.governed { "strict" } else { "relaxed" };
    let mut text = format!(
        "state_dir: state\n\
         gateway:\n  listen: 127.0.0.1:{port}\n  threads: {threads}\n  limits: {{connections: 8192}}\n\
         policy: {{dir: policy}}\n\
         ledger: {{origin: bench.example/ledger, durability: {durability}, queue_records: 16384}}\n\
         log: {{level: error}}\n\
         identity: {{throttle: {{exempt: [127.0.0.0/8]}}}}\n\
         models:\n",
        threads = plan.threads,
    );
    let price = if plan.governed { ", price: {input: 0.15, output: 0.60}" } else { "" };
    let soak = plan.soak.then_some(SOAK_MODELS);
    for model in MODELS.into_iter().chain(soak.into_iter().flatten()) {
        let _ = writeln!(
            text,
            "  - {{name: \"{model}\", endpoint: \"http://127.0.0.1:{engine_port}/v1\"{price}}}"
        );
    }
    let _ = writeln!(
        text,
        "  - {{name: bench-embed, kind: embedding, endpoint: \"http://127.0.0.1:{engine_port}/v1\"{price}}}"
    );
    if plan.governed {
        text.push_str(LIMITS);
        for number in 0..plan.rules {
            let _ = writeln!(
                text,
                "  - {{name: other-{number}, when: {{projects: [other-{number}]}}, limit: 10, unit: requests, window: day}}"
            );
        }
    }
    text
}

/// What the limit `starved` allows.
pub(crate) const STARVED_REQUESTS: u64 = 25;

/// A limit of each kind that a site would have on a project, far above what a run uses, so that all of them count and
/// none refuses; and one that does, for the project that has it.
const LIMITS: &str = "limits:
  - {name: requests-at-once, per: [project], limit: 100000, unit: concurrent}
  - {name: requests-a-minute, per: [subject], limit: 1000000000, unit: requests, window: minute/sliding}
  - {name: tokens-a-month, when: {models: [bench, bench-embed]}, limit: 100000000000000, unit: tokens, window: month}
  - {name: budget-a-month, per: [project], limit: 1000000000, unit: money, currency: EUR, window: month}
  - {name: starved, when: {projects: [starved]}, limit: 25, unit: requests, window: month}
";

/// One policy that permits what is asked, and others that are about somebody else.
fn cedar(plan: &Plan) -> String {
    let mut text = String::from(
        "@id(\"bench-may-chat\")\npermit (principal in Project::\"bench\", action == Action::\"chat.completions\", resource)\n\
         when { resource.kind == \"chat\" };\n\
         @id(\"bench-may-embed\")\npermit (principal in Project::\"bench\", action == Action::\"embeddings\", resource);\n\
         @id(\"starved-may-chat\")\npermit (principal in Project::\"starved\", action == Action::\"chat.completions\", resource);\n",
    );
    for number in 0..plan.policies {
        let _ = writeln!(
            text,
            "@id(\"other-{number}\")\npermit (principal in Project::\"other-{number}\", action, resource) \
             when {{ resource.kind == \"chat\" }};"
        );
    }
    text
}

/// Keys of as many subjects, written where `hermetic serve` reads them.
fn issue_keys(metadata: &Metadata, project: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let now = Clock::system().unix_millis();
    let mut keys = Vec::with_capacity(count);
    for number in 0..count {
        let owner = Owner {
            subject: format!("load-{number}").parse()?,
            project: project.parse()?,
            team: "bench".parse()?,
            workflow: "bench".parse()?,
        };
        let random = hermetic_identity::draw().context("no random bytes")?;
        let issued = IssuedKey::new(
            KeyRequest { grants: Grants::of(owner), expires_unix_ms: None, by: "bench".to_owned() },
            random,
            now,
        );
        metadata.insert_api_key(&issued.row)?;
        keys.push(issued.key.reveal());
    }
    Ok(keys)
}
