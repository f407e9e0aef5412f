//! Pages of the manual that are made from the code, and whether they are fresh.

use crate::repository::{Finding, Repository};
use anyhow::Context;
use std::fmt::Write as _;

/// Path and content of every generated page.
fn pages(repository: &Repository) -> Vec<(&'static str, String)> {
    vec![
        ("docs/configuration.md", hermetic_config::reference_markdown()),
        ("docs/errors.md", errors(repository)),
    ]
}

pub(crate) fn write(repository: &Repository) -> anyhow::Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for (path, content) in pages(repository) {
        std::fs::write(repository.root.join(path), content).with_context(|| format!("write {path}"))?;
        written.push(path);
    }
    Ok(written)
}

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let stale = pages(repository)
        .into_iter()
        .filter(|(path, content)| repository.file(path).is_none_or(|file| file.text != *content));
    stale
        .map(|(path, _)| Finding::new("stale", path, 1, "expected it as generated: run `cargo xtask docs`"))
        .collect()
}

const RANGES: [(&str, &str); 10] = [
    ("E01", "Configuration"),
    ("E02", "Network"),
    ("E03", "Files and store"),
    ("E04", "Bundle, trust and import"),
    ("E05", "Releases and registry"),
    ("E06", "Ledger"),
    ("E07", "Engines and workers"),
    ("E08", "Requests"),
    ("E09", "Keys, identity and policy"),
    ("E10", "Process and command line"),
];

fn errors(repository: &Repository) -> String {
    let mut page = String::from(
        "# Error codes\n\n\
        <!-- Generated from crates/diagnostics/pages by `cargo xtask docs`. -->\n\n\
        Every error an operator can meet has a code that never changes its meaning. `hermetic explain CODE` prints its page\n\
        from the binary; no network is needed.\n",
    );
    let pages = repository.files.iter().filter(|file| file.path.starts_with("crates/diagnostics/pages/"));
    for (prefix, title) in RANGES {
        let of_range: Vec<_> = pages.clone().filter(|file| file.stem().starts_with(prefix)).collect();
        if of_range.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {title}\n");
        for file in of_range {
            let (heading, body) = file.text.split_once('\n').unwrap_or((&file.text, ""));
            let _ = write!(page, "\n##{heading}\n\n{}\n", body.trim());
        }
    }
    page
}
