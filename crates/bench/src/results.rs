//! One shape for every result: `{name, date, machine, versions, rows, ratios}`.

use anyhow::Context as _;
use hermetic_bounded_io::{Mode, create_folders, read_text_capped, write_atomic};
use hermetic_clock::{Clock, rfc3339};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a benchmark leaves behind: `DIR/<name>.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) name: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// What was measured, and beside what, each with its version.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
    /// Ours against a floor or a peer in the same run: the figures that travel between machines.
    pub(crate) ratios: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) system: String,
    pub(crate) case: String,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Row {
    pub(crate) fn new(system: &str, case: &str, metric: &str, value: f64, unit: &str) -> Self {
        Self {
            system: system.to_owned(),
            case: case.to_owned(),
            metric: metric.to_owned(),
            value: rounded(value),
            unit: unit.to_owned(),
        }
    }
}

impl Row {
    /// For counts that must not be rounded: two of them are compared.
    pub(crate) fn exact(system: &str, case: &str, metric: &str, value: f64, unit: &str) -> Self {
        Self { value, ..Self::new(system, case, metric, value, unit) }
    }
}

/// Longest result file or `/proc` file read.
const FILE_BYTES_MAX: u64 = 4 << 20;

fn machine() -> Machine {
    let read = |path: &str| read_text_capped(Path::new(path), FILE_BYTES_MAX).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Machine { cpu, cores, kernel: read("/proc/sys/kernel/osrelease").trim().to_owned() }
}

/// Three significant digits are more than one run on one machine can promise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

impl Results {
    pub(crate) fn new(name: &str) -> Self {
        let versions = BTreeMap::from([("hermetic".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        Self {
            name: name.to_owned(),
            date: rfc3339(Clock::system().unix_millis()),
            machine: machine(),
            versions,
            rows: Vec::new(),
            ratios: BTreeMap::new(),
        }
    }

    /// Adds a row and says it, so that whoever waits sees something.
    pub(crate) fn row(&mut self, row: Row) {
        let Row { system, case, metric, value, unit } = &row;
        say(&format!("{system:<28} {case:<24} {metric:<18} {value:>12} {unit}"));
        self.rows.push(row);
    }

    pub(crate) fn ratio(&mut self, name: &str, value: f64) {
        let value = rounded(value);
        say(&format!("ratio {name} = {value}"));
        self.ratios.insert(name.to_owned(), value);
    }

    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        create_folders(dir, Mode::Shared)?;
        let path = dir.join(format!("{}.json", self.name));
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        write_atomic(&path, text.as_bytes(), Mode::Shared)?;
        say(&format!("written: {}", path.display()));
        Ok(())
    }

    fn read(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let path = dir.join(format!("{name}.json"));
        let text = read_text_capped(&path, FILE_BYTES_MAX)?;
        serde_json::from_str(&text).with_context(|| format!("`{}` is not a result", path.display()))
    }

    /// Puts the results of several benchmarks, all from this machine, into one file.
    pub(crate) fn combine(name: &str, parts: &[String], dir: &Path) -> anyhow::Result<()> {
        let mut all = Self::new(name);
        for part in parts {
            let read = Self::read(dir, part)?;
            anyhow::ensure!(read.machine == all.machine, "`{part}` was measured on another machine");
            all.versions.extend(read.versions);
            all.rows.extend(read.rows);
            all.ratios.extend(read.ratios);
        }
        all.write(dir)
    }
}

/// To whoever waits.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    // Nobody listening is no reason to stop measuring.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The value below which `share` of the sorted values lie.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position inside the slice"
    )]
    let at = (last as f64 * share).round() as usize;
    sorted.get(at.min(last)).copied().unwrap_or_default()
}
