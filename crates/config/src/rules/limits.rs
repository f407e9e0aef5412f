//! Limits against each other and against the models.

use crate::formats;
use crate::mistake::{CONTRADICTION, MISSING_KEY, Mistake, WRONG_VALUE};
use crate::tree::{Node, clipped};
use hermetic_diagnostics::Code;
use hermetic_limits::Unit;
use std::collections::HashMap;

pub(crate) fn check(root: &Node, mistakes: &mut Vec<Mistake>) {
    let limits = root.get("limits").map(Node::items).unwrap_or_default();
    let models = root.get("models").map(Node::items).unwrap_or_default();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, limit) in limits.iter().enumerate() {
        let mut add = |node: &Node, key: &str, code: Code, message: String| {
            mistakes.push(Mistake { at: node.at, key: format!("limits[{i}].{key}"), code, message });
        };
        if let Some((node, name)) = text(limit, "name")
            && let Some(first) = seen.insert(name, node.at.line)
        {
            let message =
                format!("expected each name once, found `{}` again (first on line {first})", clipped(name));
            add(node, "name", CONTRADICTION, message);
        }
        if let Some(unit) = text(limit, "unit").and_then(|(_, unit)| unit.parse::<Unit>().ok()) {
            of_unit(limit, unit, &mut add);
        }
        downgrade(limit, models, &mut add);
        thresholds(limit, &mut add);
    }
    one_currency(limits, models, mistakes);
}

fn text<'n>(node: &'n Node, key: &str) -> Option<(&'n Node, &'n str)> {
    let node = node.get(key)?;
    Some((node, node.text()?))
}

/// What the unit asks of the other keys.
fn of_unit(limit: &Node, unit: Unit, add: &mut impl FnMut(&Node, &str, Code, String)) {
    if let Some((node, found)) = text(limit, "limit")
        && let Err(error) = unit.parse_quantity(found)
    {
        add(node, "limit", WRONG_VALUE, error.to_string());
    }
    match (unit, limit.get("window")) {
        (Unit::Concurrent, Some(node)) => {
            add(node, "window", CONTRADICTION, "expected no window for `concurrent`, found one".to_owned());
        }
        (Unit::Concurrent, None) => {}
        (_, None) => {
            add(limit, "window", MISSING_KEY, format!("expected a window for `{unit}`, found nothing"));
        }
        _ => {}
    }
    match (unit, limit.get("currency")) {
        (Unit::Money, None) => {
            add(
                limit,
                "currency",
                MISSING_KEY,
                "expected the currency of the money, found nothing".to_owned(),
            );
        }
        (Unit::Money, _) | (_, None) => {}
        (_, Some(node)) => {
            add(
                node,
                "currency",
                CONTRADICTION,
                format!("expected a currency only for `money`, found one for `{unit}`"),
            );
        }
    }
}

/// A model that is handed down to must be one of the configured ones, where they are configured, and a rule in the
/// shadow hands nothing down.
fn downgrade(limit: &Node, models: &[Node], add: &mut impl FnMut(&Node, &str, Code, String)) {
    let Some((node, model)) = limit.get("on_exhausted").and_then(|group| text(group, "downgrade_to")) else {
        return;
    };
    let known = models.iter().any(|known| text(known, "name").is_some_and(|(_, name)| name == model));
    if !models.is_empty() && !known {
        let message = format!("expected the name of a model below `models`, found `{}`", clipped(model));
        add(node, "on_exhausted.downgrade_to", CONTRADICTION, message);
    }
    if text(limit, "shadow").is_some_and(|(_, shadow)| shadow == "true") {
        let message = "expected no other model in a rule that refuses nothing, found one".to_owned();
        add(node, "on_exhausted.downgrade_to", CONTRADICTION, message);
    }
}

fn thresholds(limit: &Node, add: &mut impl FnMut(&Node, &str, Code, String)) {
    let Some(node) = limit.get("soft") else { return };
    let shares: Vec<u16> = node.items().iter().filter_map(|item| formats::share(item.text()?).ok()).collect();
    if !shares.is_sorted_by(|a, b| a < b) || shares.len() > hermetic_limits::SOFT_THRESHOLDS_MAX {
        let most = hermetic_limits::SOFT_THRESHOLDS_MAX;
        add(
            node,
            "soft",
            CONTRADICTION,
            format!("expected at most {most} shares, each greater than the one before"),
        );
    }
}

/// Nothing here converts money.
fn one_currency(limits: &[Node], models: &[Node], mistakes: &mut Vec<Mistake>) {
    let of_limits =
        limits.iter().enumerate().map(|(i, limit)| (format!("limits[{i}].currency"), Some(limit)));
    let of_models = models
        .iter()
        .enumerate()
        .map(|(i, model)| (format!("models[{i}].price.currency"), model.get("price")));
    let mut first: Option<&str> = None;
    for (key, group) in of_limits.chain(of_models) {
        let Some((node, currency)) = group.and_then(|group| text(group, "currency")) else { continue };
        let expected = *first.get_or_insert(currency);
        if expected != currency {
            let message = format!(
                "expected one currency, `{}` as above, found `{}`",
                clipped(expected),
                clipped(currency)
            );
            mistakes.push(Mistake { at: node.at, key, code: CONTRADICTION, message });
        }
    }
}
