//! Levels of classification are distinct, and whoever names one names one of them.

use crate::mistake::{CONTRADICTION, Mistake};
use crate::tree::{Node, clipped};
use std::collections::HashSet;

/// As many as the policy engine's schema takes.
const LEVELS_MAX: usize = 16;

const DEFAULT_LEVELS: [&str; 4] = ["public", "internal", "confidential", "secret"];

pub(super) fn check(root: &Node, models: &[Node], mistakes: &mut Vec<Mistake>) {
    let section = root.get("classification");
    let stated = section.and_then(|section| section.get("levels"));
    let levels: Vec<&str> = match stated {
        Some(node) => node.items().iter().filter_map(Node::text).collect(),
        None => DEFAULT_LEVELS.to_vec(),
    };
    if let Some(node) = stated {
        distinct(node, mistakes);
    }
    let default = section.and_then(|section| section.get("default"));
    let of_models = models
        .iter()
        .enumerate()
        .filter_map(|(i, model)| Some((format!("models[{i}].classification"), model.get("classification")?)));
    for (key, node) in
        default.map(|node| ("classification.default".to_owned(), node)).into_iter().chain(of_models)
    {
        let Some(name) = node.text().filter(|name| !levels.contains(name)) else { continue };
        let message = format!("expected one of the levels {}, found `{}`", levels.join(", "), clipped(name));
        mistakes.push(Mistake { at: node.at, key, code: CONTRADICTION, message });
    }
}

fn distinct(levels: &Node, mistakes: &mut Vec<Mistake>) {
    let key = "classification.levels";
    let mut mistake = |node: &Node, key: String, message: String| {
        mistakes.push(Mistake { at: node.at, key, code: CONTRADICTION, message });
    };
    let items = levels.items();
    if items.is_empty() || items.len() > LEVELS_MAX {
        mistake(levels, key.to_owned(), format!("expected 1 to {LEVELS_MAX} levels, found {}", items.len()));
    }
    let mut seen = HashSet::new();
    for (i, node) in items.iter().enumerate() {
        if let Some(name) = node.text().filter(|name| !seen.insert(*name)) {
            let message = format!("expected each level once, found `{}` again", clipped(name));
            mistake(node, format!("{key}[{i}]"), message);
        }
    }
}
