//! The processes of the benchmark, each pinned to its core, each ended when its handle goes.

use anyhow::{Context as _, ensure};
use hermetic_bounded_io::{Mode, read_text_capped, write_atomic};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a process may take to end when it is asked to; then it is killed. 200 × 50 ms.
const END_ATTEMPTS: u32 = 200;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);
/// Longest `/proc` file read.
const PROC_BYTES_MAX: u64 = 64 << 10;

/// Which core does what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) count: usize,
    /// The proxy that is measured.
    pub(crate) proxy: usize,
    /// Load and engine.
    pub(crate) load: usize,
}

impl Cores {
    pub(crate) fn available() -> Self {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { count, proxy: 0, load: 1 }
    }
}

/// Two thousand streams take four thousand files in the proxy, and the usual limit is a thousand. Children inherit it.
pub(crate) fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is not granted shows in the case that needs it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// A child that does not outlive its handle.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first: nginx ends its worker processes itself, and our ledger is closed in order.
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        for _ in 0..END_ATTEMPTS {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(BETWEEN_ATTEMPTS);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a command on some cores. What it says is thrown away, but for its errors when it is to be quoted.
    pub(crate) fn start(cores: &str, command: &[&str]) -> anyhow::Result<Self> {
        let child = pinned(cores, command).stdout(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {command:?}"))?))
    }

    /// [`Running::start`], and the first line it prints.
    pub(crate) fn start_and_hear(cores: &str, command: &[&str]) -> anyhow::Result<(Self, String)> {
        let child = pinned(cores, command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("a child without output")?;
        let running = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok((running, line.trim().to_owned()))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Memory in use that is in RAM, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = read_text_capped(Path::new(&path), PROC_BYTES_MAX)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

fn pinned(cores: &str, command: &[&str]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cores]).args(command).stdin(Stdio::null()).stderr(Stdio::null());
    pinned
}

/// Runs this program once more, on some cores, and returns what it prints.
pub(crate) fn this_program(cores: &str, arguments: &[String]) -> anyhow::Result<String> {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(std::env::current_exe()?).args(arguments).stdin(Stdio::null());
    let output = command.output().context("cannot start the load")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "the load failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a program says of its version: the first line, wherever it prints it.
pub(crate) fn version(program: &str, flag: &str) -> anyhow::Result<String> {
    let output = Command::new(program).arg(flag).output().with_context(|| format!("cannot run {program}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}

/// nginx in the foreground, with its files in `place`.
pub(crate) fn start_nginx(
    place: &Path,
    template: &str,
    ports: &[(&str, u16)],
    core: usize,
) -> anyhow::Result<Running> {
    let filled =
        ports.iter().fold(template.to_owned(), |text, (mark, port)| text.replace(mark, &port.to_string()));
    let place = place.canonicalize()?;
    let conf = place.join("nginx.conf");
    write_atomic(&conf, filled.as_bytes(), Mode::Shared)?;
    let (conf, prefix) = (conf.to_string_lossy().into_owned(), place.to_string_lossy().into_owned());
    Running::start(&core.to_string(), &["nginx", "-g", "daemon off;", "-c", &conf, "-p", &prefix])
}
