//! Tokens per second of the embedded engine, against llama.cpp's own server on the same file, in the same run.
//!
//! Both are asked over HTTP in the same words by the same client, both get the same threads, slots and context, and
//! rounds alternate, so that a noisy machine disturbs both. Prompts are random tokens, different every time, so that
//! nobody is helped by a cache; the tokens that end an answer are ruled out, so that every answer has its full length.

use crate::results::{Results, Row};
use anyhow::Context as _;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_gguf::{Header, Limits};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;

pub(crate) mod client;
mod peer;

use client::{Client, Timing};
use peer::Peer;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The GGUF file of a chat model.
    #[arg(long)]
    model: PathBuf,
    /// The `hermetic` binary whose worker is measured.
    #[arg(long)]
    hermetic: PathBuf,
    /// The `llama-server` binary to measure beside it; without one there is no ratio.
    #[arg(long)]
    llama_server: Option<PathBuf>,
    /// Tokens of each prompt.
    #[arg(long, default_value_t = 512)]
    prompt: u32,
    /// Tokens of each answer.
    #[arg(long, default_value_t = 128)]
    answer: u32,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Compute threads; zero for as many as the machine shows.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Answers at the same time, one case each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    streams: Vec<u32>,
}

/// What one case came to for one system, best of its rounds.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    /// Prompt and answer tokens of all streams, over the time until the last answer was complete.
    total_per_s: f64,
    /// Answer tokens after each stream's first, over the time between first and last of them.
    answer_per_s: f64,
    /// Prompt tokens over the time to the first answer token, one stream.
    prompt_per_s: f64,
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(arguments, folder))
}

async fn measure(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    let place = tempfile::Builder::new().prefix(".engine-").tempdir_in(folder)?;
    let ending = ending_tokens(&arguments.model)?;
    let plan = peer::Plan {
        model: &arguments.model,
        threads: match arguments.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            set => set,
        },
        slots: arguments.streams.iter().copied().max().unwrap_or(1),
        context: (arguments.prompt + arguments.answer).next_multiple_of(256),
    };
    let connector = Connector::new(AllowList::loopback());
    let mut peers = vec![Peer::worker(&arguments.hermetic, &plan, place.path(), &connector).await?];
    if let Some(program) = &arguments.llama_server {
        peers.push(Peer::llama_server(program, &plan, &connector).await?);
    }
    let mut results = Results::new("engine");
    for peer in &peers {
        results.versions.insert(peer.name.to_owned(), peer.version.clone());
    }
    let load = Workload { arguments, ending, clock: Clock::system() };
    for streams in &arguments.streams {
        let figures = load.case(&peers, *streams).await?;
        report(&mut results, &peers, *streams, &figures);
    }
    let worst = results.ratios.values().copied().fold(f64::INFINITY, f64::min);
    if worst.is_finite() {
        results.ratio("engine_vs_llama_server", worst);
    }
    for peer in peers {
        peer.end().await;
    }
    Ok(results)
}

/// Tokens that end an answer, as the file names them.
fn ending_tokens(model: &Path) -> anyhow::Result<Vec<u64>> {
    let (file, _) = hermetic_bounded_io::open_regular(model)?;
    let header = Header::read(&mut BufReader::new(file), &Limits::default()).context("the model's header")?;
    let named =
        ["eos", "eot", "eom", "bos"].map(|name| header.number(&format!("tokenizer.ggml.{name}_token_id")));
    let mut tokens: Vec<u64> = named.into_iter().flatten().chain([0]).collect();
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

struct Workload<'a> {
    arguments: &'a Arguments,
    ending: Vec<u64>,
    clock: Clock,
}

impl Workload<'_> {
    /// Rounds of every peer in turn; the best of each is kept, as the one least disturbed.
    async fn case(&self, peers: &[Peer], streams: u32) -> anyhow::Result<Vec<Figures>> {
        let mut best = vec![Figures::default(); peers.len()];
        for round in 0..=self.arguments.rounds {
            for (peer, best) in peers.iter().zip(&mut best) {
                let found = self.round(&peer.client, streams, round).await?;
                // The first round warms up: pages of the model, threads, connections.
                if round > 0 {
                    best.total_per_s = best.total_per_s.max(found.total_per_s);
                    best.answer_per_s = best.answer_per_s.max(found.answer_per_s);
                    best.prompt_per_s = best.prompt_per_s.max(found.prompt_per_s);
                }
            }
        }
        Ok(best)
    }

    async fn round(&self, client: &Client, streams: u32, round: u32) -> anyhow::Result<Figures> {
        let started = self.clock.monotonic();
        let mut open = JoinSet::new();
        for stream in 0..streams {
            let body = self.body(round * 1000 + stream);
            let (client, clock) = (client.clone(), self.clock.clone());
            open.spawn(async move { client.stream(body, &clock).await });
        }
        let mut timings = Vec::new();
        while let Some(joined) = open.join_next().await {
            timings.push(joined??);
        }
        let short = timings.iter().find(|timing| timing.answer != self.arguments.answer);
        if let Some(short) = short {
            anyhow::bail!(
                "expected answers of {} tokens, found one of {}",
                self.arguments.answer,
                short.answer
            );
        }
        Ok(self.figures(started, &timings))
    }

    fn figures(&self, started: Duration, timings: &[Timing]) -> Figures {
        let over = |tokens: u32, from: Duration, to: Duration| {
            f64::from(tokens) / to.saturating_sub(from).as_secs_f64().max(1e-9)
        };
        let count = u32::try_from(timings.len()).unwrap_or(0);
        let last = timings.iter().map(|timing| timing.last).max().unwrap_or(started);
        let first = timings.iter().map(|timing| timing.first).min().unwrap_or(started);
        let (prompt, answer) = (self.arguments.prompt, self.arguments.answer);
        Figures {
            total_per_s: over((prompt + answer) * count, started, last),
            answer_per_s: over((answer - 1) * count, first, last),
            prompt_per_s: if count == 1 { over(prompt, started, first) } else { 0.0 },
        }
    }

    /// A completion in words both servers take, over a prompt nobody has seen before.
    fn body(&self, salt: u32) -> serde_json::Value {
        // A linear congruence (Numerical Recipes' constants): spread, and the same in every run.
        let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(1);
        let prompt: Vec<u32> = (0..self.arguments.prompt)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                1000 + (state >> 8) % 30_000
            })
            .collect();
        let bias: serde_json::Map<_, _> =
            self.ending.iter().map(|id| (id.to_string(), (-100).into())).collect();
        serde_json::json!({
            "prompt": prompt,
            "max_tokens": self.arguments.answer,
            "temperature": 0,
            "logit_bias": bias,
            "stream": true,
            "stream_options": {"include_usage": true},
            "cache_prompt": false,
        })
    }
}

fn report(results: &mut Results, peers: &[Peer], streams: u32, figures: &[Figures]) {
    let case = format!("{streams} at once");
    for (peer, figures) in peers.iter().zip(figures) {
        let metrics = [
            ("all tokens", figures.total_per_s),
            ("answer tokens", figures.answer_per_s),
            ("prompt tokens", figures.prompt_per_s),
        ];
        for (metric, value) in metrics.into_iter().filter(|(_, value)| *value > 0.0) {
            results.row(Row::new(peer.name, &case, metric, value, "tokens/s"));
        }
    }
    if let [ours, theirs] = figures {
        results.ratio(&format!("engine_vs_llama_server_{streams}"), ours.total_per_s / theirs.total_per_s);
    }
}
