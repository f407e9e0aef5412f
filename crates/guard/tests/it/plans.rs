//! Plans for tests.

use hermetic_guard::{Action, Detectors, Fingerprint, Plan, RuleName, built_in, names};
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

/// The same, and names.
pub(crate) fn naming() -> &'static Plan {
    static NAMING: OnceLock<Plan> = OnceLock::new();
    NAMING.get_or_init(|| {
        let detectors = Detectors::new([built_in(), names()].concat()).unwrap();
        Plan::new(Arc::new(detectors), Arc::new(Length), |_| Some(Action::Mask))
    })
}

pub(crate) fn plan(action: impl FnMut(&RuleName) -> Option<Action>) -> Plan {
    Plan::new(detectors(), Arc::new(Length), action)
}

/// Everything masked.
pub(crate) fn masking() -> &'static Plan {
    static MASKING: OnceLock<Plan> = OnceLock::new();
    MASKING.get_or_init(|| plan(|_| Some(Action::Mask)))
}
