//! Policies that are no mistake and yet change nothing, as far as that can be told from scopes alone.
//!
//! Cedar's validator finds conditions that are never true. Here are the pairs: a permit that an unconditional forbid
//! always overrules, and a policy that an unconditional one with the same or a wider scope makes superfluous. Scopes
//! are compared as they are written; who is in which group is not known here.

use crate::described::PolicyText;
use crate::error::Mistake;
use crate::question::Action;
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint,
};
use std::collections::BTreeMap;

/// Unconditional policies that are compared with all others: enough for a folder of hand-written guardrails, and a cap
/// on work that grows with the product.
const UNCONDITIONAL_MAX: usize = 200;

pub(crate) fn of(policies: &PolicySet, texts: &BTreeMap<String, PolicyText>) -> Vec<Mistake> {
    let id = |policy: &Policy| AsRef::<str>::as_ref(policy.id()).to_owned();
    let mut all: Vec<&Policy> = policies.policies().collect();
    all.sort_by_key(|policy| id(policy));
    let unconditional: Vec<&Policy> =
        all.iter().copied().filter(|p| !p.has_non_scope_constraint()).take(UNCONDITIONAL_MAX).collect();
    let mut found = Vec::new();
    for policy in &all {
        let wider = unconditional.iter().find(|wider| {
            let says_more = wider.effect() == Effect::Forbid || policy.effect() == Effect::Permit;
            id(wider) != id(policy)
                && says_more
                && covers(wider, policy)
                && !(covers(policy, wider)
                    && policy.effect() == wider.effect()
                    && !policy.has_non_scope_constraint()
                    && id(policy) < id(wider))
        });
        let (Some(wider), Some(text)) = (wider, texts.get(&id(policy))) else { continue };
        let wider_id = id(wider);
        let message = match (policy.effect(), wider.effect()) {
            (Effect::Permit, Effect::Forbid) => {
                format!("`{}` never permits anything: `{wider_id}` forbids all of it", text.id)
            }
            _ => format!("`{}` changes nothing: `{wider_id}` already says all of it", text.id),
        };
        found.push(Mistake { file: text.file.clone(), position: Some((text.line, text.column)), message });
    }
    found
}

/// Whether whatever the scope of `policy` takes in, the scope of `wider` takes in as well.
fn covers(wider: &Policy, policy: &Policy) -> bool {
    let principal = match wider.principal_constraint() {
        // There is one type of principal and one of resource, so `is` says nothing.
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
        wider => wider == policy.principal_constraint(),
    };
    let resource = match wider.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
        wider => wider == policy.resource_constraint(),
    };
    let within = |narrow: &EntityUid, wide: &[EntityUid]| {
        let name = |entity: &EntityUid| AsRef::<str>::as_ref(entity.id()).to_owned();
        let narrow_name = name(narrow);
        let generates = || Action::of_surface(&narrow_name).is_some_and(Action::generates);
        wide.iter().any(|wide| {
            wide == narrow
                || match name(wide).as_str() {
                    "infer" => !matches!(narrow_name.as_str(), "explain" | "batch" | "store"),
                    "generate" => generates(),
                    _ => false,
                }
        })
    };
    let action = match (wider.action_constraint(), policy.action_constraint()) {
        (ActionConstraint::Any, _) => true,
        (_, ActionConstraint::Any) => false,
        (ActionConstraint::Eq(wide), ActionConstraint::Eq(narrow)) => wide == narrow,
        (ActionConstraint::Eq(wide), ActionConstraint::In(narrow)) => {
            narrow.iter().all(|narrow| *narrow == wide)
        }
        (ActionConstraint::In(wide), ActionConstraint::Eq(narrow)) => within(&narrow, &wide),
        (ActionConstraint::In(wide), ActionConstraint::In(narrow)) => {
            narrow.iter().all(|narrow| within(narrow, &wide))
        }
    };
    principal && resource && action
}
