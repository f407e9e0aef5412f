//! Another configuration while the service runs.
//!
//! ```text
//! file changed, or SIGHUP → parse and check the whole → prepare what it asks for → record → swap ┄ or: keep the old, say so
//! ```
//!
//! Everything that can fail happens before the record, and nothing of a configuration is in force before its record is
//! durable. What is refused is refused as a whole: the former stays in force, requests are answered as before.

use super::models::Models;
use super::outcome::{Outcome, Verdict};
use super::policies::Place;
use super::{Parts, guardrails, limits, options};
use crate::cli::enclave::{Enclave, StatePaths, levels, read_config_text, read_policies};
use hermetic_config::{Config, Effect, changes};
use hermetic_diagnostics::Report;
use hermetic_digest::Digest;
use hermetic_gateway::{Adjust, policy_commit};
use hermetic_ledger::record::{ConfigChanged, Event, Record};
use hermetic_telemetry::{LogLevelHandle, Metrics};
use hermetic_worker::Supervisor;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// How often the file is looked at. A file is taken when two looks find the same, so that one that is being written is
/// not read half; a change is in force within about twice this long.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a reload reads, and what it puts in force.
pub(crate) struct Reload<'a> {
    parts: &'a Parts,
    models: Models,
    gateway: Adjust,
    log: LogLevelHandle,
    metrics: Arc<Metrics>,
    file: PathBuf,
    paths: StatePaths,
    /// What the service was started with: keys that need a restart are in force as they stand here.
    started: Config,
    in_force: Config,
    digest: Digest,
    /// What the file was judged by last, accepted or refused.
    judged: Digest,
    /// Found by the look before, and different.
    arriving: Option<Digest>,
    /// Reloads that were asked for or found.
    count: u64,
}

/// The handles of the running service that a reload turns.
pub(crate) struct Handles {
    pub(crate) models: Models,
    pub(crate) gateway: Adjust,
    pub(crate) log: LogLevelHandle,
    pub(crate) metrics: Arc<Metrics>,
}

/// What came of a configuration that was not refused.
struct Applied {
    keys: Vec<String>,
    restart_keys: Vec<String>,
    changed: bool,
}

impl<'a> Reload<'a> {
    pub(crate) fn new(enclave: &Enclave, file: PathBuf, parts: &'a Parts, handles: Handles) -> Self {
        let Handles { models, gateway, log, metrics } = handles;
        Self {
            parts,
            models,
            gateway,
            log,
            metrics,
            file,
            paths: enclave.paths.clone(),
            started: enclave.config.clone(),
            in_force: enclave.config.clone(),
            digest: enclave.config_digest,
            judged: enclave.config_digest,
            arriving: None,
            count: 0,
        }
    }

