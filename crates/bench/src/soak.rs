//! The soak: millions of requests of every kind, clients that hang up and engines that fail among them, and then the
//! books are compared: what the clients were told, what the engine did, what the gateway counted and what the ledger
//! holds, and what the limits were charged. Memory is watched all the while.
//!
//! It fails, and writes no result, when a record is missing or a token differs.

mod books;
mod mix;

use crate::gateway::enclave::{self, Plan, STARVED_REQUESTS};
use crate::gateway::processes::{Cores, Running, allow_many_files};
use crate::load::tally::{Reader, Tokens};
use crate::load::wire::{Broken, Wire};
use crate::moment::now_ns;
use crate::results::{Results, Row, say};
use anyhow::{Context as _, ensure};
use books::{Books, add};
use hermetic_connector::{AllowList, Connector};
use mix::{CHAT_MODEL, EMBEDDING_MODEL, Kind, Shape, mix};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;

/// Between two looks at the gateway's memory.
const WATCH: Duration = Duration::from_secs(1);
/// Events a client takes before it leaves a stream.
const EVENTS_BEFORE_LEAVING: u64 = 2;
/// How long a client that leaves early waits.
const IMPATIENCE: Duration = Duration::from_millis(20);
/// Looks at the gateway until nothing is in flight any more: thirty seconds of them.
const SETTLING_ATTEMPTS: u32 = 300;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests in all.
    #[arg(long, default_value_t = 5_000_000)]
    requests: u64,
    #[arg(long, default_value_t = 96)]
    connections: usize,
    #[arg(long, default_value = "target/dist/hermetic")]
    hermetic: PathBuf,
}

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    asked: BTreeMap<Kind, u64>,
    /// Complete answers and their tokens, by model.
    completed: BTreeMap<&'static str, (u64, Tokens)>,
    /// Answers to the project that may ask only a few times.
    within_limit: u64,
    /// What should not have happened, and how often.
    wrong: BTreeMap<String, u64>,
}

struct Soak {
    shapes: Vec<Shape>,
    left: Cell<u64>,
    key: String,
    forbidden_key: String,
    starved_key: String,
    connector: Connector,
    port: u16,
    seen: RefCell<Seen>,
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    allow_many_files();
    let cores = Cores::available();
    let place = tempfile::Builder::new().prefix(".soak-").tempdir_in(folder)?;
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let (engine, engine_port) =
        Running::start_and_hear(&cores.load.to_string(), &[&program, "mock-engine", "--tokens", "57"])?;
    let engine_port: u16 = engine_port.parse()?;
    let plan = Plan { soak: true, ..Plan::GOVERNED };
    let subject =
        enclave::start(&arguments.hermetic, place.path(), engine_port, &cores.proxy.to_string(), &plan)?;
    let soak = Rc::new(Soak {
        shapes: mix(),
        left: Cell::new(arguments.requests),
        key: subject.key.clone(),
        forbidden_key: subject.forbidden_key.clone(),
        starved_key: subject.starved_key.clone(),
        connector: Connector::new(AllowList::loopback()),
        port: subject.port,
        seen: RefCell::default(),
    });
    let started = now_ns();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watch = || subject.resident_mib().unwrap_or_default();
    let memory = LocalSet::new().block_on(&runtime, ask_all(&soak, arguments.connections, watch));
    let seconds = (now_ns() - started) as f64 / 1e9;
    let told = runtime.block_on(settled_metrics(&soak.connector, subject.port))?;
    let engine_told = runtime.block_on(metrics(&soak.connector, engine_port))?;
    // Ends it in order: what is in flight is settled, and the ledger signed.
    drop((subject, engine));
    let books = books::read(&place.path().join("state/ledger"))?;
    let charged = charged(&arguments.hermetic, place.path())?;
    let mut results = Results::new("soak");
    report(&mut results, &soak.seen.borrow(), &books, seconds);
    report_memory(&mut results, &memory, arguments.requests);
    compare(&mut results, &soak.seen.borrow(), &books, (&told, &engine_told))?;
    let tokens: u64 = books.completed.values().map(|(_, tokens)| tokens.prompt + tokens.completion).sum();
    ensure!(charged == tokens, "{tokens} tokens on record, {charged} charged to the limit that counts them");
    results.row(Row::exact("hermetic", "soak", "tokens charged to their limit", charged as f64, "tokens"));
    Ok(results)
}

/// Asks until all is asked; meanwhile looks at the memory.
async fn ask_all(soak: &Rc<Soak>, connections: usize, watch: impl Fn() -> f64) -> Vec<f64> {
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..connections {
        asking.spawn_local(ask_in_turn(Rc::clone(soak), number));
    }
    let mut memory = Vec::new();
    let mut ticks = tokio::time::interval(WATCH);
    loop {
        tokio::select! {
            joined = asking.join_next() => if joined.is_none() { return memory },
            _ = ticks.tick() => {
                memory.push(watch());
                if memory.len() % 10 == 0 {
                    say(&format!("{} requests to go, RSS {:.1} MiB", soak.left.get(), memory.last().copied().unwrap_or(0.0)));
                }
            }
        }
    }
}

