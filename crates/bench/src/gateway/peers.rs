//! The peers: gateways of others, installed by `bench/gateway/peers.sh`, each as it comes but for telemetry, which is
//! off.

use super::processes::{Running, free_port};
use super::subject::Subject;
use anyhow::{Context as _, ensure};
use std::path::Path;
use std::process::Command;

/// A gateway to be measured beside ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// As `peers.sh` and the ratios call it.
    pub(super) name: &'static str,
    pub(super) ratio: &'static str,
    path: &'static str,
    model: &'static str,
    /// A path that is answered with success once it is ready. `None`: it listens where it wants, and prints the address
    /// once it does.
    ready: Option<&'static str>,
}

pub(super) const PEERS: [Peer; 4] = [
    Peer {
        name: "litellm",
        ratio: "plain_vs_litellm",
        path: "/v1/chat/completions",
        model: "bench",
        ready: Some("/health/liveliness"),
    },
    Peer {
        name: "portkey",
        ratio: "plain_vs_portkey",
        path: "/v1/chat/completions",
        model: "bench",
        ready: Some("/"),
    },
    Peer {
        name: "tensorzero",
        ratio: "plain_vs_tensorzero",
        path: "/openai/v1/chat/completions",
        model: "tensorzero::model_name::bench",
        ready: None,
    },
    Peer {
        name: "vllm-router",
        ratio: "plain_vs_vllm_router",
        path: "/v1/chat/completions",
        model: "bench",
        ready: Some("/health"),
    },
];

impl Peer {
    /// What is installed.
    pub(super) fn version(&self, script: &Path) -> anyhow::Result<String> {
        let output = Command::new("sh").arg(script).args(["version", self.name]).output()?;
        ensure!(output.status.success(), "not installed (bench/gateway/peers.sh install)");
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub(super) fn start(&self, script: &Path, engine_port: u16, core: usize) -> anyhow::Result<Subject> {
        let script = script.to_str().context("the script's path")?;
        let port = free_port()?;
        let (port_text, engine_text) = (port.to_string(), engine_port.to_string());
        let command = ["sh", script, "start", self.name, &port_text, &engine_text];
        let (process, port) = if self.ready.is_none() {
            let (process, line) = Running::start_and_hear(&core.to_string(), &command)?;
            let port = line.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap_or_default();
            let port = port.parse().with_context(|| format!("not an address: `{line}`"))?;
            (process, port)
        } else {
            (Running::start(&core.to_string(), &command)?, port)
        };
        let mut subject = Subject::new(self.name, port, Some(process));
        self.path.clone_into(&mut subject.path);
        self.model.clone_into(&mut subject.model);
        if self.name == "portkey" {
            subject.headers = vec![
                "x-portkey-provider: openai".to_owned(),
                format!("x-portkey-custom-host: http://127.0.0.1:{engine_port}/v1"),
            ];
        }
        if let Some(path) = self.ready {
            subject.wait_until_ready(path)?;
        }
        Ok(subject)
    }
}
