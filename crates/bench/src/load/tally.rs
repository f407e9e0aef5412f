//! What came of the requests.

use super::histogram::{Histogram, Spread};
use super::wire::{Broken, Sink};
use crate::mock::SENT_AT;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of one run. Latencies are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) latency: Histogram,
    pub(crate) first_event: Histogram,
    /// How long each event was under way from the engine.
    pub(crate) event_delay: Histogram,
    /// Between one event of a stream and the next.
    pub(crate) event_gap: Histogram,
    pub(crate) answers: BTreeMap<u16, u64>,
    pub(crate) broken: BTreeMap<&'static str, u64>,
    pub(crate) usage: Tokens,
    pub(crate) events: u64,
}

/// Tokens as answers report them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
}

/// A run in figures; what `hermetic-bench load` prints.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Answered with success, per second.
    pub(crate) requests_per_s: f64,
    pub(crate) requests: u64,
    /// Other answers by status, and broken exchanges by kind.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) latency: Spread,
    pub(crate) first_event: Spread,
    pub(crate) event_delay: Spread,
    pub(crate) event_gap: Spread,
    pub(crate) events: u64,
    pub(crate) usage: Tokens,
}

impl Report {
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

impl Tally {
    pub(crate) fn broke(&mut self, broken: Broken) {
        let kind = match broken {
            Broken::Closed => "closed",
            Broken::Garbled => "garbled",
            Broken::HungUp => "hung up",
        };
        *self.broken.entry(kind).or_default() += 1;
    }

    pub(crate) fn report(&self, seconds: f64) -> Report {
        let requests =
            self.answers.iter().filter(|(status, _)| (200..300).contains(*status)).map(|(_, n)| n).sum();
        let statuses = self.answers.iter().filter(|(status, _)| !(200..300).contains(*status));
        let statuses = statuses.map(|(status, count)| (status.to_string(), *count));
        let broken = self.broken.iter().map(|(kind, count)| ((*kind).to_owned(), *count));
        Report {
            seconds,
            requests_per_s: requests as f64 / seconds.max(1e-9),
            requests,
            failures: statuses.chain(broken).collect(),
            latency: self.latency.spread(),
            first_event: self.first_event.spread(),
            event_delay: self.event_delay.spread(),
            event_gap: self.event_gap.spread(),
            events: self.events,
            usage: self.usage,
        }
    }
}

/// Reads one answer as it comes: events of a stream, or a body held for its usage report.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    stream: bool,
    /// An event that is not complete, or a plain answer.
    held: Vec<u8>,
    pub(crate) first_ns: Option<u64>,
    last_ns: u64,
    /// Sent and received, both in nanoseconds, of the events that say when they were sent.
    pub(crate) delays: Vec<u64>,
    pub(crate) gaps: Vec<u64>,
    pub(crate) events: u64,
    pub(crate) usage: Option<Tokens>,
    pub(crate) done: bool,
    /// Hang up once so many events have come.
    pub(crate) events_wanted: Option<u64>,
}

impl Reader {
    pub(crate) fn start(&mut self, stream: bool) {
        self.stream = stream;
        self.held.clear();
        (self.first_ns, self.last_ns, self.events, self.usage, self.done) = (None, 0, 0, None, false);
        self.delays.clear();
        self.gaps.clear();
    }

    /// The answer is there: of a plain one, what its usage says.
    pub(crate) fn finish(&mut self) {
        if !self.stream {
            self.usage = usage_in(&self.held);
        }
    }

    /// Reads the events that are complete and says how many bytes they take.
    fn events_of(&mut self, bytes: &[u8], at_ns: u64) -> usize {
        let mut rest = bytes;
        while let Some(end) = memmem::find(rest, b"\n\n") {
            let (event, behind) = rest.split_at(end);
            self.event(event, at_ns);
            rest = behind.get(2..).unwrap_or_default();
        }
        bytes.len() - rest.len()
    }

    fn event(&mut self, event: &[u8], at_ns: u64) {
        let Some(data) = event.strip_prefix(b"data: ") else { return };
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        self.events += 1;
        if self.first_ns.is_some() {
            self.gaps.push(at_ns.saturating_sub(self.last_ns));
        }
        self.first_ns.get_or_insert(at_ns);
        self.last_ns = at_ns;
        if let Some(sent) = number_after(data, SENT_AT.as_bytes()) {
            self.delays.push(at_ns.saturating_sub(sent));
        }
        if let Some(usage) = usage_in(data) {
            self.usage = Some(usage);
        }
    }
}

impl Sink for Reader {
    fn data(&mut self, bytes: &[u8], at_ns: u64) -> bool {
        if !self.stream {
            self.held.extend_from_slice(bytes);
            return true;
        }
        if self.held.is_empty() {
            let used = self.events_of(bytes, at_ns);
            self.held.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            let used = self.events_of(&held, at_ns);
            held.drain(..used);
            self.held = held;
        }
        self.events_wanted.is_none_or(|wanted| self.events < wanted)
    }
}

fn number_after(text: &[u8], label: &[u8]) -> Option<u64> {
    let at = memmem::find(text, label)? + label.len();
    let digits = text.get(at..)?.trim_ascii_start();
    let digits = digits.split(|b| !b.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn usage_in(text: &[u8]) -> Option<Tokens> {
    let report = text.get(memmem::find(text, b"\"usage\":")?..)?;
    let prompt = number_after(report, b"\"prompt_tokens\":")?;
    Some(Tokens { prompt, completion: number_after(report, b"\"completion_tokens\":").unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_cut_anywhere_gives_events_delays_and_usage() {
        let text = format!(
            "data: {{\"{SENT}5\"}}\n\n: comment\n\ndata: {{\"usage\": {{\"prompt_tokens\": 3,\"completion_tokens\":4}}}}\n\ndata: [DONE]\n\n",
            SENT = SENT_AT.trim_start_matches('"'),
        );
        for cut in 0..text.len() {
            let mut reader = Reader::default();
            reader.start(true);
            let (head, tail) = text.as_bytes().split_at(cut);
            assert!(reader.data(head, 10) && reader.data(tail, 10));
            assert_eq!((reader.events, reader.done), (2, true), "{cut}");
            assert_eq!(reader.delays, [5]);
            assert_eq!(reader.usage, Some(Tokens { prompt: 3, completion: 4 }));
        }
    }
}