async fn ask_in_turn(soak: Rc<Soak>, number: usize) {
    let mut wire: Option<Wire> = None;
    let (mut request, mut reader) = (Vec::new(), Reader::default());
    // Far apart in the row, so that the connections do not march in step.
    let mut turn = number * 7919;
    while soak.left.get() > 0 {
        soak.left.set(soak.left.get() - 1);
        let Some(shape) = soak.shapes.get(turn % soak.shapes.len()) else { return };
        turn += 1;
        *soak.seen.borrow_mut().asked.entry(shape.kind).or_default() += 1;
        let key = match shape.kind {
            Kind::Forbidden => &soak.forbidden_key,
            Kind::OverLimit => &soak.starved_key,
            Kind::Stranger => STRANGERS_KEY,
            _ => &soak.key,
        };
        shape.template.fill(key, &mut request);
        reader.start(shape.kind.streams());
        reader.events_wanted = (shape.kind == Kind::LeavesStream).then_some(EVENTS_BEFORE_LEAVING);
        let came = exchange(&soak, &mut wire, shape.kind, &request, &mut reader).await;
        reader.finish();
        soak.seen.borrow_mut().take(shape.kind, came, &reader);
    }
}

/// Well-formed, and nobody's.
const STRANGERS_KEY: &str = "hk_00000000000000ff_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn exchange(
    soak: &Soak,
    wire: &mut Option<Wire>,
    kind: Kind,
    request: &[u8],
    reader: &mut Reader,
) -> Result<u16, Broken> {
    let mut open = match wire.take() {
        Some(open) => open,
        None => Wire::dial(&soak.connector, soak.port).await?,
    };
    if kind == Kind::LeavesEarly {
        open.send(request).await?;
        tokio::time::sleep(IMPATIENCE).await;
        return Err(Broken::HungUp);
    }
    let answered = open.exchange(request, reader).await?;
    if answered.reusable {
        *wire = Some(open);
    }
    Ok(answered.status)
}

impl Seen {
    /// Files what came of a request under what should have.
    fn take(&mut self, kind: Kind, came: Result<u16, Broken>, reader: &Reader) {
        let right = match (kind, came) {
            (Kind::Plain | Kind::Embedding, Ok(200)) => reader.usage.is_some(),
            (Kind::Stream, Ok(200)) => reader.usage.is_some() && reader.done,
            (Kind::OverLimit, Ok(200)) => {
                self.within_limit += 1;
                reader.usage.is_some()
            }
            (Kind::Forbidden, Ok(403)) | (Kind::Stranger, Ok(401)) | (Kind::OverLimit, Ok(429)) => true,
            // The status of an engine's own answer is handed on; with retries it may become the gateway's.
            (Kind::EngineFails, Ok(status)) => status >= 500,
            (Kind::EngineResets, came) => came.is_err() || !reader.done,
            (Kind::LeavesStream | Kind::LeavesEarly, Err(Broken::HungUp)) => true,
            _ => false,
        };
        if !right {
            *self.wrong.entry(format!("{kind:?}: {came:?}, done {}", reader.done)).or_default() += 1;
            return;
        }
        let model = match kind {
            Kind::Plain | Kind::Stream => CHAT_MODEL,
            Kind::OverLimit if came == Ok(200) => CHAT_MODEL,
            Kind::Embedding => EMBEDDING_MODEL,
            _ => return,
        };
        let (count, sum) = self.completed.entry(model).or_default();
        *count += 1;
        add(sum, reader.usage.unwrap_or_default());
    }
}

/// A server's `/metrics`.
async fn metrics(connector: &Connector, port: u16) -> anyhow::Result<String> {
    struct Text(Vec<u8>);
    impl crate::load::wire::Sink for Text {
        fn data(&mut self, bytes: &[u8], _: u64) -> bool {
            self.0.extend_from_slice(bytes);
            true
        }
    }
    let mut text = Text(Vec::new());
    let asked = async {
        let mut wire = Wire::dial(connector, port).await?;
        wire.exchange(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", &mut text).await
    };
    asked.await.map_err(|broken| anyhow::anyhow!("the metrics cannot be read: {broken:?}"))?;
    Ok(String::from_utf8_lossy(&text.0).into_owned())
}

/// The gateway's metrics once nothing is in flight: requests whose clients left are settled a moment later.
async fn settled_metrics(connector: &Connector, port: u16) -> anyhow::Result<String> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..SETTLING_ATTEMPTS {
        ticks.tick().await;
        let text = metrics(connector, port).await?;
        if counted(&text, "hermetic_requests_in_flight ")? == 0 {
            return Ok(text);
        }
    }
    anyhow::bail!("requests are still in flight long after the last client left")
}

