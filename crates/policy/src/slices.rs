//! The policy set cut by what policies' scopes name, so that a decision looks at the policies that can apply to it.
//!
//! Cedar evaluates every policy of the set it is given, about a microsecond apiece. A policy whose scope names a
//! project, a team, a group, a subject or a model can only apply to questions about it, and one whose scope names
//! actions only to those; the rest is general. Each slice is evaluated by Cedar and the answers are joined by Cedar's
//! own rule, so the cut changes what a decision costs and never what it is.

use crate::entities::Asked;
use crate::question::Action;
use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, EntityUid, Policy, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};
use std::collections::HashMap;

/// One policy set per action.
type ByAction = [PolicySet; Action::ALL.len()];

#[derive(Debug, Clone)]
pub(crate) struct Slices {
    general: ByAction,
    named: HashMap<EntityUid, ByAction>,
}

/// What all slices together say. Sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) permitting: Vec<String>,
    pub(crate) forbidding: Vec<String>,
    /// Policies that could not be evaluated.
    pub(crate) failed: Vec<String>,
}

impl Slices {
    /// Fails only if an id stood twice, which loading has ruled out; then with Cedar's words for it.
    pub(crate) fn cut(policies: &PolicySet) -> Result<Self, String> {
        let mut slices = Self { general: Default::default(), named: HashMap::new() };
        for policy in policies.policies() {
            let sets = match named_by(policy) {
                Some(entity) => slices.named.entry(entity).or_default(),
                None => &mut slices.general,
            };
            for (action, set) in Action::ALL.into_iter().zip(sets) {
                if concerns(policy, action) {
                    set.add(policy.clone()).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(slices)
    }

    pub(crate) fn decide(&self, asked: &Asked, action: Action) -> Joined {
        let named = asked.scopes.iter().filter_map(|entity| self.named.get(entity));
        let mut joined = Joined::default();
        for sets in std::iter::once(&self.general).chain(named) {
            let of_action = Action::ALL.iter().zip(sets).find(|(known, _)| **known == action);
            if let Some((_, set)) = of_action.filter(|(_, set)| !set.is_empty()) {
                joined.add(asked, set);
            }
        }
        for ids in [&mut joined.permitting, &mut joined.forbidding, &mut joined.failed] {
            ids.sort_unstable();
        }
        joined
    }
}

impl Joined {
    fn add(&mut self, asked: &Asked, set: &PolicySet) {
        let response = Authorizer::new().is_authorized(&asked.request, set, &asked.entities);
        let failed = response.diagnostics().errors();
        self.failed
            .extend(failed.map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id().to_string()));
        let determining = response.diagnostics().reason().map(ToString::to_string);
        match response.decision() {
            Decision::Allow => self.permitting.extend(determining),
            // The forbids that apply; none where no permit does.
            Decision::Deny => self.forbidding.extend(determining),
        }
    }
}

/// The one entity a question must be about for the policy to apply, if its scope names one.
fn named_by(policy: &Policy) -> Option<EntityUid> {
    match policy.principal_constraint() {
        PrincipalConstraint::Eq(entity)
        | PrincipalConstraint::In(entity)
        | PrincipalConstraint::IsIn(_, entity) => return Some(entity),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => {}
    }
    match policy.resource_constraint() {
        ResourceConstraint::Eq(entity)
        | ResourceConstraint::In(entity)
        | ResourceConstraint::IsIn(_, entity) => Some(entity),
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
    }
}

fn concerns(policy: &Policy, action: Action) -> bool {
    let named = |entity: &EntityUid| {
        let id: &str = entity.id().as_ref();
        match id {
            "infer" => action.is_surface(),
            "generate" => action.generates(),
            id => id == action.as_str(),
        }
    };
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        // `action == Action::"infer"`, or `"generate"`, asks for the group itself, which nobody asks for; taking it along is harmless.
        ActionConstraint::Eq(entity) => named(&entity),
        ActionConstraint::In(entities) => entities.iter().any(named),
    }
}
