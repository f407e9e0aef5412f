//! The two servers: our worker on its socket, llama.cpp's on a loopback port.

use super::client::{Address, Client};
use anyhow::{Context as _, bail};
use hermetic_connector::Connector;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The same for both.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) model: &'a Path,
    pub(crate) threads: usize,
    pub(crate) slots: u32,
    /// Tokens of one request.
    pub(crate) context: u32,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) client: Client,
    process: Child,
}

const READY_WITHIN: Duration = Duration::from_secs(120);
const PROBE_EVERY: Duration = Duration::from_millis(100);

impl Peer {
    pub(crate) async fn worker(
        program: &Path,
        plan: &Plan<'_>,
        place: &Path,
        connector: &Connector,
    ) -> anyhow::Result<Self> {
        let socket = place.join("w.sock");
        let mut command = Command::new(program);
        command.args(["worker", "--model", "bench", "--digest", "none", "--kind", "chat"]);
        command.arg("--socket").arg(&socket).arg("--weights").arg(plan.model);
        command.args(["--threads", &plan.threads.to_string(), "--slots", &plan.slots.to_string()]);
        command.args(["--context", &plan.context.to_string(), "--queue", "64"]);
        let client = Client { connector: connector.clone(), address: Address::Unix(socket) };
        Self::ready("hermetic worker", program, command, client, "/internal/status").await
    }

    pub(crate) async fn llama_server(
        program: &Path,
        plan: &Plan<'_>,
        connector: &Connector,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let threads = plan.threads.to_string();
        let mut command = Command::new(program);
        command.arg("--model").arg(plan.model).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args([
            "--threads",
            &threads,
            "--threads-batch",
            &threads,
            "--parallel",
            &plan.slots.to_string(),
        ]);
        command.args(["--ctx-size", &(plan.context * plan.slots).to_string()]);
        let client = Client { connector: connector.clone(), address: Address::Loopback(port) };
        Self::ready("llama-server", program, command, client, "/health").await
    }

    async fn ready(
        name: &'static str,
        program: &Path,
        mut command: Command,
        client: Client,
        path: &str,
    ) -> anyhow::Result<Self> {
        let version = version(program).await;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?;
        let probe = async {
            while !client.is_ready(path).await {
                tokio::time::sleep(PROBE_EVERY).await;
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(READY_WITHIN, probe) => ready.with_context(|| format!("{name} is not ready"))?,
            ended = process.wait() => bail!("{name} ended before it was ready: {}", ended?),
        }
        Ok(Self { name, version, client, process })
    }

    pub(crate) async fn end(mut self) {
        let _ = self.process.kill().await;
    }
}

/// The first line of `--version`, wherever it is printed.
async fn version(program: &Path) -> String {
    let Ok(output) = Command::new(program).arg("--version").output().await else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("unknown")
        .trim()
        .to_owned()
}

/// A port nobody listens on now. Another process could take it before the server does; then the server says so.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
