//! What the targets of a virtual model must not say.

use crate::mistake::{CONTRADICTION, Mistake};
use crate::settings::targets::default_name;
use crate::tree::{Node, Value, clipped};
use std::collections::HashSet;

/// Every attempt of a request stands in its record, and a record has room for this many.
const TARGETS_MAX: usize = 32;

const SOURCES: [&str; 3] = ["model", "artifact", "endpoint"];

pub(super) fn check(models: &[Node], mistakes: &mut Vec<Mistake>) {
    let with_one_source = models.iter().filter(|model| model.get("targets").is_none());
    let named: HashSet<&str> = with_one_source.filter_map(|model| model.get("name")?.text()).collect();
    for (i, model) in models.iter().enumerate() {
        let Some(targets) = model.get("targets") else { continue };
        let items = targets.items();
        let mut add = |node: &Node, key: String, message: String| {
            mistakes.push(Mistake { at: node.at, key, code: CONTRADICTION, message });
        };
        let whole = format!("models[{i}].targets");
        if items.len() > TARGETS_MAX || items.is_empty() {
            add(
                targets,
                whole.clone(),
                format!("expected 1 to {TARGETS_MAX} targets, found {}", items.len()),
            );
        }
        let shares =
            items.iter().filter_map(|target| target.get("canary_percent")?.text()?.parse::<u32>().ok());
        let (canaries, percent) =
            shares.fold((0, 0u32), |(n, sum), share| (n + 1, sum.saturating_add(share)));
        if percent > 100 {
            add(
                targets,
                whole.clone(),
                format!("expected canaries of at most 100 percent together, found {percent}"),
            );
        }
        if !items.is_empty() && canaries == items.len() {
            let message = "expected a target that is not a canary, found none: requests outside the canaries would go nowhere";
            add(targets, whole, message.to_owned());
        }
        let mut seen = HashSet::new();
        for (j, target) in items.iter().enumerate() {
            let place = format!("models[{i}].targets[{j}]");
            for (node, key, message) in one_target(target, &named) {
                add(node, format!("{place}{key}"), message);
            }
            let text = |key| target.get(key).and_then(Node::text);
            let name = text("name").map_or_else(
                || default_name(text("model"), text("artifact"), (text("label"), text("endpoint"))),
                str::to_owned,
            );
            if !seen.insert(name.clone()) {
                add(
                    target,
                    place,
                    format!("expected each target once, found `{}` again; give it a `name`", clipped(&name)),
                );
            }
        }
    }
}

/// The source of a target and what may stand beside it.
fn one_target<'a>(target: &'a Node, named: &HashSet<&str>) -> Vec<(&'a Node, String, String)> {
    let Value::Map(_) = &target.value else { return Vec::new() };
    let mut found = Vec::new();
    let present: Vec<&str> = SOURCES.into_iter().filter(|source| target.get(source).is_some()).collect();
    let [source] = present.as_slice() else {
        let listed = if present.is_empty() { "nothing".to_owned() } else { present.join(" and ") };
        found.push((
            target,
            String::new(),
            format!("expected one of model, artifact and endpoint, found {listed}"),
        ));
        return found;
    };
    let foreign: &[&str] = match *source {
        "model" => &["label", "engine", "upstream_model", "speaks"],
        "artifact" => &["upstream_model", "speaks"],
        _ => &["label", "engine"],
    };
    for key in foreign {
        if let Some(node) = target.get(key) {
            found.push((
                node,
                format!(".{key}"),
                format!("expected no `{key}` beside `{source}`, found one"),
            ));
        }
    }
    if let Some(node) = target.get("model")
        && let Some(name) = node.text()
        && !named.contains(name)
    {
        let message = format!(
            "expected another model of this list with a single source, found `{}`; a virtual model cannot be a target",
            clipped(name)
        );
        found.push((node, ".model".to_owned(), message));
    }
    found
}
