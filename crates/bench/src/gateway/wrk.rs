//! wrk, the usual load generator, for one comparison: is ours as good at keeping a proxy busy?

use anyhow::{Context as _, ensure};
use hermetic_bounded_io::{Mode, write_atomic};
use std::path::Path;
use std::process::Command;

pub(super) struct Load {
    pub(super) port: u16,
    pub(super) connections: usize,
    pub(super) prompt_bytes: usize,
    pub(super) core: usize,
}

impl Load {
    /// Requests per second.
    pub(super) fn run(&self, place: &Path, seconds: f64) -> anyhow::Result<f64> {
        let script = include_str!("../../../../bench/gateway/request.lua")
            .replace("@PROMPT_BYTES@", &self.prompt_bytes.to_string());
        let path = place.join("request.lua");
        write_atomic(&path, script.as_bytes(), Mode::Private)?;
        let output = Command::new("taskset")
            .args(["-c", &self.core.to_string(), "wrk", "-t1", "--timeout", "10s"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{seconds}s"))
            .arg("-s")
            .arg(&path)
            .arg(format!("http://127.0.0.1:{}/", self.port))
            .output()
            .context("cannot run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        parse(&text).with_context(|| format!("wrk reported errors, or something unknown:\n{text}"))
    }
}

/// `None` also when requests failed.
fn parse(text: &str) -> Option<f64> {
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let failed = after("Non-2xx or 3xx responses:").or_else(|| after("Socket errors:")).is_some();
    let rate = after("Requests/sec:")?.parse().ok()?;
    (!failed).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_one_with_errors_is_none() {
        let report = "Running 6s test @ http://127.0.0.1:1/\n  60 requests in 6.00s, 1MB read\nRequests/sec:     10.50\n";
        assert_eq!(parse(report), Some(10.5));
        assert_eq!(parse(&format!("  Non-2xx or 3xx responses: 4\n{report}")), None);
        assert_eq!(parse("unable to connect"), None);
    }
}
