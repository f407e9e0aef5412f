//! The gateway with its whole pipeline on, against nginx as a bare reverse proxy, in the same run.
//!
//! One core for the proxy that is measured, another for the load and the engine. The engine answers a fixed chat
//! completion from memory, so that what is measured is the proxy. What ours does per request and nginx does not: check
//! an API key, ask Cedar, read and check the JSON, write two records and wait until both are on the disk. A row with
//! the ledger in memory shows what the disk costs.

mod load;
mod processes;
pub(crate) mod served;

use crate::results::{Results, Row};
use anyhow::{Context as _, ensure};
use load::{Load, Measured};
use processes::{Cores, Running, free_port, start_gateway, start_nginx};
use std::path::{Path, PathBuf};

/// About the size of a short chat completion.
const ANSWER: &str = r#"{"id":"chatcmpl-bench-0000000000000000","object":"chat.completion","created":1795000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"Inside the enclave no packet leaves; what is asked and what is answered is recorded, and every record can be proved to somebody who was not there. This sentence is here to give the answer the length that short answers have in practice, which is about six hundred bytes with its frame."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":260,"completion_tokens":57,"total_tokens":317}}"#;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds per case.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Connections; the first is the headline.
    #[arg(long, value_delimiter = ',', default_values_t = [32, 256])]
    connections: Vec<u32>,
    /// Bytes of prompt.
    #[arg(long, default_value_t = 1024)]
    prompt_bytes: u32,
    /// A folder in memory, for the ledger of the row that shows what the disk costs.
    #[arg(long, default_value = "/dev/shm")]
    memory: PathBuf,
}

struct Bench<'a> {
    arguments: &'a Arguments,
    place: &'a Path,
    cores: Cores,
    results: Results,
}

/// A proxy that is measured.
struct Subject<'a> {
    name: &'a str,
    port: u16,
    key: &'a str,
}

/// What is on, said in every row of ours.
const OURS_ON_DISK: &str = "hermetic: key, Cedar, JSON checks, 2 durable records";
const OURS_IN_MEMORY: &str = "hermetic: the same, ledger in memory";
const NGINX: &str = "nginx: bare reverse proxy";
const DIRECT: &str = "no proxy: the engine itself";

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    let cores = Cores::available();
    ensure!(cores.count >= 2, "expected two cores, one for the proxy and one for load and engine");
    let place = tempfile::Builder::new().prefix(".gateway-").tempdir_in(folder)?;
    let mut results = Results::new("gateway");
    results.versions.insert("nginx".to_owned(), processes::version("nginx", "-v")?);
    results.versions.insert("wrk".to_owned(), processes::version("wrk", "-v")?);
    let mut bench = Bench { arguments, place: place.path(), cores, results };
    bench.run()?;
    Ok(bench.results)
}

