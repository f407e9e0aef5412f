//! The processes of the benchmark, each pinned to its core, each ended when its handle goes.

use super::Served;
use anyhow::{Context as _, ensure};
use hermetic_bounded_io::{Mode, write_atomic};
use hermetic_connector::{AllowList, Connector};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Which core does what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    pub(super) count: usize,
    /// The proxy that is measured.
    pub(super) proxy: usize,
    /// Load and engine.
    pub(super) load: usize,
}

impl Cores {
    pub(super) fn available() -> Self {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { count, proxy: 0, load: 1 }
    }
}

/// A child that does not outlive its handle.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Asked, not killed: nginx ends its worker processes itself.
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Running {
    /// Closes its input, which a well-mannered child takes as the sign to end, and waits for it.
    pub(super) fn end_input_and_wait(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }
}

/// A port nobody listens on at this moment.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a program says of its version: the first line, wherever it prints it.
pub(super) fn version(program: &str, flag: &str) -> anyhow::Result<String> {
    let output = Command::new(program).arg(flag).output().with_context(|| format!("cannot run {program}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}

/// nginx in the foreground, with its files in `place`, once it accepts connections.
pub(super) fn start_nginx(
    place: &Path,
    name: &str,
    template: &str,
    ports: &[(&str, u16)],
    core: usize,
) -> anyhow::Result<Running> {
    let filled =
        ports.iter().fold(template.to_owned(), |text, (mark, port)| text.replace(mark, &port.to_string()));
    let conf = place.canonicalize()?.join(format!("{name}.conf"));
    write_atomic(&conf, filled.as_bytes(), Mode::Shared)?;
    let listens = ports.iter().filter(|(mark, _)| template.contains(&format!("listen 127.0.0.1:{mark}")));
    let port = listens.map(|(_, port)| *port).next().context("the configuration listens nowhere")?;
    let child = Command::new("taskset")
        .args(["-c", &core.to_string(), "nginx", "-g", "daemon off;", "-c"])
        .arg(&conf)
        .arg("-p")
        .arg(place.canonicalize()?)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start nginx")?;
    let mut running = Running(child);
    wait_until_listening(&mut running, port)?;
    Ok(running)
}

fn wait_until_listening(running: &mut Running, port: u16) -> anyhow::Result<()> {
    let connector = Connector::new(AllowList::loopback());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        while connector.tcp("127.0.0.1", port).await.is_err() {
            ensure!(running.0.try_wait()?.is_none(), "nginx ended at once; see its log");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Ok(())
    })
}

/// This program once more, as a gateway. It says its port and key on its first line.
pub(super) fn start_gateway(ledger: &Path, engine_port: u16, core: usize) -> anyhow::Result<Served> {
    let mut child = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(std::env::current_exe()?)
        .args(["gateway-served", "--engine-port", &engine_port.to_string(), "--state"])
        .arg(ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the gateway")?;
    let stdout = child.stdout.take().context("the gateway has no output")?;
    let process = Running(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let (port, key) = line.trim().split_once(' ').context("the gateway did not start")?;
    Ok(Served { process, port: port.parse()?, key: key.to_owned() })
}
