//! Durable records per second, against what the device's sync rate allows at the same batch size.
//!
//! The floor is measured around each case, before and after, with batches of the size the case turned out to have, in
//! a file laid out the same way: `write` and `fdatasync`, nothing else. A ratio of 1 would mean that hashing, tiles,
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
/// The case whose ratio is the headline: what one busy gateway has in flight.
const HEADLINE: usize = 256;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds per case; the floor takes half of that before and half after.
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

/// What one case came to.
struct Case {
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
    let mut expected_batch = 4.0;
    for &in_flight in &arguments.in_flight {
        expected_batch = bench.case(&runtime, &ledger, in_flight, expected_batch)?;
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
        expected_batch: f64,
    ) -> anyhow::Result<f64> {
        let case_name = format!("{in_flight} in flight, 1 KiB");
        // The batch size of a case is known after it; the floor before it uses the best guess there is.
        let before = self.syncs_per_second(expected_batch)?;
        let mut case = runtime.block_on(self.append(ledger, in_flight))?;
        let after = self.syncs_per_second(case.batch_records)?;
        let settled = self.syncs_per_second(case.batch_records)?;
        let syncs = (after + settled) / 2.0;
        case.micros.sort_unstable_by(f64::total_cmp);
        let ours = "hermetic ledger";
        self.results.row(Row::new(ours, &case_name, "appends", case.appends_per_s, "1/s"));
        self.results.row(Row::new(ours, &case_name, "batch", case.batch_records, "records"));
        self.results.row(Row::new(ours, &case_name, "latency p50", quantile(&case.micros, 0.5) / 1e3, "ms"));
        self.results.row(Row::new(ours, &case_name, "latency p99", quantile(&case.micros, 0.99) / 1e3, "ms"));
        let floor = "fdatasync of such batches";
        self.results.row(Row::new(floor, &case_name, "syncs before", before, "1/s"));
        self.results.row(Row::new(floor, &case_name, "syncs after", syncs, "1/s"));
        self.results.row(Row::new(floor, &case_name, "records", syncs * case.batch_records, "1/s"));
        let ratio = case.appends_per_s / (syncs * case.batch_records);
        self.results.ratio(&format!("ledger_vs_fsync_floor_{in_flight}"), ratio);
        if in_flight == HEADLINE {
            self.results.ratio("ledger_vs_fsync_floor", ratio);
        }
        Ok(case.batch_records)
    }

    async fn append(&self, ledger: &Ledger, in_flight: usize) -> anyhow::Result<Case> {
        let (size, batches, started) = (ledger.size(), ledger.batches(), self.clock.monotonic());
        let until = started + self.span;
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
        Ok(Case { appends_per_s: appends / elapsed, batch_records, micros })
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
        let until = started + self.span / 2;
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
