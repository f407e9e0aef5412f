//! The life of one worker: start, ready, end, pause, start again.

use super::{Incident, Shared, WorkerSpec, WorkerState, WorkerStatus, probe};
use hermetic_digest::Digest;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// First pause before a restart; doubles up to the last. A crash by one bad request is over in a quarter of a second,
/// a model that cannot load does not keep the machine busy.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// Up this long, a worker's next end counts as its first.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Between two questions whether it is ready.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// For what is left in the pipe when a worker has ended.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
/// Longest line taken from a worker's stderr.
const LINE_BYTES_MAX: usize = 4096;

pub(super) async fn keep_running(shared: Arc<Shared>, spec: WorkerSpec, stop: CancellationToken) {
    // Two names may serve the same weights; a name may hold what a path may not.
    let name = Digest::of(spec.model.as_bytes()).short();
    let socket = shared.options.run_dir.join(format!("{}-{}-{name}.sock", spec.kind, spec.digest.short()));
    let mut life = Life { shared, spec, socket, stop, restarts: 0 };
    life.run().await;
    life.shared.withdraw(&life.spec.model, life.spec.digest);
}

struct Life {
    shared: Arc<Shared>,
    spec: WorkerSpec,
    socket: PathBuf,
    stop: CancellationToken,
    restarts: u32,
}

/// How one run of the process ended.
enum End {
    Asked,
    Unasked { reason: String, was_stable: bool },
}

impl Life {
    async fn run(&mut self) {
        loop {
            let End::Unasked { reason, was_stable } = self.once().await else { return };
            if was_stable {
                self.restarts = 0;
            }
            let pause = PAUSE_FIRST.saturating_mul(1 << self.restarts.min(10)).min(PAUSE_LAST);
            self.report(reason, pause);
            self.restarts = self.restarts.saturating_add(1);
            self.publish(WorkerState::Waiting { restarts: self.restarts }, None);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn report(&self, reason: String, pause: Duration) {
        let restart_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(model = %self.spec.model, %reason, restart_in_ms, code = "E0705", "a worker ended");
        let incident = Incident {
            model: self.spec.model.clone(),
            digest: self.spec.digest,
            at: self.shared.options.clock.unix_millis(),
            reason,
            restarts: self.restarts,
            restart_in_ms,
        };
        // Nobody listening is the caller's choice; the log line above stands.
        let _ = self.shared.incidents.send(incident);
    }

    fn publish(&self, state: WorkerState, pid: Option<u32>) {
        let (spec, socket) = (&self.spec, self.socket.clone());
        let (model, digest, kind) = (spec.model.clone(), spec.digest, spec.kind);
        self.shared.publish(WorkerStatus { model, digest, kind, socket, state, pid });
    }

    async fn once(&self) -> End {
        self.publish(WorkerState::Starting, None);
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => {
                return End::Unasked { reason: format!("cannot start: {error}"), was_stable: false };
            }
        };
        let pid = child.id();
        // Taken out, because waiting for a child closes its stdin first, and that would be the sign to end.
        let lifeline = child.stdin.take();
        let mut log = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            log.spawn(forward(BufReader::new(stderr), self.spec.model.clone()));
        }
        let end = self.watch(&mut child, pid).await;
        drop(lifeline);
        // Its last words are the ones that explain its end; a grandchild holding the pipe must not hold us.
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, log.join_next()).await;
        end
    }

    async fn watch(&self, child: &mut Child, pid: Option<u32>) -> End {
        let clock = &self.shared.options.clock;
        let within = self.shared.options.ready_within;
        let ready = async {
            while !probe::is_ready(&self.shared.options.connector, &self.socket).await {
                tokio::time::sleep(PROBE_EVERY).await;
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => return self.end(child, pid).await,
            status = child.wait() => return ended(status, false),
            ready = tokio::time::timeout(within, ready) => if ready.is_err() {
                let _ = child.kill().await;
                return End::Unasked { reason: format!("not ready within {} s", within.as_secs()), was_stable: false };
            },
        }
        let ready_since = clock.monotonic();
        self.publish(WorkerState::Ready, pid);
        tokio::select! {
            () = self.stop.cancelled() => self.end(child, pid).await,
            status = child.wait() => {
                let was_stable = clock.monotonic().saturating_sub(ready_since) >= STABLE_AFTER;
                ended(status, was_stable)
            }
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let options = &self.shared.options;
        let parent = std::process::id().to_string();
        let (spec, digest) = (&self.spec, self.spec.digest.to_string());
        let mut command = Command::new(&options.program);
        command
            .args(&options.arguments)
            .arg("--socket")
            .arg(&self.socket)
            .arg("--weights")
            .arg(&spec.weights);
        command.args([
            "--model",
            &spec.model,
            "--digest",
            &digest,
            "--kind",
            spec.kind.as_str(),
            "--parent",
            &parent,
        ]);
        let numbers = [
            ("--threads", spec.threads),
            ("--context", spec.context),
            ("--slots", spec.slots),
            ("--queue", spec.queue),
        ];
        for (flag, value) in numbers {
            if let Some(value) = value {
                command.args([OsString::from(flag), value.to_string().into()]);
            }
        }
        // Nothing of our environment is its business; the pipe on stdin is its sign of life from us.
        command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    /// SIGTERM, then SIGKILL when the grace is over.
    async fn end(&self, child: &mut Child, pid: Option<u32>) -> End {
        self.publish(WorkerState::Stopping, pid);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(self.shared.options.grace, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        End::Asked
    }
}

fn ended(status: std::io::Result<ExitStatus>, was_stable: bool) -> End {
    let reason = match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("exit status {code}"),
            (None, None) => "ended for no stated reason".to_owned(),
        },
        Err(error) => format!("cannot be waited for: {error}"),
    };
    End::Unasked { reason, was_stable }
}

/// A worker's stderr, line by line, into our log.
async fn forward(mut lines: BufReader<tokio::process::ChildStderr>, model: String) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line).await {
            Ok(1..) => {
                let text =
                    String::from_utf8_lossy(line.get(..line.len().min(LINE_BYTES_MAX)).unwrap_or(&line));
                tracing::info!(target: "worker", %model, "{}", text.trim_end());
            }
            Ok(0) | Err(_) => return,
        }
    }
}
