//! Plans for tests.

use hermetic_guard::{Action, Detectors, Fingerprint, Plan, RuleName, built_in};
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct Length;

impl Fingerprint for Length {
    fn of(&self, seen: &[u8]) -> String {
        format!("{:x}", seen.len())
    }
}

pub(crate) fn detectors() -> Arc<Detectors> {
    static ALL: OnceLock<Arc<Detectors>> = OnceLock::new();
    Arc::clone(ALL.get_or_init(|| Arc::new(Detectors::new(built_in()).unwrap())))
}

pub(crate) fn plan(action: impl FnMut(&RuleName) -> Option<Action>) -> Plan {
    Plan::new(detectors(), Arc::new(Length), action)
}

/// Everything masked.
pub(crate) fn masking() -> &'static Plan {
    static MASKING: OnceLock<Plan> = OnceLock::new();
    MASKING.get_or_init(|| plan(|_| Some(Action::Mask)))
}
