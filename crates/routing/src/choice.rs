//! Which of several targets.

use crate::chance::{Chance, mix};

/// A target that could take the request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// What the caller calls it; returned when it is chosen.
    pub index: usize,
    /// Its part of the traffic among its peers; at least 1.
    pub weight: u32,
    /// A number of its own, the same in every process: a hash of its name.
    pub seed: u64,
    /// Requests in front of one more.
    pub ahead: f64,
    /// The latency to expect, in seconds; `None` when nothing is known.
    pub seconds: Option<f64>,
}

/// How much busier than the average of its peers the target of a prefix may be before the prefix goes elsewhere.
/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016); 1.25 is their own example. One request
/// more is always allowed, or two idle targets would already be out of bounds.
const BUSIER_AT_MOST: f64 = 1.25;
const REQUESTS_MORE: f64 = 2.0;

/// Chooses among `candidates`; `None` only when there are none. With a `prefix` (a hash of how the prompt begins) the
/// target that read such a prompt before is preferred: it may still have it in its cache.
pub fn choose(candidates: &[Candidate], prefix: Option<u64>, chance: &mut Chance) -> Option<usize> {
    match candidates {
        [] => None,
        [only] => Some(only.index),
        _ => prefix.and_then(|prefix| by_prefix(candidates, prefix)).or_else(|| by_load(candidates, chance)),
    }
}

/// Rendezvous hashing: every target gets a number from the prefix and its own seed, the highest wins. When one goes,
/// only its own prefixes move.
fn by_prefix(candidates: &[Candidate], prefix: u64) -> Option<usize> {
    let total_weight: f64 = candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
    let total_ahead: f64 = candidates.iter().map(|candidate| candidate.ahead).sum();
    let in_bounds = candidates.iter().filter(|candidate| {
        let fair = total_ahead * f64::from(candidate.weight) / total_weight;
        candidate.ahead <= fair * BUSIER_AT_MOST + REQUESTS_MORE
    });
    in_bounds.max_by(|a, b| claim(a, prefix).total_cmp(&claim(b, prefix))).map(|chosen| chosen.index)
}

/// Weighted rendezvous: `-weight / ln(u)` with `u` in (0, 1) makes each target win in proportion to its weight.
fn claim(candidate: &Candidate, prefix: u64) -> f64 {
    // 53 bits are what an f64 holds exactly; the half keeps it from 0 and 1.
    let bits = mix(prefix ^ candidate.seed) >> 11;
    let u = (approximately(bits) + 0.5) / approximately(1 << 53);
    -f64::from(candidate.weight) / u.ln()
}

fn approximately(bits: u64) -> f64 {
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(bits & 0xffff_ffff).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Power of two choices: two targets drawn by weight, the one with the lower score is taken. Nearly as even as asking
/// all of them, and without the herd that runs to one least busy target (Mitzenmacher 2001).
fn by_load(candidates: &[Candidate], chance: &mut Chance) -> Option<usize> {
    let first = draw(candidates, None, chance)?;
    let Some(second) = draw(candidates, Some(first.index), chance) else { return Some(first.index) };
    Some(if costs_more(first, second) { second.index } else { first.index })
}

fn draw<'a>(
    candidates: &'a [Candidate],
    without: Option<usize>,
    chance: &mut Chance,
) -> Option<&'a Candidate> {
    let offered = || candidates.iter().filter(|candidate| Some(candidate.index) != without);
    let total: u64 = offered().map(|candidate| u64::from(candidate.weight)).sum();
    let mut point = chance.below(total);
    offered().find(|candidate| {
        let weight = u64::from(candidate.weight);
        let here = point < weight;
        point = point.saturating_sub(weight);
        here
    })
}

/// Requests ahead times what each takes; by weight, for a target of twice the weight is meant to carry twice as
/// much (while idle, the draw alone sees to that).
/// Latency counts only when both are known: otherwise a target nobody has measured would look free.
fn costs_more(first: &Candidate, second: &Candidate) -> bool {
    let load = |candidate: &Candidate| candidate.ahead / f64::from(candidate.weight.max(1)) + 1.0;
    match (first.seconds, second.seconds) {
        (Some(a), Some(b)) => load(first) * a.max(0.001) > load(second) * b.max(0.001),
        _ => load(first) > load(second),
    }
}

