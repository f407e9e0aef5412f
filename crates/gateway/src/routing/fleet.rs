//! The targets and plans there are, over time: a new routing table finds what is known of a target that stays.

use super::plan::{PlanRules, PlanState};
use super::target::Target;
use hermetic_ids::ModelName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Whoever makes routing tables keeps one, and asks it for each target and each plan's state. What no table names any
/// more is forgotten.
#[derive(Debug, Default)]
pub struct Fleet {
    targets: Mutex<HashMap<Arc<str>, Weak<Target>>>,
    plans: Mutex<HashMap<ModelName, (PlanRules, Weak<PlanState>)>>,
}

impl Fleet {
    /// The target at the place of `target`: the one that is known, or this one.
    pub fn target(&self, target: Target) -> Arc<Target> {
        let mut known = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, target| target.strong_count() > 0);
        if let Some(same) = known.get(&target.key).and_then(Weak::upgrade) {
            return same;
        }
        let target = Arc::new(target);
        known.insert(Arc::clone(&target.key), Arc::downgrade(&target));
        target
    }

    /// The state of a virtual model's plan; new when its rules changed.
    pub fn plan_state(&self, model: &ModelName, rules: &PlanRules) -> Arc<PlanState> {
        let mut known = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, state)| state.strong_count() > 0);
        if let Some((same, state)) = known.get(model)
            && same == rules
            && let Some(state) = state.upgrade()
        {
            return state;
        }
        let state = Arc::new(PlanState::new(rules));
        known.insert(model.clone(), (*rules, Arc::downgrade(&state)));
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_stays_is_the_same_and_one_that_nobody_names_is_forgotten() {
        let fleet = Fleet::default();
        let here = || Target::tcp("engine.example", 8000, "").unwrap();
        let first = fleet.target(here());
        assert!(Arc::ptr_eq(&first, &fleet.target(here())));
        let elsewhere = fleet.target(Target::tcp("engine.example", 8000, "/b").unwrap());
        assert!(!Arc::ptr_eq(&first, &elsewhere));
        drop((first, elsewhere));
        fleet.target(here());
        assert_eq!(fleet.targets.lock().unwrap().len(), 1);
    }
}
