//! Which crate may know which: the floor table of `ARCHITECTURE.md` against what the manifests say.

use crate::repository::{Finding, Repository};
use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

const RULE: &str = "edge";
const MAP: &str = "ARCHITECTURE.md";

/// Edges within a floor, each with its reason. Everything else goes downwards only.
const SIDEWAYS: [(&str, &str, &str); 10] = [
    ("config", "guard", "rules are named, and patterns tried, where they are written"),
    ("config", "limits", "rules are read into what the limits take"),
    ("transfer", "registry", "an import ends in registered versions"),
    ("identity", "metadata", "keys are rows"),
    ("identity", "connector", "the key sets of issuers come over a socket"),
    ("ledger-store", "keys", "checkpoints are signed"),
    ("ledger-store", "connector", "records of other processes come over a socket"),
    ("shared-counters", "connector", "the server is reached through the one door"),
    ("tokenizer", "gguf", "a vocabulary stands in the header of a model file"),
    ("trust", "bundle", "the release statement is a document of the bundle"),
];

/// Crates that stand beside the floors: tools, which may look at anything.
const BESIDE: &str = "beside";

pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Finding>> {
    let map = repository.file(MAP).context("ARCHITECTURE.md is there")?;
    let floors = floors(&map.text);
    if floors.is_empty() {
        bail!("expected a floor table in {MAP}, found none");
    }
    Ok(compare(&floors, &edges(repository)?))
}

/// Crate name → floor number; `None` stands beside.
fn floors(text: &str) -> BTreeMap<String, Option<u8>> {
    let mut floors = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(floor), Some(crates)) = (cells.next(), cells.next()) else { continue };
        let number = floor.split(' ').next().and_then(|digit| digit.parse::<u8>().ok());
        if number.is_none() && floor != BESIDE {
            continue;
        }
        for name in crates.split('`').skip(1).step_by(2) {
            floors.insert(name.to_owned(), number);
        }
    }
    floors
}

/// A dependency between two of our crates, by folder name.
struct Edge {
    from: String,
    to: String,
    manifest: String,
}

fn edges(repository: &Repository) -> anyhow::Result<Vec<Edge>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(&repository.root)
        .output()
        .context("run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let from = short(package["name"].as_str().unwrap_or_default());
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let manifest = manifest.strip_prefix(&*repository.root.to_string_lossy()).unwrap_or(manifest);
        let ours = package["dependencies"].as_array().into_iter().flatten().filter(|dependency| {
            dependency["path"].is_string() && dependency["kind"].as_str() != Some("dev")
        });
        for dependency in ours {
            edges.push(Edge {
                from: from.clone(),
                to: short(dependency["name"].as_str().unwrap_or_default()),
                manifest: manifest.trim_start_matches('/').to_owned(),
            });
        }
    }
    Ok(edges)
}

fn short(package: &str) -> String {
    package.strip_prefix("hermetic-").unwrap_or(package).to_owned()
}

fn compare(floors: &BTreeMap<String, Option<u8>>, edges: &[Edge]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for edge in edges {
        let mut refuse = |message: String| findings.push(Finding::new(RULE, &edge.manifest, 1, message));
        let (from, to) = (floors.get(&edge.from), floors.get(&edge.to));
        match (from, to) {
            (None, _) => refuse(format!("`{}` has no floor in the table of {MAP}", edge.from)),
            (_, None) => refuse(format!("`{}` has no floor in the table of {MAP}", edge.to)),
            (Some(None), _) => {}
            (_, Some(None)) => refuse(format!("`{}` depends on the tool `{}`", edge.from, edge.to)),
            (Some(Some(4)), _) => {}
            (_, _) if edge.to == "config" => {
                refuse(format!(
                    "`{}` depends on `config`; only `hermetic` reads the configuration",
                    edge.from
                ));
            }
            (Some(Some(from)), Some(Some(to))) if from > to => {}
            _ if SIDEWAYS.iter().any(|(a, b, _)| *a == edge.from && *b == edge.to) => {}
            _ => refuse(format!("`{}` depends on `{}`, which is not below it", edge.from, edge.to)),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), manifest: "Cargo.toml".to_owned() }
    }

    #[test]
    fn edges_go_down_and_sideways_only_where_a_reason_is_written() {
        let floors = floors(
            "| 4 composition | `hermetic` |\n| 3 services | `gateway` `transfer` `registry` |\n| 1 pure | `policy` `config` |\n| beside | `bench` |\n",
        );
        assert_eq!(floors.len(), 7);
        assert!(
            compare(
                &floors,
                &[edge("gateway", "policy"), edge("transfer", "registry"), edge("bench", "gateway")]
            )
            .is_empty()
        );
        for bad in [
            edge("gateway", "registry"),
            edge("policy", "gateway"),
            edge("gateway", "bench"),
            edge("gateway", "config"),
            edge("gateway", "unlisted"),
        ] {
            assert_eq!(compare(&floors, &[bad]).len(), 1);
        }
    }
}
