//! What an engine says about its own load, in the Prometheus text every engine of note serves at `/metrics`.

use std::time::Duration;

/// Load as the engine counts it: that of all its clients, not of this gateway alone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EngineLoad {
    /// Requests in its own queue.
    pub waiting: f64,
    /// Requests it computes.
    pub running: f64,
    /// Share of its key-value cache that is taken, 0 to 1.
    pub cache_used: f64,
}

/// For how long a reading is believed in full; engines are read every few seconds.
const FRESH: Duration = Duration::from_secs(5);
/// When it is not believed at all.
const STALE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Field {
    Waiting,
    Running,
    CacheUsed,
}

/// Metric names: vLLM (`docs/design/metrics.md`; the cache was renamed in its V1 engine), llama.cpp's server, SGLang, TGI.
const NAMES: [(&str, Field); 12] = [
    ("vllm:num_requests_waiting", Field::Waiting),
    ("vllm:num_requests_running", Field::Running),
    ("vllm:kv_cache_usage_perc", Field::CacheUsed),
    ("vllm:gpu_cache_usage_perc", Field::CacheUsed),
    ("llamacpp:requests_deferred", Field::Waiting),
    ("llamacpp:requests_processing", Field::Running),
    ("llamacpp:kv_cache_usage_ratio", Field::CacheUsed),
    ("sglang:num_queue_reqs", Field::Waiting),
    ("sglang:num_running_reqs", Field::Running),
    ("sglang:token_usage", Field::CacheUsed),
    ("tgi_queue_size", Field::Waiting),
    ("tgi_batch_current_size", Field::Running),
];

impl EngineLoad {
    /// Reads the metrics text. Several series of one name (an engine of several replicas) are added up, the fullest
    /// cache counts. `None` when no known metric is there.
    pub fn read(text: &str) -> Option<Self> {
        let mut load = Self::default();
        let mut known = false;
        for line in text.lines() {
            let name = line.split(['{', ' ', '\t']).next().unwrap_or_default();
            let Some((_, field)) = NAMES.iter().find(|(known, _)| *known == name) else { continue };
            let Some(value) = value_of(line.get(name.len()..).unwrap_or_default()) else { continue };
            known = true;
            match field {
                Field::Waiting => load.waiting += value,
                Field::Running => load.running += value,
                Field::CacheUsed => load.cache_used = load.cache_used.max(value.min(1.0)),
            }
        }
        known.then_some(load)
    }
}

/// The value behind name and labels; a time stamp may follow it. Label values may hold `}`, but not behind the last
/// quote.
fn value_of(rest: &str) -> Option<f64> {
    let behind_labels = if rest.starts_with('{') {
        let quotes_end = rest.rfind('"').map_or(0, |at| at + 1);
        let end = quotes_end + rest.get(quotes_end..)?.find('}')?;
        rest.get(end + 1..)?
    } else {
        rest
    };
    let value: f64 = behind_labels.split_ascii_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// A load and when it was read.
#[derive(Debug, Clone, Copy)]
pub struct LoadReading {
    pub load: EngineLoad,
    pub at: Duration,
}

impl LoadReading {
    /// How far the reading is to be believed: 1 while fresh, falling to 0.
    fn belief(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.at);
        if age <= FRESH {
            return 1.0;
        }
        let left = STALE.saturating_sub(age).as_secs_f64();
        (left / STALE.saturating_sub(FRESH).as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Requests in front of one more, when `in_flight` of ours are there. A request that waits costs as much as two that
    /// run, for the running ones share the engine's batch; a cache nearly full makes the next request evict another.
    pub fn requests_ahead(&self, now: Duration, in_flight: f64) -> f64 {
        let belief = self.belief(now);
        let theirs = self.load.running + 2.0 * self.load.waiting;
        let nearly_full = if self.load.cache_used > 0.9 { 2.0 } else { 1.0 };
        let believed = theirs.max(in_flight) * nearly_full;
        believed * belief + in_flight * (1.0 - belief)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> [f64; 3] {
        let load = EngineLoad::read(text).unwrap();
        [load.waiting, load.running, load.cache_used]
    }

    #[test]
    fn each_engines_names_are_known() {
        let vllm = "# HELP vllm:num_requests_waiting Number of requests waiting.\n# TYPE vllm:num_requests_waiting gauge\n\
                    vllm:num_requests_waiting{engine=\"0\",model_name=\"a}b\"} 3.0\nvllm:num_requests_running{engine=\"0\"} 5\n\
                    vllm:num_requests_running{engine=\"1\"} 2\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.25\n";
        assert_eq!(read(vllm), [3.0, 7.0, 0.25]);
        assert_eq!(
            read("vllm:num_requests_waiting 1\nvllm:gpu_cache_usage_perc 0.5 1700000000\n"),
            [1.0, 0.0, 0.5]
        );
        let llama = "llamacpp:requests_deferred 4\nllamacpp:requests_processing 2\nllamacpp:kv_cache_usage_ratio 0.75\n";
        assert_eq!(read(llama), [4.0, 2.0, 0.75]);
        assert_eq!(
            read(
                "sglang:num_queue_reqs{tp_rank=\"0\"} 1\nsglang:num_running_reqs 6\nsglang:token_usage 0.1\n"
            ),
            [1.0, 6.0, 0.1]
        );
        assert_eq!(read("tgi_queue_size 9\ntgi_batch_current_size 8\n"), [9.0, 8.0, 0.0]);
    }

    #[test]
    fn what_is_not_known_or_not_a_number_says_nothing() {
        for text in [
            "",
            "up 1\n",
            "vllm:num_requests_waiting_total 4\n",
            "tgi_queue_size NaN\n",
            "tgi_queue_size -1\n",
            "tgi_queue_size{a=\"\n",
        ] {
            assert_eq!(EngineLoad::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_reading_counts_in_full_while_fresh_and_not_at_all_when_stale() {
        let load = EngineLoad { waiting: 10.0, running: 4.0, cache_used: 0.0 };
        let reading = LoadReading { load, at: Duration::from_secs(100) };
        let ahead = |second| reading.requests_ahead(Duration::from_secs(second), 1.0);
        assert_eq!((ahead(101), ahead(140)), (24.0, 1.0));
        assert!(ahead(115) < 24.0 && ahead(115) > 1.0);
    }
}
