//! The gateway's limits, from the configuration and from the machine.

use hermetic_bounded_io::read_text_capped;
use hermetic_config::{Config, LedgerSettings, ModelSource};
use hermetic_gateway::{Durability, GatewayOptions, ModelQueue, Pace, QueueOptions};
use hermetic_ledger_store::Window;
use std::path::Path;
use std::time::Duration;

/// Requests the embedded engine computes at once when the configuration does not say (`engine.parallel`).
const SLOTS_DEFAULT: u32 = 4;

/// Share of the memory the process may use that requests may take, one in so many; the rest belongs to the models.
const MEMORY_SHARE: u64 = 8;
/// A few of the largest requests and answers, also on the smallest machine.
const MEMORY_LEAST: u64 = 128 << 20;
/// A thousand of the largest bodies; more would only hide that engines do not keep up.
const MEMORY_MOST: u64 = 4 << 30;
/// Where the machine cannot be asked.
const MEMORY_UNKNOWN: u64 = 4 << 30;

/// Over how long the rate of a body is judged: long enough for a pause of the network.
const PACE_WITHIN: Duration = Duration::from_secs(5);

/// Largest of the two small files the kernel is asked with.
const KERNEL_FILE_MAX: u64 = 64 << 10;

pub(crate) fn of(config: &Config) -> GatewayOptions {
    let settings = &config.gateway;
    let limits = &settings.limits;
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut options = GatewayOptions::new(settings.listen);
    options.threads = usize::try_from(settings.threads).unwrap_or(1);
    options.durability = durability(&config.ledger);
    options.drain_grace = settings.drain_grace;
    options.keep_alive_interval = settings.keep_alive;
    options.names_target = settings.target_header;
    options.memory_bytes_max = bytes(settings.memory.unwrap_or_else(memory_default));
    options.queue = queue(config);
    options.body_bytes_max = bytes(limits.request_body_bytes);
    options.header_bytes_max = bytes(limits.header_bytes);
    options.connections_max = bytes(limits.connections.into());
    options.connections_per_address_max = bytes(limits.connections_per_address.into());
    options.requests_max = bytes(limits.requests.into());
    options.lag_max = limits.lag;
    options.header_timeout = limits.header_timeout;
    options.body_timeout = limits.body_timeout;
    options.body_pace = pace(limits.body_rate);
    options.engine_timeout = limits.engine_timeout;
    options.engine_time_max = limits.engine_time;
    options.client_stall_timeout = limits.client_stall_timeout;
    options
}

fn durability(ledger: &LedgerSettings) -> Durability {
    let (records, age) = ledger.relaxed_window;
    match ledger.durability {
        hermetic_config::Durability::Strict => Durability::Strict,
        hermetic_config::Durability::Relaxed => Durability::Relaxed(Window { records, age }),
    }
}

fn pace(rate: u64) -> Option<Pace> {
    let bytes = usize::try_from(rate.saturating_mul(PACE_WITHIN.as_secs())).unwrap_or(usize::MAX);
    (bytes > 0).then_some(Pace { bytes, within: PACE_WITHIN })
}

fn queue(config: &Config) -> QueueOptions {
    let settings = &config.gateway.queue;
    let concurrency = |model: &hermetic_config::Model| {
        let slots = match &model.source {
            ModelSource::Artifact { engine, .. } => Some(engine.parallel.unwrap_or(SLOTS_DEFAULT)),
            ModelSource::Endpoint { .. } | ModelSource::Targets(_) => None,
        };
        Some((model.name.clone(), ModelQueue { concurrency: model.concurrency.or(slots)? }))
    };
    QueueOptions {
        models: config.models.iter().filter_map(concurrency).collect(),
        // Without a list, every model of the release in production is served, all by the embedded engine.
        others: config.models.is_empty().then_some(ModelQueue { concurrency: SLOTS_DEFAULT }),
        places: usize::try_from(settings.places).unwrap_or(usize::MAX),
        wait_max: settings.wait_max,
        weights: settings.shares.iter().cloned().collect(),
        interactive: (!settings.interactive.is_empty())
            .then(|| settings.interactive.iter().cloned().collect()),
    }
}

fn memory_default() -> u64 {
    let machine = read_text_capped(Path::new("/proc/meminfo"), KERNEL_FILE_MAX).ok();
    let cgroup = read_text_capped(Path::new("/sys/fs/cgroup/memory.max"), KERNEL_FILE_MAX).ok();
    share_of(machine.as_deref().and_then(total_of_machine), cgroup.as_deref().and_then(limit_of_cgroup))
}

fn share_of(machine: Option<u64>, cgroup: Option<u64>) -> u64 {
    let usable = machine.into_iter().chain(cgroup).min().unwrap_or(MEMORY_UNKNOWN);
    (usable / MEMORY_SHARE).clamp(MEMORY_LEAST, MEMORY_MOST)
}

/// `MemTotal:       16384256 kB`
fn total_of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// A number, or `max`.
fn limit_of_cgroup(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_may_take_an_eighth_of_what_there_is_within_bounds() {
        let machine = total_of_machine("MemFree: 1 kB\nMemTotal:       16777216 kB\n");
        assert_eq!(machine, Some(16 << 30));
        assert_eq!(share_of(machine, None), 2 << 30);
        assert_eq!(share_of(machine, limit_of_cgroup("8589934592\n")), 1 << 30);
        assert_eq!(share_of(machine, limit_of_cgroup("max\n")), 2 << 30);
        assert_eq!(share_of(machine, Some(100 << 20)), MEMORY_LEAST);
        assert_eq!(share_of(Some(1 << 40), None), MEMORY_MOST);
    }
}
