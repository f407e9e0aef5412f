//! A server of its own for a test, and replicas that use it.

use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_limits::{
    Amounts, Denied, Facts, Fold, Granted, Headroom, HeadroomAway, HeadroomState, Length, Limits,
    OnExhausted, Reservation, Rule, RuleSet, Unit, When, Window,
};
use hermetic_shared_counters::{OnLoss, SharedCounters, SharedOptions};
use hermetic_telemetry::Metrics;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// `redis-server` or `valkey-server`, whichever is there.
pub(crate) fn program() -> Option<&'static str> {
    ["redis-server", "valkey-server"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok())
}

/// The test is left out, and says so, where neither is installed.
macro_rules! needs_server {
    () => {
        if crate::server::program().is_none() {
            println!(
                "skipped: neither redis-server nor valkey-server is installed (scripts/requirements.sh --all)"
            );
            return;
        }
    };
}
pub(crate) use needs_server;

pub(crate) struct Server {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Child,
    arguments: Vec<String>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = launch(port, &folder, &arguments);
        Self { port, folder, child, arguments }
    }

    /// As when the machine under it dies: nothing is saved.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.child = launch(self.port, &self.folder, &self.arguments);
    }

    /// One command, and the beginning of what came back.
    pub(crate) async fn command(&self, words: &[&str]) -> String {
        let stream = tokio::net::TcpSocket::new_v4().unwrap();
        stream.set_nodelay(true).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test that plays the operator")]
        let mut stream = stream.connect(([127, 0, 0, 1], self.port).into()).await.unwrap();
        let mut out = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| out.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        stream.write_all(out.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(port: u16, folder: &tempfile::TempDir, arguments: &[String]) -> Child {
    let mut child = Command::new(program().unwrap())
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("eady to accept connections")), "the server did not start");
    // Whoever closes the pipe ends the server with its next line.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// One rule for the whole site.
pub(crate) fn rule(cap: u64, unit: Unit, window: Window) -> Rule {
    Rule {
        name: "budget".into(),
        when: When::default(),
        per: Vec::new(),
        cap,
        unit,
        window,
        soft: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: true,
        currency: None,
    }
}

pub(crate) const MONTH: Window = Window::Calendar(Length::Month);

pub(crate) struct Node {
    pub(crate) limits: Arc<Limits>,
    pub(crate) shared: SharedCounters,
    pub(crate) metrics: Metrics,
    clock: Clock,
    ending: CancellationToken,
    running: JoinHandle<()>,
}

pub(crate) fn options(server: &Server, replica: &str, replicas: u32) -> SharedOptions {
    SharedOptions {
        heartbeat: Duration::from_millis(20),
        retry_every: Duration::from_millis(20),
        presumed_dead_after: Duration::from_millis(200),
        ..SharedOptions::new("127.0.0.1", server.port, replica, replicas)
    }
}

impl Node {
    pub(crate) fn start(options: SharedOptions, rules: Vec<Rule>) -> Self {
        Self::start_from(options, rules, &Fold::default())
    }

    /// A process that finds in its ledger what `fold` says.
    pub(crate) fn start_from(options: SharedOptions, rules: Vec<Rule>, fold: &Fold) -> Self {
        let limits = Arc::new(Limits::new(RuleSet::new(rules).unwrap(), 1_000));
        limits.restore(fold);
        let (clock, metrics) = (Clock::system(), Metrics::new());
        let connector = Connector::new(AllowList::loopback());
        let mut instance = [0; 16];
        aws_lc_rs::rand::fill(&mut instance).unwrap();
        let watched = (clock.clone(), Arc::clone(&metrics.shared_counters));
        let (shared, replica) =
            SharedCounters::new(options, connector, Arc::clone(&limits), watched, instance);
        let ending = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "held by the node and awaited when it stops")]
        let running = tokio::spawn(replica.run(ending.clone()));
        Self { limits, shared, metrics, clock, ending, running }
    }

    pub(crate) async fn stands(&self, state: HeadroomState) {
        self.shared.stands(state).await;
    }

    /// As the gateway reserves.
    pub(crate) async fn reserve(&self, amount: u64) -> Result<Reservation, Refused> {
        let facts = Facts {
            subject: "alice",
            team: "eng",
            project: "demo",
            workflow: "docs",
            key: "k1",
            model: "m",
            surface: "chat.completions",
            metadata: &[],
        };
        let most = Amounts { requests: 1, input_tokens: amount, concurrent: 1, ..Amounts::default() };
        loop {
            match self.limits.reserve(&facts, &most, self.clock.unix_millis()) {
                Ok(reservation) => return Ok(reservation),
                Err(Denied::Short(short)) => match self.shared.ask(&short).await {
                    Ok(Granted::More) => {}
                    Ok(Granted::Exhausted) => return Err(Refused::Exhausted),
                    Err(HeadroomAway) => return Err(Refused::Away),
                },
                Err(_) => return Err(Refused::Exhausted),
            }
        }
    }

    /// As the process ends in good order.
    pub(crate) async fn stop(self) {
        self.ending.cancel();
        self.running.await.unwrap();
    }

    /// As the process dies.
    pub(crate) async fn die(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// Charged and held, over all slots.
    pub(crate) fn spent(&self) -> u64 {
        self.limits.views().iter().map(|view| view.charged + view.held).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Exhausted,
    Away,
}

pub(crate) fn last_lease(options: SharedOptions) -> SharedOptions {
    SharedOptions { on_loss: OnLoss::LastLease, ..options }
}
