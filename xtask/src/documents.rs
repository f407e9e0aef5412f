//! The manual and the papers: every page is listed, every link between files leads somewhere.

use crate::repository::{File, Finding, Repository};

const SUMMARY: &str = "docs/SUMMARY.md";

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let summary = repository.file(SUMMARY).map(|file| file.text.as_str()).unwrap_or_default();
    let pages =
        repository.files.iter().filter(|file| file.path.starts_with("docs/") && file.path.ends_with(".md"));
    for page in pages.filter(|page| page.path != SUMMARY) {
        let listed = format!("]({})", page.path.trim_start_matches("docs/"));
        if !summary.contains(&listed) {
            findings.push(Finding::new("docs", &page.path, 1, format!("not listed in {SUMMARY}")));
        }
        if !page.text.starts_with("# ") {
            findings.push(Finding::new("docs", &page.path, 1, "expected a heading on the first line"));
        }
    }
    for file in repository.files.iter().filter(|file| file.path.ends_with(".md")) {
        findings.extend(dead_links(repository, file));
    }
    let changelog = repository.file("CHANGELOG.md").map(|file| file.text.as_str()).unwrap_or_default();
    if !changelog.contains("\n## [Unreleased]") {
        findings.push(Finding::new("docs", "CHANGELOG.md", 1, "expected a section `## [Unreleased]`"));
    }
    findings
}

fn dead_links(repository: &Repository, file: &File) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut fenced = false;
    for (i, line) in file.text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            if !repository.has(&resolved(folder, path)) {
                findings.push(Finding::new("link", &file.path, i + 1, format!("`{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// The targets of `[text](target)`, code spans set aside.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("");
    prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).map(str::to_owned).collect()
}

/// `docs/a` + `../b.md` → `b.md` beside `docs`.
fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_and_resolved_against_their_page() {
        assert_eq!(targets("see [a](b.md#c) and `[x](y)` and [d](../e.md)"), ["b.md#c", "../e.md"]);
        assert_eq!(resolved("docs/how", "../e.md"), "docs/e.md");
        assert_eq!(resolved("", "docs/e.md"), "docs/e.md");
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_is_found() {
        let repository = Repository::open().unwrap();
        let file = File {
            path: "docs/x.md".to_owned(),
            text: "[a](no-such-page.md)\n```\n[b](c.md)\n```\n".to_owned(),
        };
        assert_eq!(dead_links(&repository, &file).len(), 1);
    }
}
