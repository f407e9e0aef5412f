//! The gateway beside nginx as a bare reverse proxy and beside the gateways of others, all in one run.
//!
//! One core for the proxy that is measured, another for the load and a mock engine that answers at once, so that what is
//! measured is the proxy. Ours is the binary that ships. *Plain* is a key, a route, and records nobody waits for;
//! *governed* is all of it, with two durable records a request. What cannot be run here is said and left out; a part that
//! fails does not end the run.

pub(crate) mod enclave;
mod peers;
pub(crate) mod processes;
mod subject;
mod wrk;

use crate::load::{Report, Spread};
use crate::results::{Results, Row, say};
use anyhow::{Context as _, ensure};
use enclave::Plan;
use peers::{PEERS, Peer};
use processes::{Cores, Running, free_port, start_nginx};
use std::path::{Path, PathBuf};
use subject::{Load, Subject};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fewer and shorter cases: about three minutes.
    #[arg(long)]
    quick: bool,
    /// Only the headline: nginx, plain and governed in turns, at 1 KiB.
    #[arg(long)]
    headline: bool,
    /// Seconds per measurement.
    #[arg(long)]
    seconds: Option<f64>,
    /// The binary that is measured.
    #[arg(long, default_value = "target/dist/hermetic")]
    hermetic: PathBuf,
    /// The script that starts the peers.
    #[arg(long, default_value = "bench/gateway/peers.sh")]
    peers: PathBuf,
    /// A folder in memory, for states whose disk is not what is measured.
    #[arg(long, default_value = "/dev/shm")]
    memory: PathBuf,
}

const KIB: usize = 1024;
/// Connections of the headline.
const CONNECTIONS: usize = 32;

const FULL: Load =
    Load { connections: CONNECTIONS, prompt_bytes: KIB, rate: None, stream: false, engine: "", seconds: 0.0 };
/// A hundred people reading along: fifty tokens a second, for a second, each.
const READERS: Load = Load { connections: 100, stream: true, engine: ":tps-50:out-50", ..FULL };

struct Bench<'a> {
    arguments: &'a Arguments,
    place: &'a Path,
    cores: Cores,
    seconds: f64,
    direct: Subject,
    results: Results,
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    let cores = Cores::available();
    ensure!(cores.count >= 2, "expected two cores, one for the proxy and one for load and engine");
    processes::allow_many_files();
    let place = tempfile::Builder::new().prefix(".gateway-").tempdir_in(folder)?;
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let (engine, port) =
        Running::start_and_hear(&cores.load.to_string(), &[&program, "mock-engine", "--tokens", "57"])?;
    let direct = Subject::new("no proxy: the engine itself", port.parse()?, Some(engine));
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { 2.0 } else { 4.0 });
    let mut results = Results::new("gateway");
    results.versions.insert(
        "hermetic".to_owned(),
        processes::version(&arguments.hermetic.to_string_lossy(), "--version")?,
    );
    let mut bench = Bench { arguments, place: place.path(), cores, seconds, direct, results };
    bench.run()?;
    Ok(bench.results)
}

