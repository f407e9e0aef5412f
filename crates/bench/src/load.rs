//! The load: requests over connections that stay open, as fast as answers come or at a fixed rate, plain or streamed.
//!
//! `hermetic-bench load` prints one JSON object ([`Report`]). It runs on one thread, so that it can be pinned to the
//! core the proxy does not have.

pub(crate) mod histogram;
mod pace;
pub(crate) mod request;
pub(crate) mod tally;
pub(crate) mod wire;

use crate::moment::{NANOS_PER_S, now_ns};
use anyhow::{Context as _, ensure};
use hermetic_connector::{AllowList, Connector};
use pace::Due;
use request::{Ask, Template};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tally::{Reader, Tally};
use tokio::task::LocalSet;
use wire::{Broken, Wire};

pub(crate) use histogram::Spread;
pub(crate) use tally::Report;

/// What is waited for answers that are still under way when the time is over.
const GRACE: Duration = Duration::from_secs(10);
/// Largest file of keys: a million of them.
const KEYS_BYTES_MAX: u64 = 80 << 20;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) port: u16,
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// Seconds before anything counts.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Requests per second; without it, as fast as answers come.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    #[arg(long)]
    pub(crate) stream: bool,
    #[arg(long, default_value_t = 1024)]
    pub(crate) prompt_bytes: usize,
    #[arg(long)]
    pub(crate) max_tokens: Option<u32>,
    #[arg(long, default_value = "bench")]
    pub(crate) model: String,
    #[arg(long, default_value = "/v1/chat/completions")]
    pub(crate) path: String,
    /// `name: value`, as often as wanted.
    #[arg(long = "header")]
    pub(crate) headers: Vec<String>,
    /// The key that is presented.
    #[arg(long, default_value = "none")]
    pub(crate) key: String,
    /// A file of keys, one a line, presented in turn.
    #[arg(long)]
    pub(crate) keys: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    use std::io::Write as _;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&runtime, measure(arguments))?;
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

/// What all connections share.
struct Shared {
    template: Template,
    stream: bool,
    keys: Vec<String>,
    connector: Connector,
    port: u16,
    /// `None`: a connection asks again as soon as it has its answer.
    due: Option<Arc<Due>>,
    from_ns: u64,
    end_ns: u64,
    tally: RefCell<Tally>,
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.rate.is_none_or(|rate| rate > 0.0), "expected a rate above zero");
    let seconds = |value: f64| Duration::from_secs_f64(value).as_nanos() as u64;
    let from_ns = now_ns() + seconds(arguments.warm_up);
    let end_ns = from_ns + seconds(arguments.seconds);
    let shared = Rc::new(Shared {
        template: Template::new(&Ask {
            path: &arguments.path,
            headers: &arguments.headers,
            model: &arguments.model,
            prompt_bytes: arguments.prompt_bytes,
            max_tokens: arguments.max_tokens,
            stream: arguments.stream,
            usage: true,
        }),
        stream: arguments.stream,
        keys: keys(arguments)?,
        connector: Connector::new(AllowList::loopback()),
        port: arguments.port,
        due: arguments.rate.map(|rate| Due::start(rate, end_ns)).transpose()?,
        from_ns,
        end_ns,
        tally: RefCell::default(),
    });
    let mut connections = tokio::task::JoinSet::new();
    for number in 0..arguments.connections {
        connections.spawn_local(ask_in_turn(Rc::clone(&shared), number));
    }
    let left = Duration::from_nanos(shared.end_ns.saturating_sub(now_ns())) + GRACE;
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(left, all).await.is_err() {
        let unanswered = connections.len() as u64;
        *shared.tally.borrow_mut().broken.entry("unanswered").or_default() += unanswered;
    }
    let tally = shared.tally.borrow();
    Ok(tally.report((shared.end_ns - shared.from_ns) as f64 / NANOS_PER_S as f64))
}

fn keys(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let Some(path) = &arguments.keys else { return Ok(vec![arguments.key.clone()]) };
    let text = hermetic_bounded_io::read_text_capped(path, KEYS_BYTES_MAX).context("the keys")?;
    let keys: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    ensure!(!keys.is_empty(), "expected a key a line in `{}`, found none", path.display());
    Ok(keys)
}

/// One connection's life; a broken one is opened again.
async fn ask_in_turn(shared: Rc<Shared>, number: usize) {
    let mut wire: Option<Wire> = None;
    let (mut request, mut reader) = (Vec::new(), Reader::default());
    // Far apart, so that connections do not present the same key at the same time.
    let mut turn = number * 7919;
    loop {
        let asked_ns = match &shared.due {
            Some(due) => match due.next().await {
                Some(due_ns) => due_ns,
                None => return,
            },
            None => now_ns(),
        };
        if asked_ns >= shared.end_ns {
            return;
        }
        let key = shared.keys.get(turn % shared.keys.len()).map_or("", String::as_str);
        shared.template.fill(key, &mut request);
        turn += 1;
        reader.start(shared.stream);
        let answered = exchange(&shared, &mut wire, &request, &mut reader).await;
        reader.finish();
        if asked_ns >= shared.from_ns {
            count(&shared, asked_ns, answered, &reader);
        }
        if answered.is_err() {
            // Not again at once: a server that refuses connections would be asked in a busy loop.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn exchange(
    shared: &Shared,
    wire: &mut Option<Wire>,
    request: &[u8],
    reader: &mut Reader,
) -> Result<u16, Broken> {
    let mut open = match wire.take() {
        Some(open) => open,
        None => Wire::dial(&shared.connector, shared.port).await?,
    };
    let answered = open.exchange(request, reader).await?;
    if answered.reusable {
        *wire = Some(open);
    }
    Ok(answered.status)
}

fn count(shared: &Shared, asked_ns: u64, answered: Result<u16, Broken>, reader: &Reader) {
    let now = now_ns();
    let mut tally = shared.tally.borrow_mut();
    let status = match answered {
        // A stream without its end was cut, whatever its framing says.
        Ok(status) if shared.stream && status < 300 && !reader.done => return tally.broke(Broken::Garbled),
        Ok(status) => status,
        Err(broken) => return tally.broke(broken),
    };
    // An answer that came after the end is waited for, so that nothing slow is left out, but does not add to the rate.
    if status < 300 && now > shared.end_ns {
        tally.latency.record(now - asked_ns);
        return;
    }
    *tally.answers.entry(status).or_default() += 1;
    if status >= 300 {
        return;
    }
    tally.latency.record(now.saturating_sub(asked_ns));
    tally.events += reader.events;
    if let Some(first) = reader.first_ns {
        tally.first_event.record(first.saturating_sub(asked_ns));
    }
    reader.delays.iter().for_each(|&delay| tally.event_delay.record(delay));
    reader.gaps.iter().for_each(|&gap| tally.event_gap.record(gap));
    if let Some(usage) = reader.usage {
        tally.usage.prompt += usage.prompt;
        tally.usage.completion += usage.completion;
    }
}