/// Which of several shares a point falls into. `shares` are percents; the point is a uniform number, or a hash of
/// whoever is to stay where they are. `None`: into what is left of the hundred.
pub fn drawn_share(shares: impl IntoIterator<Item = (usize, u32)>, point: u64) -> Option<usize> {
    let percent = u128::from(point) * 100;
    let mut upto = 0u128;
    for (index, share) in shares {
        upto += u128::from(share);
        if percent < upto << 64 {
            return Some(index);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn idle(index: usize, weight: u32) -> Candidate {
        Candidate { index, weight, seed: mix(index as u64 + 1), ahead: 0.0, seconds: None }
    }

    #[test]
    fn the_idle_share_the_traffic_by_weight() {
        let candidates = [idle(0, 3), idle(1, 1), idle(2, 1)];
        let mut chance = Chance::new(7);
        let mut counts = [0u32; 3];
        (0..20_000).for_each(|_| counts[choose(&candidates, None, &mut chance).unwrap()] += 1);
        assert!((11_000..17_000).contains(&counts[0]), "{counts:?}");
        assert!(counts[1].abs_diff(counts[2]) < 600, "{counts:?}");
    }

    #[test]
    fn of_two_the_one_with_the_shorter_queue_is_taken() {
        let busy = Candidate { ahead: 30.0, ..idle(0, 1) };
        let mut chance = Chance::new(1);
        assert!((0..100).all(|_| choose(&[busy, idle(1, 1)], None, &mut chance) == Some(1)));
    }

    #[test]
    fn a_slow_target_is_avoided_once_both_are_known() {
        let slow = Candidate { seconds: Some(4.0), ..idle(0, 1) };
        let fast = Candidate { seconds: Some(0.1), ahead: 5.0, ..idle(1, 1) };
        let mut chance = Chance::new(1);
        assert!((0..100).all(|_| choose(&[slow, fast], None, &mut chance) == Some(1)));
        let unknown = Candidate { seconds: None, ..fast };
        assert!((0..100).all(|_| choose(&[slow, unknown], None, &mut chance) == Some(0)));
    }

    #[test]
    fn a_prefix_leaves_a_target_that_is_much_busier_and_only_then() {
        let candidates = [idle(0, 1), idle(1, 1), idle(2, 1)];
        let mut chance = Chance::new(1);
        for prefix in (0..50).map(mix) {
            let home = choose(&candidates, Some(prefix), &mut chance).unwrap();
            let with = |ahead| candidates.map(|c| if c.index == home { Candidate { ahead, ..c } } else { c });
            assert_eq!(choose(&with(3.0), Some(prefix), &mut chance), Some(home), "a little busier");
            assert_ne!(choose(&with(20.0), Some(prefix), &mut chance), Some(home), "much busier");
        }
    }

    #[test]
    fn shares_are_kept_to_the_percent_and_stick_to_their_point() {
        let mut chance = Chance::new(3);
        let (mut canary, mut second) = (0, 0);
        for _ in 0..100_000 {
            match drawn_share([(4, 5), (9, 10)], chance.draw()) {
                Some(4) => canary += 1,
                Some(9) => second += 1,
                _ => {}
            }
        }
        assert!((4_700..5_300).contains(&canary) && (9_600..10_400).contains(&second), "{canary} {second}");
        assert_eq!(drawn_share([(1, 100)], u64::MAX), Some(1));
        assert_eq!(drawn_share([(1, 0)], 0), None);
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (1u32..10, 0.0f64..50.0, proptest::option::of(0.0f64..9.0));
        proptest::collection::vec(one, 0..8).prop_map(|drawn| {
            drawn
                .into_iter()
                .enumerate()
                .map(|(i, (weight, ahead, seconds))| Candidate { weight, ahead, seconds, ..idle(i * 2, 1) })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn whatever_is_offered_one_of_it_is_taken(candidates in candidates(), prefix in proptest::option::of(any::<u64>()), seed: u64) {
            let chosen = choose(&candidates, prefix, &mut Chance::new(seed));
            prop_assert_eq!(chosen.is_some(), !candidates.is_empty());
            prop_assert!(chosen.is_none_or(|chosen| candidates.iter().any(|c| c.index == chosen)));
        }

        /// When a target goes, only the prefixes that were its own move.
        #[test]
        fn a_prefix_stays_where_it_is_when_another_target_goes(count in 2usize..8, gone in 0usize..8, prefix: u64) {
            let all: Vec<Candidate> = (0..count).map(|i| idle(i, 1)).collect();
            let mut chance = Chance::new(0);
            let home = choose(&all, Some(prefix), &mut chance).unwrap();
            let rest: Vec<Candidate> = all.into_iter().filter(|c| c.index != gone % count).collect();
            if home != gone % count {
                prop_assert_eq!(choose(&rest, Some(prefix), &mut chance), Some(home));
            }
        }
    }
}
