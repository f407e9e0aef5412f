//! Durable records per second, against what the device's sync rate allows at the same batch size.
//!
//! Each case is measured in slices, and after each slice the floor, with batches of the size the slice turned out to
//! have, in a file laid out the same way: `write` and `fdatasync`, nothing else. So a slow moment of a shared machine
//! falls on both, and the median of the slices' ratios is reported. A ratio of 1 would mean that hashing, tiles,
//! checkpoints and waking a thousand waiters cost nothing.

use crate::results::{Results, Row, quantile};
use hermetic_bounded_io::{Mode, open_read_write, remove_durable};
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_keys::SigningKey;
use hermetic_ledger::{Event, Record, VerifierKey};
use hermetic_ledger_store::{Ledger, LedgerOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one record.
const RECORD_BYTES: usize = 1024;
/// What a frame adds to a record on the disk.
const FRAME_BYTES: usize = 32;
/// Bytes of the file the floor is measured in, the size of a segment.
const FLOOR_FILE_BYTES: u64 = 32 << 20;
/// Slices per case.
const SLICES: u32 = 5;
/// The case whose ratio is the headline: what one busy gateway has in flight.
const HEADLINE: usize = 256;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds per case; the floor takes as long again.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Appends in flight, one case each.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256, 1000])]
    in_flight: Vec<usize>,
    /// Proofs to time.
    #[arg(long, default_value_t = 500)]
    proofs: u64,
}

struct Bench<'a> {
    clock: &'a Clock,
    dir: &'a Path,
    span: Duration,
    results: Results,
}

/// What one slice came to.
struct Slice {
    appends_per_s: f64,
    batch_records: f64,
    micros: Vec<f64>,
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<Results> {
    let clock = &Clock::system();
    let place = tempfile::Builder::new().prefix(".ledger-").tempdir_in(folder)?;
    let key = Arc::new(SigningKey::generate()?);
    let verifier = VerifierKey::new("bench.example/ledger", *key.public().as_bytes())?;
    let connector = Connector::new(AllowList::loopback());
    let dir = place.path().join("ledger");
    let ledger = Ledger::open(LedgerOptions::new(dir, verifier.name(), key, clock.clone(), connector))?;
    let span = Duration::from_secs_f64(arguments.seconds);
    let results = Results::new("ledger");
    let mut bench = Bench { clock, dir: place.path(), span, results };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for &in_flight in &arguments.in_flight {
        bench.case(&runtime, &ledger, in_flight)?;
    }
    bench.proofs(&ledger, &verifier, arguments.proofs)?;
    ledger.close();
    Ok(bench.results)
}

fn record(mark: u64) -> Record {
    let empty = Record::new(1_795_399_200_000, Event::ServiceStopped { reason: String::new() });
    let overhead = empty.encode().map_or(0, |bytes| bytes.len());
    let reason = format!("{mark:0>width$}", width = RECORD_BYTES - overhead);
    Record::new(1_795_399_200_000, Event::ServiceStopped { reason })
}

impl Bench<'_> {
    fn case(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        ledger: &Ledger,
        in_flight: usize,
    ) -> anyhow::Result<()> {
        let case_name = format!("{in_flight} in flight, 1 KiB");
        let (mut appends, mut batches, mut floors, mut ratios) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut micros = Vec::new();
        for _ in 0..SLICES {
            let slice = runtime.block_on(self.append(ledger, in_flight))?;
            let floor = self.syncs_per_second(slice.batch_records)? * slice.batch_records;
            ratios.push(slice.appends_per_s / floor);
            appends.push(slice.appends_per_s);
            batches.push(slice.batch_records);
            floors.push(floor);
            micros.extend(slice.micros);
        }
        for values in [&mut appends, &mut batches, &mut floors, &mut ratios, &mut micros] {
            values.sort_unstable_by(f64::total_cmp);
        }
        let (ours, floor) = ("hermetic ledger", "fdatasync of such batches");
        self.results.row(Row::new(ours, &case_name, "appends", quantile(&appends, 0.5), "1/s"));
        self.results.row(Row::new(ours, &case_name, "batch", quantile(&batches, 0.5), "records"));
        self.results.row(Row::new(ours, &case_name, "latency p50", quantile(&micros, 0.5) / 1e3, "ms"));
        self.results.row(Row::new(ours, &case_name, "latency p99", quantile(&micros, 0.99) / 1e3, "ms"));
        self.results.row(Row::new(floor, &case_name, "records", quantile(&floors, 0.5), "1/s"));
        let ratio = quantile(&ratios, 0.5);
        self.results.ratio(&format!("ledger_vs_fsync_floor_{in_flight}"), ratio);
        if in_flight == HEADLINE {
            self.results.ratio("ledger_vs_fsync_floor", ratio);
        }
        Ok(())
    }

