//! Keys against each other, and the promises of the tiers.
//!
//! These read the tree, not the typed configuration, so that they speak up beside other mistakes of the same file.
//! Values whose own form is wrong are passed over here: `walk` has already said so.

mod guardrails;
mod identity;
mod limits;
mod limits_store;
mod targets;

use crate::boundary::{BoundaryEntry, EnclaveBoundary};
use crate::formats;
use crate::mistake::{BOUNDARY_TOO_WIDE, CONTRADICTION, Mistake, OUTSIDE_ENCLAVE};
use crate::tree::{Node, Value, clipped};
use std::collections::HashMap;

mod classification;

pub(crate) fn check(root: &Node, mistakes: &mut Vec<Mistake>) {
    if is_sealed(root) {
        boundary_means_something(root, mistakes);
        endpoints_stay_inside(root, mistakes);
        limits_store::stays_inside(root, &boundary(root), mistakes);
    }
    let models = root.get("models").map(Node::items).unwrap_or_default();
    for (i, model) in models.iter().enumerate() {
        one_source(model, i, mistakes);
    }
    names_are_unique(models, mistakes);
    limits::check(root, mistakes);
    guardrails::check(root, mistakes);
    identity::check(root, mistakes);
    targets::check(models, mistakes);
    classification::check(root, models, mistakes);
    limits_store::means_something(root, mistakes);
}

/// An unreadable or missing tier is judged as the strictest: a typing error must not open the door.
fn is_sealed(root: &Node) -> bool {
    !matches!(root.get("tier").and_then(Node::text), Some("connected" | "byoc"))
}

fn enclave_entries(root: &Node) -> impl Iterator<Item = (usize, &Node, BoundaryEntry)> {
    let items =
        root.get("network").and_then(|network| network.get("enclave")).map(Node::items).unwrap_or_default();
    items.iter().enumerate().filter_map(|(i, node)| Some((i, node, node.text()?.parse().ok()?)))
}

pub(crate) fn boundary(root: &Node) -> EnclaveBoundary {
    EnclaveBoundary::new(enclave_entries(root).map(|(_, _, entry)| entry).collect())
}

fn boundary_means_something(root: &Node, mistakes: &mut Vec<Mistake>) {
    for (i, node, entry) in enclave_entries(root).filter(|(_, _, entry)| entry.is_too_wide()) {
        mistakes.push(Mistake {
            at: node.at,
            key: format!("network.enclave[{i}]"),
            code: BOUNDARY_TOO_WIDE,
            message: format!(
                "expected a block of /8 (IPv4) or /7 (IPv6) at the widest in a sealed tier, found `{entry}`"
            ),
        });
    }
}

fn endpoints_stay_inside(root: &Node, mistakes: &mut Vec<Mistake>) {
    let inside = boundary(root);
    let models = root.get("models").map(Node::items).unwrap_or_default();
    let mut urls = identity::urls(root);
    for (key, node) in endpoints(models) {
        let Some(url) = node.text().and_then(|text| formats::endpoint(text).ok()) else { continue };
        urls.push((key, node, url));
    }
    for (key, node, url) in urls {
        let Some(host) = url.host().filter(|host| !inside.contains_host(host)) else { continue };
        let edge: Vec<String> = inside.entries().iter().map(ToString::to_string).collect();
        let edge = if edge.is_empty() { "nothing but loopback".to_owned() } else { edge.join(", ") };
        mistakes.push(Mistake {
            at: node.at,
            key,
            code: OUTSIDE_ENCLAVE,
            message: format!(
                "expected a host inside the enclave (network.enclave holds {edge}), found `{}`",
                clipped(&host.to_string())
            ),
        });
    }
}

/// Every endpoint of the file and its key: of models, and of the targets of virtual models.
fn endpoints(models: &[Node]) -> Vec<(String, &Node)> {
    let mut found = Vec::new();
    for (i, model) in models.iter().enumerate() {
        found.extend(model.get("endpoint").map(|node| (format!("models[{i}].endpoint"), node)));
        let targets = model.get("targets").map(Node::items).unwrap_or_default();
        let of_targets = targets.iter().enumerate();
        found.extend(of_targets.filter_map(|(j, target)| {
            Some((format!("models[{i}].targets[{j}].endpoint"), target.get("endpoint")?))
        }));
    }
    found
}

/// A model is answered by the registry or by an endpoint, and the keys of one say nothing about the other.
fn one_source(model: &Node, i: usize, mistakes: &mut Vec<Mistake>) {
    let Value::Map(entries) = &model.value else { return };
    let has_endpoint = model.get("endpoint").is_some();
    let (foreign, why): (&[&str], _) = if model.get("targets").is_some() {
        (
            &[
                "artifact",
                "label",
                "engine",
                "endpoint",
                "upstream_model",
                "speaks",
                "tokenizer",
                "tokenize",
                "context_tokens",
            ],
            "a source in each of the `targets` and none beside them, nor what only an `endpoint` has",
        )
    } else if has_endpoint {
        (
            &["artifact", "label", "engine", "routing"],
            "no `artifact`, `label`, `engine` or `routing` beside `endpoint`",
        )
    } else {
        (
            &["upstream_model", "speaks", "kind", "routing", "tokenizer", "tokenize", "context_tokens"],
            "`upstream_model`, `speaks`, `kind`, `tokenizer`, `tokenize` and `context_tokens` only beside `endpoint`, `routing` only beside `targets`",
        )
    };
    for entry in entries.iter().filter(|entry| foreign.contains(&entry.key.as_str())) {
        mistakes.push(Mistake {
            at: entry.key_at,
            key: format!("models[{i}].{}", entry.key),
            code: CONTRADICTION,
            message: format!("expected {why}, found `{}`", entry.key),
        });
    }
}

fn names_are_unique(models: &[Node], mistakes: &mut Vec<Mistake>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (i, model) in models.iter().enumerate() {
        let Some(node) = model.get("name") else { continue };
        let Some(name) = node.text() else { continue };
        if let Some(first) = seen.get(name) {
            mistakes.push(Mistake {
                at: node.at,
                key: format!("models[{i}].name"),
                code: CONTRADICTION,
                message: format!(
                    "expected each model name once, found `{}` again (first on line {first})",
                    clipped(name)
                ),
            });
        } else {
            seen.insert(name, node.at.line);
        }
    }
}