impl Bench<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let (engine_port, proxy_port) = (free_port()?, free_port()?);
        let engine_conf = include_str!("../../../bench/gateway/engine.conf").replace("@ANSWER@", ANSWER);
        let ports = [("@ENGINE_PORT@", engine_port), ("@PROXY_PORT@", proxy_port)];
        let _engine = start_nginx(self.place, "engine", &engine_conf, &ports, self.cores.load)?;
        let proxy_conf = include_str!("../../../bench/gateway/proxy.conf");
        let nginx = start_nginx(self.place, "proxy", proxy_conf, &ports, self.cores.proxy)?;
        let direct = Subject { name: DIRECT, port: engine_port, key: "none" };
        let peer = Subject { name: NGINX, port: proxy_port, key: "none" };
        let peer_rates = self.full_load(&peer)?;
        let floor = self.half_load(&direct, peer_rates.first().copied().unwrap_or_default(), None)?;
        self.half_load(&peer, peer_rates.first().copied().unwrap_or_default(), Some(&floor))?;
        drop(nginx);
        let memory = tempfile::Builder::new().prefix("hermetic-bench-").tempdir_in(&self.arguments.memory);
        let memory =
            memory.with_context(|| format!("`{}` cannot be used", self.arguments.memory.display()))?;
        for (name, ratio, ledger) in [
            (OURS_ON_DISK, "proxy_vs_nginx", self.place),
            (OURS_IN_MEMORY, "proxy_vs_nginx_ledger_in_memory", memory.path()),
        ] {
            let served = start_gateway(ledger, engine_port, self.cores.proxy)?;
            let ours = Subject { name, port: served.port, key: &served.key };
            let rates = self.full_load(&ours)?;
            for ((connections, ours), peer) in self.arguments.connections.iter().zip(&rates).zip(&peer_rates)
            {
                self.results.ratio(&format!("{ratio}_{connections}"), ours / peer);
            }
            let (first, peer) = (rates.first().copied().unwrap_or_default(), peer_rates.first().copied());
            self.results.ratio(ratio, first / peer.unwrap_or(f64::INFINITY));
            self.half_load(&ours, first, Some(&floor))?;
            served.stop()?;
        }
        Ok(())
    }

    /// As fast as it goes, for each number of connections. Returns requests per second.
    fn full_load(&mut self, subject: &Subject<'_>) -> anyhow::Result<Vec<f64>> {
        let mut rates = Vec::new();
        for &connections in &self.arguments.connections.clone() {
            let measured = self.measure(subject, connections, 0)?;
            let case = format!("{connections} connections, {} B", self.arguments.prompt_bytes);
            self.rows(subject.name, &case, &measured);
            rates.push(measured.requests_per_s);
        }
        Ok(rates)
    }

    /// At about half of `full` requests per second, as close as whole milliseconds between requests allow. With a
    /// floor, what is added to it.
    fn half_load(
        &mut self,
        subject: &Subject<'_>,
        full: f64,
        floor: Option<&Measured>,
    ) -> anyhow::Result<Measured> {
        let connections = self.arguments.connections.first().copied().unwrap_or(32);
        let delay_ms = (f64::from(connections) / (full / 2.0) * 1e3).round().max(1.0);
        let measured = self.measure(subject, connections, delay_ms as u32)?;
        self.rows(subject.name, "half load", &measured);
        if let Some(floor) = floor {
            let row = |metric, value: f64| Row::new(subject.name, "half load", metric, value.max(0.0), "ms");
            self.results.row(row("added p50", measured.p50_ms - floor.p50_ms));
            self.results.row(row("added p99", measured.p99_ms - floor.p99_ms));
        }
        Ok(measured)
    }

    fn measure(&self, subject: &Subject<'_>, connections: u32, delay_ms: u32) -> anyhow::Result<Measured> {
        let load = Load {
            port: subject.port,
            key: subject.key,
            connections,
            prompt_bytes: self.arguments.prompt_bytes,
            delay_ms,
            core: self.cores.load,
        };
        // Connections and caches are warm before anything counts.
        load.run(self.place, 1)?;
        let measured = load.run(self.place, self.arguments.seconds)?;
        ensure!(
            measured.errors == 0,
            "{}: {} requests were not answered with 200",
            subject.name,
            measured.errors
        );
        Ok(measured)
    }

    fn rows(&mut self, system: &str, case: &str, measured: &Measured) {
        self.results.row(Row::new(system, case, "requests", measured.requests_per_s, "1/s"));
        self.results.row(Row::new(system, case, "p50", measured.p50_ms, "ms"));
        self.results.row(Row::new(system, case, "p99", measured.p99_ms, "ms"));
    }
}

/// A gateway in a process of its own.
struct Served {
    process: Running,
    port: u16,
    key: String,
}

impl Served {
    /// Lets it drain, so that its ledger is closed in order.
    fn stop(self) -> anyhow::Result<()> {
        self.process.end_input_and_wait()
    }
}
