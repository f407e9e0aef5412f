//! Manifests and lint settings: every crate is under the workspace's lints, names no dependency it does not use, and
//! every banned primitive has a reason.

use crate::repository::{File, Finding, Repository};

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests = repository.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    for file in manifests {
        findings.extend(manifest(file));
        findings.extend(unused(repository, file));
    }
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

/// Dependencies that no source of the crate names. Each costs whoever builds us time and trust.
fn unused(repository: &Repository, manifest: &File) -> Vec<Finding> {
    let sources = sources_of(repository, manifest.path.trim_end_matches("Cargo.toml"));
    let names = |ident: &str| {
        sources
            .iter()
            .any(|file| file.text.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == ident))
    };
    dependencies(&manifest.text)
        .filter(|(_, name)| !names(&name.replace('-', "_")))
        .map(|(line, name)| {
            Finding::new(
                "unused",
                &manifest.path,
                line,
                format!("expected a source that uses `{name}`, found none"),
            )
        })
        .collect()
}

/// The crate's own files, and those of others that it takes in by `#[path = "…"]`.
fn sources_of<'a>(repository: &'a Repository, folder: &str) -> Vec<&'a File> {
    let mut sources: Vec<&File> = Vec::new();
    let mut waiting: Vec<&File> =
        repository.files.iter().filter(|file| file.is_rust() && file.path.starts_with(folder)).collect();
    while let Some(file) = waiting.pop() {
        if sources.iter().any(|known| known.path == file.path) {
            continue;
        }
        let taken_in =
            file.text.lines().filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
        waiting.extend(taken_in.filter_map(|path| repository.file(&beside(&file.path, path))));
        sources.push(file);
    }
    sources
}

/// `path` as written in the file at `from`, from the root of the repository.
fn beside(from: &str, path: &str) -> String {
    let mut folders: Vec<&str> = from.split('/').collect();
    folders.pop();
    for step in path.split('/') {
        match step {
            ".." => drop(folders.pop()),
            step => folders.push(step),
        }
    }
    folders.join("/")
}

/// Line and name of every dependency, whatever its kind.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut listed = false;
    manifest.lines().enumerate().filter_map(move |(i, line)| {
        if line.starts_with('[') {
            listed = line.ends_with("dependencies]");
            return None;
        }
        let name =
            line.split(['=', '.', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        listed.then_some((i + 1, name))
    })
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

    #[test]
    fn a_dependency_nobody_names_is_found() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let manifest = file(
            "crates/x/Cargo.toml",
            "[dependencies]\nab-c = {}\nd.workspace = true\n# e = 1\n[lints]\nf = 1\n",
        );
        let repository = Repository {
            root: std::path::PathBuf::new(),
            files: vec![
                file("crates/x/src/lib.rs", "#[path = \"../../y/tests/z.rs\"]\nmod z;"),
                file("crates/y/src/lib.rs", "d::e()"),
                file("crates/y/tests/z.rs", "use ab_c::D;"),
            ],
        };
        let found: Vec<usize> = unused(&repository, &manifest).iter().map(|finding| finding.line).collect();
        assert_eq!(found, [3]);
    }
}
