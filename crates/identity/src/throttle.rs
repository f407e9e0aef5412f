//! Slowing down whoever guesses.
//!
//! A source (an address, or the /64 of an IPv6 address) may fail a number of times; after that each failure shuts it
//! out for twice as long as the one before, and while it is shut out nothing it presents is looked at. A key's id has a
//! count of its own, against guesses that come from everywhere; it shuts out only sources that have failed themselves,
//! so that a stranger who knows the public id cannot lock the key's holder out.
//!
//! Pure: time is a parameter. Invariants: bounded memory; a source that has not failed costs one atomic load; counts
//! halve as time passes.

use hermetic_ids::KeyId;
use ipnet::IpNet;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Limits of the throttle, each with the reason for its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleOptions {
    /// Failures that cost nothing. Default 20: an application that starts with an old key retries a few times, on a
    /// few connections.
    pub free: u32,
    /// How long the first failure after those shuts out. Default 1 s.
    pub first: Duration,
    /// The longest a failure shuts out. Default 5 min: long for a program that guesses, short for one that was mended.
    pub longest: Duration,
    /// After this long without a failure half of them are forgotten. Default 1 min.
    pub halved_after: Duration,
    /// Sources, and keys, remembered. Default 4,096: beyond, the one that failed longest ago is forgotten.
    pub remembered_max: usize,
    /// Networks that are never shut out: a proxy behind which everybody has the same address.
    pub exempt: Vec<IpNet>,
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        Self {
            free: 20,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            halved_after: Duration::from_secs(60),
            remembered_max: 4_096,
            exempt: Vec::new(),
        }
    }
}

/// Where attempts come from: one address, or for IPv6 the /64 that one subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// Counts failures and says who is shut out. Shared by reference between threads.
#[derive(Debug)]
pub struct Throttle {
    options: ThrottleOptions,
    /// Sources remembered: none, and nobody is asked about.
    failing: AtomicUsize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sources: HashMap<Source, Count>,
    keys: HashMap<KeyId, Count>,
}

/// Times on the monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    last: Duration,
    shut_out_until: Duration,
}

impl Throttle {
    pub fn new(options: ThrottleOptions) -> Self {
        Self { options, failing: AtomicUsize::new(0), counts: Mutex::default() }
    }

    /// How long this source is still shut out; `None`: it may try. `key`: the one it claims to hold.
    pub fn shut_out(&self, source: Source, key: Option<KeyId>, now: Duration) -> Option<Duration> {
        if self.failing.load(Ordering::Relaxed) == 0 || self.is_exempt(source) {
            return None;
        }
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.sources.get(&source)?;
        let key = key.and_then(|key| counts.keys.get(&key));
        let until = own.shut_out_until.max(key.map_or(Duration::ZERO, |key| key.shut_out_until));
        (until > now).then(|| until.saturating_sub(now))
    }

