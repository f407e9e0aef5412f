//! What a lease is called in the server, when it ends, and which others count in the same windows.

use hermetic_limits::{CounterId, Window};

/// How far clocks of replicas and server may be apart. A lease is kept for so long after its window, by the server's
/// clock. An hour: nothing is lost by keeping it, and a clock that is off by more is an incident of its own.
const CLOCKS_APART_MS: u64 = 3_600_000;

/// How long a lease on what is counted while it lasts (requests in flight) outlives its last renewal. A replica that
/// cannot renew for half of that lets go of what it does not hold.
pub(crate) const LASTING_MS: u64 = 3_600_000;

/// A counter in one slot of its window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) counter: CounterId,
    pub(crate) slot: u64,
}

impl Place {
    pub(crate) fn key(&self, namespace: &str) -> String {
        key(namespace, &self.counter, self.slot)
    }

    /// The keys of this slot and of all others that share a window with it.
    pub(crate) fn keys_around(&self, namespace: &str) -> Vec<String> {
        let reach = self.counter.window.span().saturating_sub(1);
        let others = (self.slot.saturating_sub(reach)..=self.slot.saturating_add(reach))
            .filter(|slot| *slot != self.slot)
            .map(|slot| key(namespace, &self.counter, slot));
        std::iter::once(self.key(namespace)).chain(others).collect()
    }

    /// When the earliest window that this slot counts in began.
    pub(crate) fn window_began(&self, now: u64) -> u64 {
        let window = self.counter.window;
        match window {
            // Whoever held then and has not renewed since holds no more.
            Window::Now => now.saturating_sub(LASTING_MS),
            Window::Calendar(_) | Window::Sliding(_) => {
                window.slot_start(self.slot.saturating_sub(window.span().saturating_sub(1)))
            }
        }
    }

    /// Until when the server keeps the lease.
    pub(crate) fn expires(&self, now: u64) -> u64 {
        match self.counter.window {
            Window::Now => now.saturating_add(LASTING_MS),
            window => window.leaves_at(self.slot).saturating_add(CLOCKS_APART_MS),
        }
    }

    /// Nothing that happens now can be counted in the slot.
    pub(crate) fn is_past(&self, now: u64) -> bool {
        self.counter.window.slot(now) > self.slot
    }

    /// Nothing of the slot counts any more.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.counter.window.leaves_at(self.slot) <= now
    }
}

/// The parts with a fixed form first, then the rule with its length, so that no two counters share a key.
fn key(namespace: &str, counter: &CounterId, slot: u64) -> String {
    let CounterId { rule, unit, window, scope } = counter;
    format!("{namespace}:lease:{}:{window}:{slot}:{}:{rule}:{scope}", unit.as_str(), rule.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermetic_limits::{Length, Unit};

    fn place(rule: &str, scope: &str, window: Window, slot: u64) -> Place {
        Place {
            counter: CounterId { rule: rule.into(), unit: Unit::Tokens, window, scope: scope.into() },
            slot,
        }
    }

    #[test]
    fn different_counters_have_different_keys() {
        let day = Window::Calendar(Length::Day);
        let all = [
            place("a", "b", day, 1),
            place("a", "b", day, 2),
            place("a:b", "", day, 1),
            place("a", ":b", day, 1),
            place("a", "b", Window::Sliding(Length::Day), 1),
        ];
        let keys: std::collections::HashSet<String> = all.iter().map(|place| place.key("n")).collect();
        assert_eq!(keys.len(), all.len());
        assert_eq!(all[0].key("n"), "n:lease:tokens:day:1:1:a:b");
    }

    #[test]
    fn a_sliding_window_sees_every_slot_it_can_share_with() {
        let window = Window::Sliding(Length::Minute);
        let span = window.span();
        let keys = place("a", "", window, 1_000).keys_around("n");
        assert_eq!(keys.len() as u64, 2 * span - 1);
        assert_eq!(keys[0], place("a", "", window, 1_000).key("n"));
        assert!(keys.contains(&place("a", "", window, 1_001 - span).key("n")));
        assert_eq!(place("a", "", Window::Calendar(Length::Hour), 7).keys_around("n").len(), 1);
    }
}
