//! Memory admission: one byte budget for everything that requests make this process hold.
//!
//! What it is for: many large bodies or answers at once are answered 503, never by the kernel's out-of-memory killer.
//! What it must not know: HTTP, what the bytes mean.
//!
//! Invariants:
//! - the grants that are out never add up to more than the budget: one compare-and-swap, no lock;
//! - a grant is given back by the drop of what it stands for, wherever that happens: [`MemoryGrant::hold`] ties it to
//!   the bytes, so that they stay counted while a slow client takes them;
//! - bodies of requests may take three quarters of the budget; the rest is kept for the answers of requests that were
//!   let in, because work that is done is not thrown away for work that has not begun;
//! - large bodies may take half of it, so that they do not keep out small ones, which are most.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a body or an answer of unknown length is granted at a time: large enough that most need one grant.
pub(crate) const GRANT_STEP: usize = 64 << 10;

/// Grants for bodies up to this size are small: both copies of a prompt of sixteen thousand tokens.
const SMALL: usize = 2 * GRANT_STEP;

/// The bytes all requests together may make us hold. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: AtomicUsize,
    held: AtomicUsize,
}

/// For what memory is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request that has not been let in yet.
    Body,
    /// Part of an answer to a request that has.
    Answer,
}

/// Why there is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error("expected a request that can be held in {limit} bytes, found one of {asked}")]
    NeverFits { asked: usize, limit: usize },
    #[error("expected {asked} bytes to be free for the request, found the memory for requests taken")]
    Busy { asked: usize },
}

/// The right to hold some bytes.
#[derive(Debug)]
pub(crate) struct MemoryGrant {
    budget: Arc<Inner>,
    purpose: Purpose,
    bytes: usize,
}

impl Inner {
    /// How much may be held beside and with a grant that has `whole` bytes.
    fn limit_for(&self, purpose: Purpose, whole: usize) -> usize {
        let limit = self.limit.load(Ordering::Relaxed);
        match purpose {
            Purpose::Body if whole > SMALL => limit - limit / 2,
            Purpose::Body => limit - limit / 4,
            Purpose::Answer => limit,
        }
    }

    /// Takes `more` bytes for a grant that then has `whole`.
    fn take(&self, purpose: Purpose, more: usize, whole: usize) -> Result<(), MemoryError> {
        let limit = self.limit_for(purpose, whole);
        let fits = |held: usize| held.checked_add(more).filter(|sum| *sum <= limit);
        // Relaxed: the counter orders nothing but itself.
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            // What could never fit is judged by the whole, not by the last step.
            Err(_) if whole > limit => Err(MemoryError::NeverFits { asked: whole, limit }),
            Err(_) => Err(MemoryError::Busy { asked: more }),
        }
    }
}

impl MemoryBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit: AtomicUsize::new(limit), held: AtomicUsize::new(0) }))
    }

    pub(crate) fn grant(&self, purpose: Purpose, bytes: usize) -> Result<MemoryGrant, MemoryError> {
        self.0.take(purpose, bytes, bytes)?;
        Ok(MemoryGrant { budget: Arc::clone(&self.0), purpose, bytes })
    }

    /// Bytes granted and not yet given back.
    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// A lower limit takes nothing back; it refuses until enough was given back.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }
}

impl MemoryGrant {
    /// Grows until it covers `bytes`; what it covers already costs nothing.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return Ok(()) };
        self.budget.take(self.purpose, more, bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same bytes, counted until their last clone is dropped.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() { bytes } else { Bytes::from_owner(Held { bytes, _grant: self }) }
    }
}

impl Drop for MemoryGrant {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Held {
    bytes: Bytes,
    _grant: MemoryGrant,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn grants_never_exceed_the_budget_and_all_come_back(
            limit in 0usize..10_000,
            steps in proptest::collection::vec((0usize..4_000, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let budget = MemoryBudget::new(limit);
            let mut grants: Vec<MemoryGrant> = Vec::new();
            for (bytes, body, drops) in steps {
                let purpose = if body { Purpose::Body } else { Purpose::Answer };
                if drops && !grants.is_empty() {
                    grants.swap_remove(bytes % grants.len());
                } else if bytes % 3 == 0 && !grants.is_empty() {
                    let at = bytes % grants.len();
                    let _ = grants[at].cover(bytes);
                } else if let Ok(grant) = budget.grant(purpose, bytes) {
                    grants.push(grant);
                }
                prop_assert_eq!(budget.held(), grants.iter().map(MemoryGrant::bytes).sum::<usize>());
                prop_assert!(budget.held() <= limit);
            }
            drop(grants);
            prop_assert_eq!(budget.held(), 0);
        }
    }

    #[test]
    fn what_could_never_fit_is_told_from_what_does_not_fit_now() {
        let budget = MemoryBudget::new(1_000);
        let first = budget.grant(Purpose::Body, 700).unwrap();
        assert_eq!(budget.grant(Purpose::Body, 100).unwrap_err(), MemoryError::Busy { asked: 100 });
        let never = MemoryError::NeverFits { asked: 800, limit: 750 };
        assert_eq!(budget.grant(Purpose::Body, 800).unwrap_err(), never);
        drop(first);
        let mut second = budget.grant(Purpose::Body, 100).unwrap();
        assert_eq!(second.cover(800).unwrap_err(), never);
        second.cover(750).unwrap();
    }

    #[test]
    fn bodies_leave_a_quarter_to_answers() {
        let budget = MemoryBudget::new(1_000);
        let _bodies = budget.grant(Purpose::Body, 750).unwrap();
        assert!(budget.grant(Purpose::Body, 1).is_err());
        assert!(budget.grant(Purpose::Answer, 250).is_ok());
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let budget = MemoryBudget::new(8 * SMALL);
        let mut large = budget.grant(Purpose::Body, 4 * SMALL).unwrap();
        assert_eq!(
            budget.grant(Purpose::Body, SMALL + 1).unwrap_err(),
            MemoryError::Busy { asked: SMALL + 1 }
        );
        let small = budget.grant(Purpose::Body, SMALL).unwrap();
        drop(small);
        assert!(matches!(large.cover(5 * SMALL), Err(MemoryError::NeverFits { .. })));
    }

    #[test]
    fn bytes_stay_counted_until_their_last_clone_is_gone() {
        let budget = MemoryBudget::new(100);
        let bytes = budget.grant(Purpose::Answer, 60).unwrap().hold(Bytes::from_static(b"answer"));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!(budget.held(), 60);
        drop(part);
        assert_eq!(budget.held(), 0);
    }
}
