//! One counter over time: what is charged and what is held, slot by slot.
//!
//! Invariant, under any order of calls and any movement of the clock: whoever holds with [`Timeline::hold`] finds that
//! every stretch of `span` slots that contains the slot held in sums up to at most the cap.
//!
//! Slots that no future window can contain are forgotten, so the number kept is bounded. What time was forgotten is
//! remembered: when the clock goes back to it, what is held there is held in the first slot that no forgotten one can
//! share a window with. A clock that was once a hundred years ahead therefore costs at most one window, not a
//! hundred years of refusals, and opens no window twice.

use crate::window::Window;
use serde::{Deserialize, Serialize};

/// Slots kept beyond those one window spans, for clocks that went forth and back.
const SPARE_SLOTS: usize = 64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) at: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) charged: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) held: u64,
    /// Headroom this process was given of a cap it shares with others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) granted: u64,
    /// How many soft thresholds were crossed.
    #[serde(default, skip_serializing_if = "is_zero_u8")]
    pub(crate) crossed: u8,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_zero_u8(n: &u8) -> bool {
    *n == 0
}

impl Slot {
    fn taken(&self) -> u64 {
        self.charged.saturating_add(self.held)
    }
}

/// The slots of one counter, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timeline {
    slots: Vec<Slot>,
    /// The latest slot that was forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<u64>,
}

impl Timeline {
    /// Where something that happens in `slot` is held and charged.
    pub(crate) fn attributed(&self, window: Window, slot: u64) -> u64 {
        match self.forgotten {
            // The gauge has one slot and forgets none.
            Some(forgotten) => slot.max(forgotten.saturating_add(window.span())),
            None => slot,
        }
    }

    /// The most that any window containing `slot` has taken.
    pub(crate) fn taken_around(&self, window: Window, slot: u64) -> u64 {
        let span = window.span();
        let sum = |end: u64| -> u64 {
            self.slots
                .iter()
                .filter(|s| s.at <= end && end - s.at < span)
                .fold(0, |sum: u64, s| sum.saturating_add(s.taken()))
        };
        // The clock is almost always at the latest slot; then one window contains all others.
        let later = self.slots.iter().rev().take_while(|s| s.at > slot);
        let ends = later.map(|s| s.at).filter(|at| at - slot < span);
        ends.map(sum).fold(sum(slot), u64::max)
    }

    /// Holds `amount`, whatever the cap: the caller has looked.
    pub(crate) fn hold(&mut self, window: Window, slot: u64, amount: u64) {
        // Records can be a little out of order; what is forgotten limits nobody.
        if self.is_forgotten(slot) {
            return;
        }
        let entry = self.entry(window, slot);
        entry.held = entry.held.saturating_add(amount);
    }

    /// Lets go of `held` and charges `charge`. A slot that was forgotten meanwhile limits nobody any more.
    pub(crate) fn settle(&mut self, slot: u64, held: u64, charge: u64) {
        if let Some(entry) = self.find(slot) {
            entry.held = entry.held.saturating_sub(held);
            entry.charged = entry.charged.saturating_add(charge);
        }
    }

    pub(crate) fn at(&self, slot: u64) -> Slot {
        let found = self.slots.iter().rev().find(|s| s.at == slot);
        found.copied().unwrap_or(Slot { at: slot, ..Slot::default() })
    }

    /// Adds headroom in a slot; returns what was given in it so far.
    pub(crate) fn grant(&mut self, window: Window, slot: u64, amount: u64) -> u64 {
        if self.is_forgotten(slot) {
            return 0;
        }
        let entry = self.entry(window, slot);
        entry.granted = entry.granted.saturating_add(amount);
        entry.granted
    }

    /// Takes back headroom that nothing holds, but `keep` of it; returns how much.
    pub(crate) fn reclaim(&mut self, slot: u64, keep: u64) -> u64 {
        let Some(entry) = self.find(slot) else { return 0 };
        let idle = entry.granted.saturating_sub(entry.taken()).saturating_sub(keep);
        entry.granted -= idle;
        idle
    }

    /// Marks thresholds as crossed.
    pub(crate) fn cross(&mut self, window: Window, slot: u64, crossed: u8) {
        if self.is_forgotten(slot) {
            return;
        }
        let entry = self.entry(window, slot);
        entry.crossed = entry.crossed.max(crossed);
    }

    fn is_forgotten(&self, slot: u64) -> bool {
        self.forgotten.is_some_and(|forgotten| slot <= forgotten)
    }

    /// How many thresholds were crossed in the window that ends with `slot`.
    pub(crate) fn crossed(&self, window: Window, slot: u64) -> u8 {
        let seen = self.slots.iter().filter(|s| s.at <= slot && slot - s.at < window.span());
        seen.map(|s| s.crossed).max().unwrap_or(0)
    }

    /// When enough has left the window that ends with `slot` for `amount` to fit under `cap`, milliseconds since 1970.
    /// What is held may be let go of earlier.
    pub(crate) fn fits_at(&self, window: Window, slot: u64, amount: u64, cap: u64) -> Option<u64> {
        let room = cap.checked_sub(amount)?;
        let mut taken = self.taken_around(window, slot);
        let mut last = slot;
        for s in self.slots.iter().filter(|s| s.at.saturating_add(window.span()) > slot) {
            if taken <= room {
                break;
            }
            taken = taken.saturating_sub(s.taken());
            last = s.at;
        }
        Some(window.leaves_at(last))
    }

    /// Nothing is held and nothing of it counts in a window that contains `slot` or a later one.
    pub(crate) fn is_idle(&self, window: Window, slot: u64) -> bool {
        self.slots.iter().all(|s| {
            let out_of_sight = s.at.saturating_add(window.span()) <= slot;
            s.held == 0 && (out_of_sight || s.charged == 0 && s.granted == 0)
        })
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn find(&mut self, slot: u64) -> Option<&mut Slot> {
        self.slots.iter_mut().rev().find(|s| s.at == slot)
    }

    fn entry(&mut self, window: Window, slot: u64) -> &mut Slot {
        let place = match self.slots.last() {
            Some(last) if last.at == slot => self.slots.len() - 1,
            _ => {
                self.forget(window, slot);
                match self.slots.binary_search_by_key(&slot, |s| s.at) {
                    Ok(found) => found,
                    Err(place) => {
                        self.slots.insert(place, Slot { at: slot, ..Slot::default() });
                        place
                    }
                }
            }
        };
        // `place` was found or made just now.
        &mut self.slots[place]
    }

    /// Forgets what no window that contains `slot` or a later one contains, and what would be too many.
    fn forget(&mut self, window: Window, slot: u64) {
        let span = window.span();
        let out_of_sight = self.slots.iter().take_while(|s| s.at.saturating_add(span) <= slot).count();
        let kept_max = usize::try_from(span).unwrap_or(usize::MAX).saturating_add(SPARE_SLOTS);
        let too_many = (self.slots.len() + 1).saturating_sub(kept_max);
        let mut gone = self.slots.drain(..out_of_sight.max(too_many).min(self.slots.len()));
        if let Some(last) = gone.next_back() {
            self.forgotten = self.forgotten.max(Some(last.at));
        }
    }
}