    async fn append(&self, ledger: &Ledger, in_flight: usize) -> anyhow::Result<Slice> {
        let (size, batches, started) = (ledger.size(), ledger.batches(), self.clock.monotonic());
        let until = started + self.span / SLICES;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..in_flight {
            let (ledger, clock) = (ledger.clone(), self.clock.clone());
            let record = record(task as u64);
            tasks.spawn(async move {
                let mut micros = Vec::new();
                loop {
                    let before = clock.monotonic();
                    if before >= until {
                        return Ok(micros);
                    }
                    ledger.submit(&record).await?;
                    micros.push((clock.monotonic() - before).as_secs_f64() * 1e6);
                }
            });
        }
        let mut micros = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let done: Result<Vec<f64>, hermetic_ledger_store::AppendError> = done?;
            micros.extend(done?);
        }
        let elapsed = (self.clock.monotonic() - started).as_secs_f64();
        let appends = (ledger.size() - size) as f64;
        let batch_records = appends / (ledger.batches() - batches) as f64;
        Ok(Slice { appends_per_s: appends / elapsed, batch_records, micros })
    }

    /// Batches of so many records that this device makes durable in a second, one after the other.
    fn syncs_per_second(&self, batch_records: f64) -> anyhow::Result<f64> {
        let path = self.dir.join("floor");
        let file = open_read_write(&path, Mode::Private)?;
        file.write_all_at(&vec![0; usize::try_from(FLOOR_FILE_BYTES)?], 0)?;
        file.sync_all()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of records")]
        let batch = vec![0x5a; (batch_records * (RECORD_BYTES + FRAME_BYTES) as f64) as usize];
        let started = self.clock.monotonic();
        let until = started + self.span / SLICES;
        let (mut at, mut syncs) = (0u64, 0u64);
        let mut now = started;
        while now < until {
            if at + batch.len() as u64 > FLOOR_FILE_BYTES {
                at = 0;
            }
            file.write_all_at(&batch, at)?;
            file.sync_data()?;
            at += batch.len() as u64;
            syncs += 1;
            now = self.clock.monotonic();
        }
        remove_durable(&path)?;
        Ok(syncs as f64 / (now - started).as_secs_f64())
    }

    fn proofs(&mut self, ledger: &Ledger, verifier: &VerifierKey, count: u64) -> anyhow::Result<()> {
        let snapshot = ledger.snapshot()?;
        let (mut proving, mut verifying) = (Vec::new(), Vec::new());
        // Steps of a large odd number: all over the log, the same in every run.
        let indices = (0..count).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % snapshot.size().max(1));
        for index in indices {
            let started = self.clock.monotonic();
            let proof = snapshot.prove(index)?;
            let proved = self.clock.monotonic();
            proof.verify(verifier)?;
            proving.push((proved - started).as_secs_f64() * 1e3);
            verifying.push((self.clock.monotonic() - proved).as_secs_f64() * 1e3);
        }
        let case_name = format!("{} records", snapshot.size());
        let ours = "hermetic ledger";
        for (what, mut times) in [("prove", proving), ("verify", verifying)] {
            times.sort_unstable_by(f64::total_cmp);
            self.results.row(Row::new(ours, &case_name, &format!("{what} p50"), quantile(&times, 0.5), "ms"));
            self.results.row(Row::new(
                ours,
                &case_name,
                &format!("{what} p99"),
                quantile(&times, 0.99),
                "ms",
            ));
        }
        Ok(())
    }
}
