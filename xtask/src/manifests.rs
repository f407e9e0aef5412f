//! Manifests and lint settings: every crate is under the workspace's lints, every banned primitive has a reason.

use crate::repository::{File, Finding, Repository};

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests = repository.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    findings.extend(manifests.flat_map(manifest));
    findings.extend(repository.file("clippy.toml").map(reasons).unwrap_or_default());
    findings
}

fn manifest(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let compact = file.text.replace(' ', "");
    if !compact.contains("[lints]\nworkspace=true") {
        findings.push(Finding::new("lints", &file.path, 1, "expected `[lints]` with `workspace = true`"));
    }
    if !file.text.contains("description = \"") {
        findings.push(Finding::new("lints", &file.path, 1, "expected a description: what the crate is for"));
    }
    for (i, line) in file.text.lines().enumerate() {
        if line.contains("version = \"") && line.contains('{') {
            let message = "expected `workspace = true`; versions are written in the root manifest alone";
            findings.push(Finding::new("lints", &file.path, i + 1, message));
        }
    }
    findings
}

fn reasons(file: &File) -> Vec<Finding> {
    let unreasoned = |line: &str| {
        let reason =
            line.split("reason = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        line.contains("path = \"") && reason.len() < 10
    };
    let lines = file.text.lines().enumerate().filter(|(_, line)| unreasoned(line));
    lines
        .map(|(i, _)| Finding::new("lints", &file.path, i + 1, "a banned primitive without its reason"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_without_a_reason_and_a_crate_without_lints_are_found() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        assert_eq!(reasons(&file("clippy.toml", "{ path = \"std::fs::read\" },\n")).len(), 1);
        assert_eq!(manifest(&file("crates/x/Cargo.toml", "[package]\n")).len(), 2);
        let good = "[package]\ndescription = \"x\"\n[lints]\nworkspace = true\n";
        assert!(manifest(&file("crates/x/Cargo.toml", good)).is_empty());
    }
}
