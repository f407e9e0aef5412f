//! How many extra requests may be made: retries, hedges.

use std::time::Duration;

/// One request in the budget's own unit, so that a share of a percent is a whole number.
const REQUEST: u64 = 100;
/// Requests whose share may be saved up. A burst of failures may spend what the last thousand requests earned, not
/// what a quiet night did.
const SAVED_REQUESTS: u64 = 1_000;

/// A token bucket filled by requests: each earns `percent` of one extra request. A reserve, refilled by time, lets a
/// service with little traffic try again at all.
#[derive(Debug, Clone)]
pub struct Budget {
    percent: u64,
    reserve: u64,
    earned: u64,
    spare: u64,
    refilled_at: Duration,
}

impl Budget {
    /// `reserve`: extra requests that may be made whatever the traffic, one of them coming back each second.
    pub fn new(percent: u32, reserve: u32) -> Self {
        let reserve = u64::from(reserve) * REQUEST;
        Self { percent: u64::from(percent), reserve, earned: 0, spare: reserve, refilled_at: Duration::ZERO }
    }

    /// A request was made.
    pub fn deposit(&mut self) {
        self.earned = (self.earned + self.percent).min(self.percent * SAVED_REQUESTS);
    }

    /// Whether an extra request may be made; if so, it is charged.
    pub fn withdraw(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.refilled_at);
        let back = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_mul(REQUEST) / 1_000;
        if back > 0 {
            self.spare = self.spare.saturating_add(back).min(self.reserve);
            self.refilled_at = now;
        }
        let purse = if self.earned >= REQUEST { &mut self.earned } else { &mut self.spare };
        let enough = *purse >= REQUEST;
        if enough {
            *purse -= REQUEST;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quiet_service_may_try_again_a_few_times_and_then_once_a_second() {
        let mut budget = Budget::new(20, 2);
        let now = Duration::from_secs(100);
        assert_eq!([budget.withdraw(now), budget.withdraw(now), budget.withdraw(now)], [true, true, false]);
        assert!(!budget.withdraw(now + Duration::from_millis(900)));
        assert!(budget.withdraw(now + Duration::from_millis(1_900)));
    }

    proptest! {
        /// Whatever the order of requests and retries, retries stay within the share and the reserve.
        #[test]
        fn never_more_than_the_share_and_the_reserve(percent in 0u32..100, reserve in 0u32..5, steps in proptest::collection::vec((any::<bool>(), 0u64..50), 0..400)) {
            let mut budget = Budget::new(percent, reserve);
            let (mut now, mut requests, mut extra) = (Duration::ZERO, 0u64, 0u64);
            for (is_request, pause) in steps {
                now += Duration::from_millis(pause);
                if is_request {
                    budget.deposit();
                    requests += 1;
                } else if budget.withdraw(now) {
                    extra += 1;
                }
                let millis = u64::try_from(now.as_millis()).unwrap();
                let most = requests * u64::from(percent) + u64::from(reserve) * 100 + if reserve > 0 { millis / 10 } else { 0 };
                prop_assert!(extra * 100 <= most, "{extra} of {requests}");
            }
        }
    }
}