impl Bench<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let plain = self.ours("plain", &Plan::PLAIN)?;
        let governed = self.ours("governed", &Plan::GOVERNED)?;
        let nginx = self.part("nginx", Self::nginx);
        let rate = self.headline(nginx.as_ref(), &plain, &governed)?;
        if self.arguments.headline {
            return Ok(());
        }
        for subject in nginx.iter().chain([&plain, &governed]) {
            self.part(&subject.name, |bench| bench.portrait(subject));
        }
        self.part("wrk", |bench| bench.against_wrk(nginx.as_ref()));
        drop(nginx);
        for subject in [&plain, &governed] {
            self.part("open streams", |bench| bench.open_streams(subject));
        }
        drop((plain, governed));
        for peer in &PEERS {
            self.part(peer.name, |bench| bench.peer(peer, rate));
        }
        self.part("cores", Self::two_cores);
        self.part("keys", Self::many_keys);
        self.part("policies", Self::many_policies);
        self.part("rules", Self::many_rules);
        Ok(())
    }

    /// One part of the run. That it fails is said, and the run goes on.
    fn part<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> Option<T> {
        say(&format!("-- {name}"));
        match work(self) {
            Ok(done) => Some(done),
            Err(error) => {
                say(&format!("-- {name} left out: {error:#}"));
                None
            }
        }
    }

    fn ours(&self, folder: &str, plan: &Plan) -> anyhow::Result<Subject> {
        let place = self.place.join(folder);
        enclave::start(
            &self.arguments.hermetic,
            &place,
            self.direct.port,
            &self.cores.proxy.to_string(),
            plan,
        )
    }

    fn nginx(&mut self) -> anyhow::Result<Subject> {
        self.results.versions.insert("nginx".to_owned(), processes::version("nginx", "-v")?);
        let port = free_port()?;
        let ports = [("@ENGINE_PORT@", self.direct.port), ("@PROXY_PORT@", port)];
        let place = self.place.join("nginx");
        hermetic_bounded_io::create_folders(&place, hermetic_bounded_io::Mode::Shared)?;
        let conf = include_str!("../../../bench/gateway/proxy.conf");
        let process = start_nginx(&place, conf, &ports, self.cores.proxy)?;
        let mut subject = Subject::new("nginx: bare reverse proxy", port, Some(process));
        subject.wait_until_ready("/health")?;
        Ok(subject)
    }

    fn measure(&self, subject: &Subject, load: &Load) -> anyhow::Result<Report> {
        // Some peers answer a few dozen a second, the first of them late.
        let peer = PEERS.iter().any(|peer| peer.name == subject.name);
        let seconds = if peer { self.seconds * 2.0 } else { self.seconds };
        let report = subject.measure(self.cores.load, &Load { seconds, ..*load })?;
        // Ours, nginx and the engine answer all or the figures mean nothing; what a peer fails at stands in its rows.
        ensure!(peer || report.failed() == 0, "{}: {:?}", subject.name, report.failures);
        Ok(report)
    }

    /// As fast as it goes, in turns, so that a slow moment of the machine falls on all of them. Returns our plain rate.
    fn headline(
        &mut self,
        nginx: Option<&Subject>,
        plain: &Subject,
        governed: &Subject,
    ) -> anyhow::Result<f64> {
        let rounds = if self.arguments.quick { 3 } else { 5 };
        let subjects: Vec<&Subject> = nginx.into_iter().chain([plain, governed]).collect();
        let mut taken: Vec<Vec<Report>> = vec![Vec::new(); subjects.len()];
        for _ in 0..rounds {
            for (subject, taken) in subjects.iter().zip(&mut taken) {
                taken.push(self.measure(subject, &FULL)?);
            }
        }
        let rates: Vec<Vec<f64>> = taken
            .iter()
            .map(|reports| reports.iter().map(|report| report.requests_per_s).collect())
            .collect();
        for (subject, mut reports) in subjects.iter().zip(taken) {
            reports.sort_by(|a, b| a.requests_per_s.total_cmp(&b.requests_per_s));
            if let Some(middle) = reports.get(reports.len() / 2) {
                self.rows(subject, "full load, 32 connections, 1 KiB", middle);
            }
        }
        let ours = rates.get(rates.len() - 2..).unwrap_or_default();
        let [plain, governed] = ours else { anyhow::bail!("a system was not measured") };
        if let (Some(nginx), 3) = (rates.first(), rates.len()) {
            self.results.ratio("plain_vs_nginx", median_ratio(plain, nginx));
            self.results.ratio("governed_vs_nginx", median_ratio(governed, nginx));
        }
        self.results.ratio("governed_vs_plain", median_ratio(governed, plain));
        Ok(median(plain.clone()))
    }

    /// One system at every prompt size, at half of what it can do, and streaming.
    fn portrait(&mut self, subject: &Subject) -> anyhow::Result<()> {
        for prompt_bytes in [KIB, 4 * KIB, 32 * KIB] {
            let full = Load { prompt_bytes, ..FULL };
            let report = self.measure(subject, &full)?;
            let size = format!("{} KiB", prompt_bytes / KIB);
            if prompt_bytes > KIB {
                self.rows(subject, &format!("full load, 32 connections, {size}"), &report);
            }
            self.half_load(subject, &format!("half load, {size}"), &full, report.requests_per_s)?;
        }
        let many = self.measure(subject, &Load { connections: 256, ..FULL })?;
        self.rows(subject, "full load, 256 connections, 1 KiB", &many);
        self.row(subject, "after 256 connections", "RSS", (subject.resident_mib()?, "MiB"));
        self.streams(subject)
    }

    /// At half of `full` requests per second: what is added to asking the engine directly at the same rate.
    fn half_load(&mut self, subject: &Subject, case: &str, load: &Load, full: f64) -> anyhow::Result<()> {
        let load = Load { rate: Some((full / 2.0).max(1.0)), ..*load };
        let direct = self.measure(&self.direct, &load)?;
        let report = self.measure(subject, &load)?;
        self.rows(subject, case, &report);
        self.added(subject, case, "", (&report.latency, &direct.latency));
        Ok(())
    }

    fn streams(&mut self, subject: &Subject) -> anyhow::Result<()> {
        let fast = self.measure(subject, &Load { stream: true, ..FULL })?;
        let case = "streams of 57 events, 32 connections";
        self.rows(subject, case, &fast);
        self.row(subject, case, "events", (fast.events as f64 / fast.seconds, "1/s"));
        let direct = self.measure(&self.direct, &READERS)?;
        let report = self.measure(subject, &READERS)?;
        let case = "100 streams of 50 events/s";
        self.added(subject, case, " to first event", (&report.first_event, &direct.first_event));
        if report.event_delay.count > 0 {
            self.added(subject, case, " per event", (&report.event_delay, &direct.event_delay));
        }
        self.failures(subject, case, &report);
        Ok(())
    }

    fn open_streams(&mut self, subject: &Subject) -> anyhow::Result<()> {
        let counts: &[usize] = if self.arguments.quick { &[2_000] } else { &[500, 2_000] };
        let empty = subject.resident_mib()?;
        for &connections in counts {
            // Each stream takes four seconds and is followed by another: in ten all were open at once, and those that
            // began after the warm-up have ended.
            let load = Load { connections, stream: true, engine: ":tps-2:out-8", seconds: 10.0, ..FULL };
            let (watched, report) = std::thread::scope(|scope| {
                let measuring = scope.spawn(|| subject.measure(self.cores.load, &load));
                let mut most = empty;
                while !measuring.is_finished() {
                    most = most.max(subject.resident_mib().unwrap_or_default());
                    std::thread::park_timeout(std::time::Duration::from_millis(100));
                }
                (most, measuring.join())
            });
            let report = report.map_err(|_| anyhow::anyhow!("the measuring thread was lost"))??;
            let case = format!("{connections} open streams");
            self.row(subject, &case, "streams completed", (report.requests as f64, "streams"));
            self.row(subject, &case, "event under way p99", (report.event_delay.p99, "ms"));
            self.row(subject, &case, "RSS", (watched, "MiB"));
            self.failures(subject, &case, &report);
        }
        Ok(())
    }

    fn peer(&mut self, peer: &Peer, plain: f64) -> anyhow::Result<()> {
        let version = peer.version(&self.arguments.peers)?;
        let subject = peer.start(&self.arguments.peers, self.direct.port, self.cores.proxy)?;
        self.results.versions.insert(peer.name.to_owned(), version);
        let report = self.measure(&subject, &FULL)?;
        self.rows(&subject, "full load, 32 connections, 1 KiB", &report);
        self.results.ratio(peer.ratio, plain / report.requests_per_s);
        self.half_load(&subject, "half load, 1 KiB", &FULL, report.requests_per_s)?;
        self.row(&subject, "after half load", "RSS", (subject.resident_mib()?, "MiB"));
        // The peers know one model, so its streams come as fast as they can.
        let streamed = self.measure(&subject, &Load { stream: true, ..FULL })?;
        self.rows(&subject, "streams of 57 events, 32 connections", &streamed);
        Ok(())
    }

    /// The same with a thread on each core. Load and engine share the second, so this is a floor of what two give.
    fn two_cores(&mut self) -> anyhow::Result<()> {
        for plan in [Plan::PLAIN, Plan::GOVERNED] {
            let place = self.place.join(format!("two-{}", plan.governed));
            let cores = format!("{},{}", self.cores.proxy, self.cores.load);
            let plan = Plan { threads: 2, ..plan };
            let subject = enclave::start(&self.arguments.hermetic, &place, self.direct.port, &cores, &plan)?;
            let report = self.measure(&subject, &FULL)?;
            self.rows(&subject, "2 threads on 2 cores, load and engine on one of them", &report);
        }
        Ok(())
    }

    fn many_keys(&mut self) -> anyhow::Result<()> {
        let counts: &[usize] = if self.arguments.quick { &[10, 100_000] } else { &[10, 1_000, 100_000] };
        for &keys in counts {
            self.scaled(&Plan { keys, ..Plan::PLAIN }, &format!("{keys} keys, in turn"))?;
        }
        Ok(())
    }

    fn many_policies(&mut self) -> anyhow::Result<()> {
        for policies in [0, 1_000] {
            self.scaled(&Plan { policies, ..Plan::GOVERNED }, &format!("{} Cedar policies", policies + 1))?;
        }
        Ok(())
    }

    fn many_rules(&mut self) -> anyhow::Result<()> {
        let counts: &[usize] = if self.arguments.quick { &[0, 1_000] } else { &[0, 100, 1_000] };
        for &rules in counts {
            self.scaled(&Plan { rules, ..Plan::GOVERNED }, &format!("{rules} limit rules about others"))?;
        }
        Ok(())
    }

    /// A case whose disk is not what is measured: its state is kept in memory.
    fn scaled(&mut self, plan: &Plan, case: &str) -> anyhow::Result<()> {
        let place = tempfile::Builder::new().prefix("hermetic-bench-").tempdir_in(&self.arguments.memory);
        let place = place.with_context(|| format!("`{}` cannot be used", self.arguments.memory.display()))?;
        let cores = self.cores.proxy.to_string();
        let subject = enclave::start(&self.arguments.hermetic, place.path(), self.direct.port, &cores, plan)?;
        let report = self.measure(&subject, &FULL)?;
        self.rows(&subject, case, &report);
        self.row(&subject, case, "RSS", (subject.resident_mib()?, "MiB"));
        Ok(())
    }

    /// nginx once more under wrk, the usual tool, and in front of an engine that is nginx too: whether our load and our
    /// mock keep a proxy as busy.
    fn against_wrk(&mut self, nginx: Option<&Subject>) -> anyhow::Result<()> {
        let nginx = nginx.context("nginx was not measured")?;
        self.results.versions.insert("wrk".to_owned(), processes::version("wrk", "-v")?);
        let load = wrk::Load {
            port: nginx.port,
            connections: CONNECTIONS,
            prompt_bytes: KIB,
            core: self.cores.load,
        };
        let measured = load.run(self.place, self.seconds.ceil())?;
        self.row(nginx, "full load, 32 connections, 1 KiB, by wrk", "requests", (measured, "1/s"));
        Ok(())
    }

    fn row(&mut self, subject: &Subject, case: &str, metric: &str, (value, unit): (f64, &str)) {
        self.results.row(Row::new(&subject.name, case, metric, value, unit));
    }

    fn rows(&mut self, subject: &Subject, case: &str, report: &Report) {
        self.row(subject, case, "requests", (report.requests_per_s, "1/s"));
        for (metric, value) in spread(&report.latency) {
            self.row(subject, case, metric, (value, "ms"));
        }
        self.failures(subject, case, report);
    }

    fn failures(&mut self, subject: &Subject, case: &str, report: &Report) {
        if report.failed() > 0 {
            self.row(subject, case, "not answered", (report.failed() as f64, "requests"));
        }
    }

    fn added(&mut self, subject: &Subject, case: &str, what: &str, (with, without): (&Spread, &Spread)) {
        for ((metric, with), (_, without)) in spread(with).into_iter().zip(spread(without)) {
            self.row(subject, case, &format!("added {metric}{what}"), (with - without, "ms"));
        }
    }
}

fn spread(of: &Spread) -> [(&'static str, f64); 3] {
    [("p50", of.p50), ("p99", of.p99), ("p99.9", of.p999)]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median of the rounds' ratios: both sides of each were measured within seconds.
fn median_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
}
