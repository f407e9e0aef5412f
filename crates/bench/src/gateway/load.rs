//! wrk, and what it reports.

use anyhow::{Context as _, ensure};
use hermetic_bounded_io::{Mode, write_atomic};
use std::path::Path;
use std::process::Command;

/// One run of the load generator.
pub(super) struct Load<'a> {
    pub(super) port: u16,
    pub(super) key: &'a str,
    pub(super) connections: u32,
    pub(super) prompt_bytes: u32,
    pub(super) delay_ms: u32,
    pub(super) core: usize,
}

/// What came out of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) requests_per_s: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Answers other than 2xx and 3xx, and broken connections.
    pub(super) errors: u64,
}

impl Load<'_> {
    pub(super) fn run(&self, place: &Path, seconds: u32) -> anyhow::Result<Measured> {
        let script = include_str!("../../../../bench/gateway/request.lua")
            .replace("@KEY@", self.key)
            .replace("@PROMPT_BYTES@", &self.prompt_bytes.to_string())
            .replace("@DELAY_MS@", &self.delay_ms.to_string());
        let path = place.join("request.lua");
        write_atomic(&path, script.as_bytes(), Mode::Private)?;
        let output = Command::new("taskset")
            .args(["-c", &self.core.to_string(), "wrk", "-t1", "--latency", "--timeout", "10s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{seconds}s"))
            .arg("-s")
            .arg(&path)
            .arg(format!("http://127.0.0.1:{}/", self.port))
            .output()
            .context("cannot run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        parse(&text).with_context(|| format!("wrk reported something unknown:\n{text}"))
    }
}

fn parse(text: &str) -> Option<Measured> {
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let errors = after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
    let socket_errors = after("Socket errors:").map_or(0, |line| {
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum()
    });
    Some(Measured {
        requests_per_s: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
        errors: errors + socket_errors,
    })
}

/// `812.00us`, `3.10ms`, `1.02s`.
fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 1e-3), ("ms", 1.0), ("s", 1e3)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|value| value * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_with_its_units_and_its_errors() {
        let report = "Running 6s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%  812.00us\n     99%    3.10ms\n  \
                      60 requests in 6.00s, 1MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  \
                      Non-2xx or 3xx responses: 4\nRequests/sec:     10.50\n";
        let read = parse(report).unwrap();
        assert_eq!(read, Measured { requests_per_s: 10.5, p50_ms: 0.812, p99_ms: 3.1, errors: 7 });
        assert!(parse("unable to connect").is_none());
    }
}
