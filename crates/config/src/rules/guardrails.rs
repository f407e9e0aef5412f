//! Guardrails against the detectors there are, and patterns against their own examples.

use crate::mistake::{CONTRADICTION, Mistake, WRONG_VALUE};
use crate::settings::guardrails::pattern;
use crate::tree::{Node, Value, clipped};
use hermetic_diagnostics::Code;
use hermetic_guard::{Detectors, INJECTION_RULES, RuleName, built_in, names};
use std::collections::HashMap;

pub(crate) fn check(root: &Node, mistakes: &mut Vec<Mistake>) {
    let Some(guardrails) = root.get("guardrails") else { return };
    let items = |key| guardrails.get(key).map(Node::items).unwrap_or_default();
    let mut add = |node: &Node, key: String, code: Code, message: String| {
        mistakes.push(Mistake { at: node.at, key: format!("guardrails.{key}"), code, message });
    };
    let mut known: Vec<RuleName> = built_in().into_iter().chain(names()).map(|rule| rule.name).collect();
    known.extend(INJECTION_RULES.map(RuleName::built_in));
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, own) in items("patterns").iter().enumerate() {
        let text = |key| own.get(key).and_then(Node::text);
        let (Some(name), Some(expression)) = (text("name"), text("pattern")) else { continue };
        if let Some(first) = seen.insert(name, own.at.line) {
            let message =
                format!("expected each name once, found `{}` again (first on line {first})", clipped(name));
            add(own, format!("patterns[{i}].name"), CONTRADICTION, message);
        }
        let rule = pattern(name, expression);
        known.push(rule.name.clone());
        match Detectors::new(vec![rule]) {
            Err(mistake) => add(own, format!("patterns[{i}].pattern"), WRONG_VALUE, mistake.to_string()),
            Ok(detectors) => examples(own, i, &detectors, &mut add),
        }
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, rule) in items("rules").iter().enumerate() {
        if let Some(name) = rule.get("name").and_then(Node::text)
            && let Some(first) = seen.insert(name, rule.at.line)
        {
            let message =
                format!("expected each name once, found `{}` again (first on line {first})", clipped(name));
            add(rule, format!("rules[{i}].name"), CONTRADICTION, message);
        }
        for direction in ["input", "output"] {
            for (group, node) in members(rule.get(direction)) {
                let key = || format!("rules[{i}].{direction}.{}", clipped(group));
                if let Some(message) = unknown(group, &known) {
                    add(node, key(), WRONG_VALUE, message);
                } else if let Some(message) = impossible(group, direction, node) {
                    add(node, key(), CONTRADICTION, message);
                }
            }
        }
    }
    for (i, exception) in items("exceptions").iter().enumerate() {
        let Some(node) = exception.get("rule") else { continue };
        if let Some(message) = node.text().and_then(|group| unknown(group, &known)) {
            add(node, format!("exceptions[{i}].rule"), WRONG_VALUE, message);
        }
    }
}

/// A pattern is held against what its author says it finds.
fn examples(own: &Node, i: usize, detectors: &Detectors, add: &mut impl FnMut(&Node, String, Code, String)) {
    let mut scratch = detectors.scratch();
    for (key, wanted) in [("finds", true), ("ignores", false)] {
        for (j, example) in own.get(key).map(Node::items).unwrap_or_default().iter().enumerate() {
            let Some(text) = example.text() else { continue };
            if detectors.find(&mut scratch, text.as_bytes()).is_empty() == wanted {
                let expected = if wanted { "something to be found" } else { "nothing to be found" };
                let message = format!("expected {expected} in `{}` by the pattern", clipped(text));
                add(example, format!("patterns[{i}].{key}[{j}]"), CONTRADICTION, message);
            }
        }
    }
}

/// An instruction has no place that could be masked, and comes in, not out.
fn impossible(group: &str, direction: &str, node: &Node) -> Option<String> {
    let found = node.text()?;
    let injection = group == "injection" || group.starts_with("injection.");
    match (injection, direction) {
        (true, "output") => Some("expected `injection` under `input` alone, found it here".to_owned()),
        (true, _) if matches!(found, "mask" | "hash") => {
            Some(format!("expected `off`, `report` or `block` for `injection`, found `{found}`"))
        }
        _ => None,
    }
}

/// What to say of a name that is neither a detector nor a group of them.
fn unknown(group: &str, names: &[RuleName]) -> Option<String> {
    if names.iter().any(|name| name.is_in(group)) {
        return None;
    }
    let near = names
        .iter()
        .map(RuleName::as_str)
        .max_by(|one, other| strsim::jaro_winkler(group, one).total_cmp(&strsim::jaro_winkler(group, other)));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Some(format!(
        "expected a detector or a group of them (`hermetic guard rules` lists them), found `{}`{near}",
        clipped(group)
    ))
}

fn members(node: Option<&Node>) -> Vec<(&str, &Node)> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| (entry.key.as_str(), &entry.node)).collect(),
        _ => Vec::new(),
    }
}