    /// Notes that this source failed, with this key where it claimed one.
    pub fn failed(&self, source: Source, key: Option<KeyId>, now: Duration) {
        if self.is_exempt(source) {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(&mut counts.sources, source, now);
        if let Some(key) = key {
            self.count(&mut counts.keys, key, now);
        }
        self.failing.store(counts.sources.len(), Ordering::Relaxed);
    }

    /// Sources that have failed lately.
    pub fn failing(&self) -> usize {
        self.failing.load(Ordering::Relaxed)
    }

    /// Forgets those whose failures are all forgotten. Call it now and then.
    pub fn tidy(&self, now: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sources.retain(|_, count| self.is_remembered(count, now));
        counts.keys.retain(|_, count| self.is_remembered(count, now));
        self.failing.store(counts.sources.len(), Ordering::Relaxed);
    }

    fn is_exempt(&self, Source(address): Source) -> bool {
        self.options.exempt.iter().any(|network| network.contains(&address))
    }

    fn is_remembered(&self, count: &Count, now: Duration) -> bool {
        count.shut_out_until > now || self.decayed(count, now) > 0
    }

    fn decayed(&self, count: &Count, now: Duration) -> u32 {
        let quiet = now.saturating_sub(count.last).as_millis();
        let halvings = quiet / self.options.halved_after.as_millis().max(1);
        u32::try_from(halvings).ok().and_then(|halvings| count.failures.checked_shr(halvings)).unwrap_or(0)
    }

    fn count<K: Eq + Hash + Copy>(&self, counts: &mut HashMap<K, Count>, key: K, now: Duration) {
        if !counts.contains_key(&key) && counts.len() >= self.options.remembered_max {
            counts.retain(|_, count| self.is_remembered(count, now));
            if counts.len() >= self.options.remembered_max {
                let oldest = counts.iter().min_by_key(|(_, count)| count.last).map(|(key, _)| *key);
                oldest.map(|key| counts.remove(&key));
            }
        }
        let before = counts.get(&key).copied().unwrap_or_default();
        let failures = self.decayed(&before, now).saturating_add(1);
        let beyond = failures.saturating_sub(self.options.free);
        let shut_out = match beyond {
            0 => Duration::ZERO,
            n => self
                .options
                .first
                .saturating_mul(1u32.checked_shl(n - 1).unwrap_or(u32::MAX))
                .min(self.options.longest),
        };
        let shut_out_until = before.shut_out_until.max(now.saturating_add(shut_out));
        counts.insert(key, Count { failures, last: now, shut_out_until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([10, 0, 0, last]))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn throttle(free: u32) -> Throttle {
        Throttle::new(ThrottleOptions { free, ..ThrottleOptions::default() })
    }

    #[test]
    fn after_the_free_failures_each_shuts_out_twice_as_long() {
        let throttle = throttle(2);
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..6 {
            throttle.failed(source(1), None, now);
            let wait = throttle.shut_out(source(1), None, now);
            waits.push(wait.map_or(0, |wait| wait.as_secs()));
            now += wait.unwrap_or_default();
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8]);
        assert!(throttle.shut_out(source(1), None, now).is_none(), "the wait is over");
        assert!(throttle.shut_out(source(2), None, now).is_none(), "others are not concerned");
    }

    #[test]
    fn failures_are_forgotten_by_halves() {
        let throttle = throttle(2);
        (0..4).for_each(|_| throttle.failed(source(1), None, seconds(0)));
        assert_eq!(throttle.shut_out(source(1), None, seconds(0)), Some(seconds(2)));
        throttle.failed(source(1), None, seconds(60));
        assert_eq!(
            throttle.shut_out(source(1), None, seconds(60)),
            Some(seconds(1)),
            "two and one are three"
        );
        throttle.tidy(seconds(600));
        assert_eq!(throttle.failing(), 0);
    }

    #[test]
    fn a_key_guessed_from_everywhere_shuts_out_those_who_failed_and_not_its_holder() {
        let throttle = throttle(20);
        let key = KeyId::from_bytes([1; 8]);
        (1..=30).for_each(|from| throttle.failed(source(from), Some(key), seconds(0)));
        assert!(throttle.shut_out(source(3), Some(key), seconds(1)).is_some());
        assert!(throttle.shut_out(source(3), None, seconds(1)).is_none(), "with something else it may try");
        assert!(throttle.shut_out(source(200), Some(key), seconds(1)).is_none(), "the holder has not failed");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_source_and_exempt_networks_are_none() {
        let a = Source::of("2001:db8::1".parse().unwrap());
        assert_eq!(a, Source::of("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(a, Source::of("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(Source::of("::ffff:10.0.0.1".parse().unwrap()), source(1));
        assert_eq!(a.to_string(), "2001:db8::/64");
        let exempt = vec!["10.0.0.0/8".parse().unwrap()];
        let throttle = Throttle::new(ThrottleOptions { free: 0, exempt, ..ThrottleOptions::default() });
        throttle.failed(source(1), None, seconds(0));
        assert!(throttle.shut_out(source(1), None, seconds(0)).is_none());
    }

    proptest! {
        /// Whatever comes, memory is bounded and nobody is shut out for longer than the longest.
        #[test]
        fn bounded(attempts in proptest::collection::vec((0u8..=255, 0u64..1000), 0..300)) {
            let options = ThrottleOptions { free: 1, remembered_max: 8, ..ThrottleOptions::default() };
            let throttle = Throttle::new(options.clone());
            let mut now = Duration::ZERO;
            for (from, wait) in attempts {
                now += Duration::from_millis(wait);
                throttle.failed(source(from), Some(KeyId::from_bytes([from; 8])), now);
                prop_assert!(throttle.failing() <= 8);
                let wait = throttle.shut_out(source(from), None, now).unwrap_or_default();
                prop_assert!(wait <= options.longest);
            }
        }
    }
}
