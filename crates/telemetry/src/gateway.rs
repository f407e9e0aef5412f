//! What the gateway counts. Handles are looked up once, at start: counting an answered request takes no lock.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt::Write;
use std::time::Duration;

macro_rules! label {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $($variant),+ }

        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use label;

label! {
    /// API surface of a request.
    SurfaceLabel { ChatCompletions = "chat.completions", Completions = "completions", Embeddings = "embeddings", Messages = "messages", Responses = "responses", Rerank = "rerank", Transcriptions = "audio.transcriptions", Translations = "audio.translations", ImageGenerations = "images.generations", ImageEdits = "images.edits" }
}

label! {
    /// How an admitted request ended.
    OutcomeLabel { Completed = "completed", ClientLeft = "client-left", EngineFailed = "engine-failed", Rejected = "rejected", Withheld = "withheld", Interrupted = "interrupted" }
}

label! {
    /// Who counted the tokens of a prompt.
    CountedByLabel { Tokenizer = "tokenizer", Engine = "engine", Bytes = "bytes" }
}

label! {
    /// Which way tokens went.
    TokenDirection { Input = "input", Output = "output" }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SettledLabels {
    surface: SurfaceLabel,
    outcome: OutcomeLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SurfaceLabels {
    surface: SurfaceLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    direction: TokenDirection,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountedLabels {
    by: CountedByLabel,
}

/// Error codes come from the source, so their number is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

/// From half a millisecond, where a warm gateway answers, to ten minutes, where a long generation ends.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// The gateway's metrics.
#[derive(Debug)]
pub struct GatewayMetrics {
    /// Requests that were admitted and settled, by surface and outcome, in the order of the labels' `ALL`.
    settled: Vec<Vec<Counter>>,
    duration: Vec<Histogram>,
    first_byte: Vec<Histogram>,
    tokens: Vec<Counter>,
    counted: Vec<Counter>,
    refused: Family<CodeLabels, Counter>,
    /// Waiting for a record to be durable.
    ledger_wait: Histogram,
    pub in_flight: Gauge,
    pub connections: Gauge,
    pub upstream_connections: Counter,
    /// Bytes that requests make the process hold, and how many they may.
    pub memory_held: Gauge,
    pub memory_limit: Gauge,
    /// Requests that wait for a place at an engine.
    pub queue_waiting: Gauge,
    queue_wait: Histogram,
}

/// What there is to count about a request that was settled.
#[derive(Debug, Clone, Copy)]
pub struct SettledRequest {
    pub surface: SurfaceLabel,
    pub outcome: OutcomeLabel,
    pub total: Duration,
    pub first_byte: Option<Duration>,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl GatewayMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let settled = Family::<SettledLabels, Counter>::default();
        registry.register("requests", "Admitted requests by surface and how they ended", settled.clone());
        let histogram = || Histogram::new(SECONDS);
        let duration = Family::<SurfaceLabels, Histogram>::new_with_constructor(histogram);
        let about = "From accepting a request to its last byte";
        registry.register_with_unit("request_duration", about, Unit::Seconds, duration.clone());
        let first_byte = Family::<SurfaceLabels, Histogram>::new_with_constructor(histogram);
        let about = "From accepting a request to the first byte of its answer";
        registry.register_with_unit("request_first_byte", about, Unit::Seconds, first_byte.clone());
        let tokens = Family::<TokenLabels, Counter>::default();
        registry.register("tokens", "Tokens as the engines counted them", tokens.clone());
        let counted = Family::<CountedLabels, Counter>::default();
        registry.register("prompts_counted", "Prompts by who counted their tokens", counted.clone());
        let refused = Family::<CodeLabels, Counter>::default();
        registry.register("requests_refused", "Requests answered with an error, by code", refused.clone());
        let ledger_wait = histogram();
        let about = "Waiting for a record to be durable";
        registry.register_with_unit("ledger_wait", about, Unit::Seconds, ledger_wait.clone());
        let (in_flight, connections, upstream_connections) =
            (Gauge::default(), Gauge::default(), Counter::default());
        registry.register("requests_in_flight", "Requests admitted and not yet settled", in_flight.clone());
        registry.register("connections", "Client connections open", connections.clone());
        let about = "Connections made to engines";
        registry.register("upstream_connections", about, upstream_connections.clone());
        let (memory_held, memory_limit, queue_waiting) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let about = "Held for requests: bodies, answers, events";
        registry.register_with_unit("request_memory", about, Unit::Bytes, memory_held.clone());
        let about = "May be held for requests";
        registry.register_with_unit("request_memory_limit", about, Unit::Bytes, memory_limit.clone());
        registry.register("queue_waiting", "Requests that wait for an engine", queue_waiting.clone());
        let queue_wait = histogram();
        let about = "Waiting for a place at an engine, by those that had to wait";
        registry.register_with_unit("queue_wait", about, Unit::Seconds, queue_wait.clone());
        let per_surface = |family: &Family<SurfaceLabels, Histogram, _>| {
            SurfaceLabel::ALL
                .iter()
                .map(|&surface| family.get_or_create(&SurfaceLabels { surface }).clone())
                .collect()
        };
        let per_outcome = |&surface: &SurfaceLabel| {
            OutcomeLabel::ALL
                .iter()
                .map(|&outcome| settled.get_or_create(&SettledLabels { surface, outcome }).clone())
                .collect()
        };
        Self {
            settled: SurfaceLabel::ALL.iter().map(per_outcome).collect(),
            duration: per_surface(&duration),
            first_byte: per_surface(&first_byte),
            tokens: TokenDirection::ALL
                .iter()
                .map(|&direction| tokens.get_or_create(&TokenLabels { direction }).clone())
                .collect(),
            counted: CountedByLabel::ALL
                .iter()
                .map(|&by| counted.get_or_create(&CountedLabels { by }).clone())
                .collect(),
            refused,
            ledger_wait,
            in_flight,
            connections,
            upstream_connections,
            memory_held,
            memory_limit,
            queue_waiting,
            queue_wait,
        }
    }

    /// Counts a request that ended.
    pub fn settled(&self, request: &SettledRequest) {
        let surface = request.surface as usize;
        if let Some(counter) = self.settled.get(surface).and_then(|s| s.get(request.outcome as usize)) {
            counter.inc();
        }
        if let Some(histogram) = self.duration.get(surface) {
            histogram.observe(request.total.as_secs_f64());
        }
        if let (Some(histogram), Some(first)) = (self.first_byte.get(surface), request.first_byte) {
            histogram.observe(first.as_secs_f64());
        }
        for (direction, count) in
            [(TokenDirection::Input, request.input_tokens), (TokenDirection::Output, request.output_tokens)]
        {
            if let Some(counter) = self.tokens.get(direction as usize) {
                counter.inc_by(count);
            }
        }
    }

    /// Counts a prompt whose tokens were counted.
    pub fn counted(&self, by: CountedByLabel) {
        if let Some(counter) = self.counted.get(by as usize) {
            counter.inc();
        }
    }

    /// Counts a request that was answered with an error of ours.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&CodeLabels { code }).inc();
    }

    /// Counts the wait for one place at an engine.
    pub fn queue_waited(&self, waited: Duration) {
        self.queue_wait.observe(waited.as_secs_f64());
    }

    /// Counts the wait for one record.
    pub fn ledger_waited(&self, waited: Duration) {
        self.ledger_wait.observe(waited.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;

    #[test]
    fn a_settled_request_shows_under_its_surface_and_outcome() {
        let metrics = Metrics::new();
        metrics.gateway.settled(&SettledRequest {
            surface: SurfaceLabel::Embeddings,
            outcome: OutcomeLabel::ClientLeft,
            total: Duration::from_millis(3),
            first_byte: None,
            input_tokens: 7,
            output_tokens: 0,
        });
        metrics.gateway.refused("E0901");
        let text = metrics.render();
        for line in [
            "hermetic_requests_total{surface=\"embeddings\",outcome=\"client-left\"} 1",
            "hermetic_requests_total{surface=\"embeddings\",outcome=\"completed\"} 0",
            "hermetic_tokens_total{direction=\"input\"} 7",
            "hermetic_requests_refused_total{code=\"E0901\"} 1",
            "hermetic_request_duration_seconds_count{surface=\"embeddings\"} 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