    /// Looks at the file again and again, and whenever a signal asks for it, until dropped.
    pub(crate) async fn follow(mut self, supervisor: &Supervisor, asked: &mut Signal) -> Infallible {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = asked.recv() => true,
                _ = looks.tick() => false,
            };
            self.look(asked, supervisor).await;
        }
    }

    async fn look(&mut self, asked: bool, supervisor: &Supervisor) {
        let text = match read_config_text(&self.file) {
            Ok(text) => text,
            Err(error) if asked => return self.tell(None, Err(error.into())).await,
            // Gone for a moment, as when an editor puts another in its place; a signal would have been told.
            Err(_) => return,
        };
        let digest = Digest::of(text.as_bytes());
        if !asked && (digest == self.judged || self.arriving.replace(digest) != Some(digest)) {
            return;
        }
        (self.judged, self.arriving) = (digest, None);
        let reloaded = self.reload(&text, digest, supervisor).await;
        self.tell(Some(digest), reloaded).await;
    }

    async fn reload(
        &mut self,
        text: &str,
        digest: Digest,
        supervisor: &Supervisor,
    ) -> Result<Applied, Report> {
        let config = hermetic_config::parse(text, &self.file)?;
        let levels = levels(&config)?;
        // Nobody else puts policies in force until this is done.
        let mut place = self.parts.policies.lock().await;
        let policies = read_policies(config.policy.dir.as_deref(), &levels)?;
        let (rules, terms) = limits::of_config(&config)?;
        let guarded = guardrails::of_config(&config)?;
        let models = self.models.prepare(&config.models)?;
        let keys = keys_of(Effect::Reload, &self.in_force, &config);
        let restart_keys = keys_of(Effect::Restart, &self.started, &config);
        let changed = digest != self.digest || policies.digest() != self.parts.authorizer.digest();
        if changed {
            let event = Event::ConfigChanged(ConfigChanged {
                from: self.digest,
                to: digest,
                keys: keys.clone(),
                restart_keys: restart_keys.clone(),
                policy_digest: policies.digest(),
                policy_commit: policy_commit(policies.revision()),
            });
            self.parts.ledger.append(&self.record(event)).await?;
            self.parts.authorizer.replace(policies);
            *place = Place { folder: config.policy.dir.clone(), levels };
            self.parts.limiting.replace(rules, terms);
            self.parts.guarding.replace(guarded.0, guarded.1);
            let mut limits = options::of(&config);
            limits.threads = usize::try_from(self.started.gateway.threads).unwrap_or(1);
            self.gateway.options(limits);
            self.models.put_in_force(models, supervisor);
            if let Err(error) = self.log.set(config.log.level.as_str()) {
                tracing::warn!(%error, "the log level stays as it was");
            }
            (self.in_force, self.digest) = (config, digest);
        }
        Ok(Applied { keys, restart_keys, changed })
    }

    /// On the log, in the metrics, in the ledger where something was refused, and for whoever asked.
    async fn tell(&mut self, digest: Option<Digest>, reloaded: Result<Applied, Report>) {
        self.count += 1;
        let gauges = &self.metrics.reload;
        gauges.failed.set(i64::from(reloaded.is_err()));
        let verdict = match reloaded {
            Ok(Applied { keys, restart_keys, changed }) => {
                gauges.restart_keys.set(i64::try_from(restart_keys.len()).unwrap_or(i64::MAX));
                if changed {
                    gauges.changed.inc();
                    tracing::info!(
                        keys = keys.join(" "),
                        restart_keys = restart_keys.join(" "),
                        "another configuration is in force"
                    );
                }
                if changed {
                    Verdict::Changed { keys, restart_keys }
                } else {
                    Verdict::Unchanged { restart_keys }
                }
            }
            Err(report) => {
                let (code, causes) = (report.code().as_str(), report.chain());
                tracing::error!(
                    code,
                    causes = causes.join(": "),
                    "the configuration is refused as a whole; the former stays in force"
                );
                if let Some(rejected) = digest {
                    self.record_refusal(rejected, code).await;
                }
                Verdict::Rejected { code: code.to_owned(), causes, hint: report.hint().map(str::to_owned) }
            }
        };
        let outcome = Outcome {
            count: self.count,
            file: self.file.clone(),
            in_force: self.digest.to_string(),
            at_unix_ms: self.parts.clock.unix_millis(),
            verdict,
        };
        if let Err(error) = outcome.write(&self.paths) {
            tracing::warn!(%error, "what came of the reload cannot be told to whoever asked");
        }
    }

    async fn record_refusal(&self, rejected: Digest, code: &str) {
        let event = Event::ConfigRejected { in_force: self.digest, rejected, code: code.to_owned() };
        if let Err(error) = self.parts.ledger.append(&self.record(event)).await {
            tracing::error!(%error, "a refused configuration could not be recorded");
        }
    }

    fn record(&self, event: Event) -> Record {
        Record::new(self.parts.clock.unix_millis(), event)
    }
}

fn keys_of(effect: Effect, from: &Config, to: &Config) -> Vec<String> {
    let changes = changes(from, to).into_iter();
    changes.filter(|change| change.effect == effect).map(|change| change.key).collect()
}