/// What the limit that speaks of the honest models has been charged, as the command that people use says it.
fn charged(hermetic: &Path, place: &Path) -> anyhow::Result<u64> {
    let output = std::process::Command::new(hermetic)
        .arg("--config")
        .arg(place.join("hermetic.yaml"))
        .args(["limits", "show", "tokens-a-month", "--json"])
        .output()?;
    ensure!(
        output.status.success(),
        "the limits cannot be shown: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let counters: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let used =
        counters.get(0).and_then(|counter| counter.get("used")?.as_str()).context("no such counter")?;
    Ok(used.parse()?)
}

/// The value of one line of metrics.
fn counted(text: &str, line: &str) -> anyhow::Result<u64> {
    let value =
        text.lines().find_map(|found| found.strip_prefix(line)).with_context(|| format!("no `{line}`"))?;
    Ok(value.trim().parse()?)
}

fn report(results: &mut Results, seen: &Seen, books: &Books, seconds: f64) {
    let asked: u64 = seen.asked.values().sum();
    let mut row = |metric: &str, value: f64, unit: &str| {
        results.row(Row::exact("hermetic", "soak", metric, value, unit));
    };
    row("requests", asked as f64, "requests");
    row("seconds", seconds, "s");
    for (kind, count) in &seen.asked {
        row(&format!("asked: {kind:?}"), *count as f64, "requests");
    }
    row("records: admitted", books.admitted as f64, "records");
    row("records: refused", books.refused as f64, "records");
    for (outcome, count) in &books.outcomes {
        row(&format!("records: settled {outcome}"), *count as f64, "records");
    }
}

/// How memory moved over the second half, when pools and caches are full.
fn report_memory(results: &mut Results, memory: &[f64], requests: u64) {
    let half = memory.get(memory.len() / 2..).unwrap_or_default();
    let count = half.len().max(1) as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = half.iter().sum::<f64>() / count;
    let (mut top, mut below) = (0.0, 0.0);
    for (at, value) in half.iter().enumerate() {
        let at = at as f64 - middle;
        top += at * (value - mean);
        below += at * at;
    }
    let per_sample = if below > 0.0 { top / below } else { 0.0 };
    let per_million = per_sample * memory.len() as f64 / (requests as f64 / 1e6).max(1e-9);
    let mut row =
        |metric: &str, value: f64, unit: &str| results.row(Row::new("hermetic", "soak", metric, value, unit));
    row("RSS at first", memory.first().copied().unwrap_or(0.0), "MiB");
    row("RSS at last", memory.last().copied().unwrap_or(0.0), "MiB");
    row("RSS at most", memory.iter().copied().fold(0.0, f64::max), "MiB");
    row("RSS slope over the second half", per_million, "MiB per million requests");
}

/// Every book against every other.
fn compare(
    results: &mut Results,
    seen: &Seen,
    books: &Books,
    (gateway, engine): (&str, &str),
) -> anyhow::Result<()> {
    ensure!(seen.wrong.is_empty(), "requests that did not end as they should: {:#?}", seen.wrong);
    let settled: u64 = books.outcomes.values().sum();
    ensure!(
        books.unsettled == 0 && settled == books.admitted,
        "{} admitted, {settled} settled",
        books.admitted
    );
    let asked = |kind| seen.asked.get(&kind).copied().unwrap_or(0);
    let allowed = asked(Kind::OverLimit).min(STARVED_REQUESTS);
    ensure!(seen.within_limit == allowed, "{} answers under a limit of {allowed}", seen.within_limit);
    let refused = asked(Kind::Forbidden) + asked(Kind::OverLimit) - allowed;
    ensure!(books.refused == refused, "{refused} refused, {} on record", books.refused);
    for model in [CHAT_MODEL, EMBEDDING_MODEL] {
        let (clients, tokens) = seen.completed.get(model).copied().unwrap_or_default();
        let ledger = books.completed.get(model).copied().unwrap_or_default();
        ensure!(
            ledger == (clients, tokens),
            "{model}: clients saw {clients} answers of {tokens:?}, on record {ledger:?}"
        );
        let label = format!("{{model_name=\"{model}\"}} ");
        let engines = Tokens {
            prompt: counted(engine, &format!("mock:completed_prompt_tokens_total{label}"))?,
            completion: counted(engine, &format!("mock:completed_generation_tokens_total{label}"))?,
        };
        ensure!(engines == tokens, "{model}: the engine used {engines:?}, clients were told {tokens:?}");
        for (what, value) in [("prompt", tokens.prompt), ("completion", tokens.completion)] {
            let metric = format!("{what} tokens of {model}: clients = engine = ledger");
            results.row(Row::exact("hermetic", "soak", &metric, value as f64, "tokens"));
        }
    }
    let counters = Tokens {
        prompt: counted(gateway, "hermetic_tokens_total{direction=\"input\"} ")?,
        completion: counted(gateway, "hermetic_tokens_total{direction=\"output\"} ")?,
    };
    ensure!(counters == books.settled_tokens, "counted {counters:?}, on record {:?}", books.settled_tokens);
    results.row(Row::exact("hermetic", "soak", "records lost", books.unsettled as f64, "records"));
    results.ratio("settled_vs_admitted", settled as f64 / books.admitted.max(1) as f64);
    Ok(())
}
