//! A proxy that is measured, and one measurement of it.

use super::processes::{Running, this_program};
use crate::engine::client::{Address, Client};
use crate::load::Report;
use anyhow::{Context as _, ensure};
use hermetic_connector::{AllowList, Connector};
use std::path::PathBuf;
use std::time::Duration;

/// How long a proxy may take to be ready: LiteLLM imports for half a minute on a busy core. 600 × 100 ms.
const READY_ATTEMPTS: u32 = 600;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// A proxy, how it is spoken to, and its process, which ends with it.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) model: String,
    pub(crate) headers: Vec<String>,
    pub(crate) key: String,
    pub(crate) keys: Option<PathBuf>,
    /// A key that is known and that policy lets do nothing.
    pub(crate) forbidden_key: String,
    /// A key whose project may ask [`STARVED_REQUESTS`](super::enclave::STARVED_REQUESTS) times.
    pub(crate) starved_key: String,
    pub(crate) process: Option<Running>,
}

/// What is asked of a proxy, and how hard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) prompt_bytes: usize,
    /// Requests per second; `None`: as fast as answers come.
    pub(crate) rate: Option<f64>,
    pub(crate) stream: bool,
    /// Behaviour of the mock engine, put behind the model's name.
    pub(crate) engine: &'static str,
    pub(crate) seconds: f64,
}

impl Subject {
    pub(crate) fn new(name: &str, port: u16, process: Option<Running>) -> Self {
        Self {
            name: name.to_owned(),
            port,
            path: "/v1/chat/completions".to_owned(),
            model: "bench".to_owned(),
            headers: Vec::new(),
            key: "none".to_owned(),
            keys: None,
            forbidden_key: String::new(),
            starved_key: String::new(),
            process,
        }
    }

    /// Waits until `path` is answered with success, or the process has ended.
    pub(crate) fn wait_until_ready(&mut self, path: &str) -> anyhow::Result<()> {
        let connector = Connector::new(AllowList::loopback());
        let client = Client { connector, address: Address::Loopback(self.port) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for _ in 0..READY_ATTEMPTS {
            if runtime.block_on(client.is_ready(path)) {
                return Ok(());
            }
            if self.process.as_mut().is_some_and(Running::has_ended) {
                anyhow::bail!("{} ended at once", self.name);
            }
            // Not a wait for a duration but for another process, which has no way to call us.
            std::thread::park_timeout(BETWEEN_ATTEMPTS);
        }
        anyhow::bail!("{} was not ready in time", self.name)
    }

    /// Puts a load on it. Fails when nothing was answered.
    pub(crate) fn measure(&self, core: usize, load: &Load) -> anyhow::Result<Report> {
        let mut arguments: Vec<String> = vec!["load".into()];
        let mut option = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
        option("port", self.port.to_string());
        option("connections", load.connections.to_string());
        option("seconds", load.seconds.to_string());
        option("warm-up", (load.seconds / 4.0).clamp(0.3, 2.0).to_string());
        option("prompt-bytes", load.prompt_bytes.to_string());
        option("path", self.path.clone());
        option("key", self.key.clone());
        option("model", format!("{}{}", self.model, load.engine));
        if let Some(rate) = load.rate {
            option("rate", rate.to_string());
        }
        if let Some(keys) = &self.keys {
            option("keys", keys.to_string_lossy().into_owned());
        }
        self.headers.iter().for_each(|header| option("header", header.clone()));
        if load.stream {
            arguments.push("--stream".into());
        }
        let text = this_program(&core.to_string(), &arguments)?;
        let report: Report = serde_json::from_str(&text).context("the load's report")?;
        ensure!(report.requests > 0, "{}: nothing was answered: {:?}", self.name, report.failures);
        Ok(report)
    }

    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        self.process.as_ref().context("no process")?.resident_mib()
    }
}
