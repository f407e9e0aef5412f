//! Where results, progress and errors are printed: results on stdout, everything else on stderr.

use hermetic_diagnostics::Report;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// How this invocation talks to its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// A line of the result. A closed pipe ends the printing, not the work.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
    }

    /// The result as JSON when `--json` was given, else as the lines `human` makes of it.
    pub(crate) fn result<T: serde::Serialize>(self, value: &T, human: impl FnOnce(&T) -> Vec<String>) {
        if self.json {
            self.line(serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned()));
        } else {
            human(value).iter().for_each(|line| self.line(line));
        }
    }

    /// A text as it is, without a line break of ours.
    pub(crate) fn text(self, text: &str) {
        let _ = write!(std::io::stdout().lock(), "{text}");
    }

    /// What is going on, for people: stderr, silent under `--quiet` and `--json`.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// An error, as text or, under `--json`, as one JSON object on stderr.
    pub(crate) fn error(self, report: &Report) {
        let text = if self.json {
            let chain = report.chain();
            serde_json::json!({"error": {"code": report.code().as_str(), "message": chain.first(), "causes": chain.get(1..), "hint": report.hint()}})
                .to_string()
        } else {
            report.to_string()
        };
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// A progress bar over bytes with rate and time left; invisible when nobody watches.
    pub(crate) fn bytes_bar(self, what: &'static str, total: u64) -> indicatif::ProgressBar {
        if self.quiet || self.json || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let style = indicatif::ProgressStyle::with_template(
            "{msg:<12} [{bar:30}] {bytes:>10}/{total_bytes} {bytes_per_sec:>12}  {eta} left",
        )
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
        .progress_chars("=> ");
        let bar = indicatif::ProgressBar::new(total).with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
