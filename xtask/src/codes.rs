//! Error codes: a code in the source has a page, a page has a code in the source, and crates that do not know each other
//! do not share one: the same number would come to mean two things.

use crate::repository::{File, Finding, Repository};
use std::collections::BTreeMap;

const RULE: &str = "code";
const PAGES: &str = "crates/diagnostics/pages/";
const SECTIONS: [&str; 3] = ["**What it means.**", "**Likely causes.**", "**What to do.**"];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let pages: Vec<&File> = repository.files.iter().filter(|file| file.path.starts_with(PAGES)).collect();
    let sources = repository.files.iter().filter(|file| file.is_product_source());
    let mut uses: BTreeMap<&str, Vec<(&File, usize)>> = BTreeMap::new();
    for file in sources {
        for (number, line) in file.shipped_lines() {
            for code in codes_in(line) {
                uses.entry(code).or_default().push((file, number));
            }
        }
    }
    let mut findings: Vec<Finding> = pages.iter().flat_map(|page| form(page)).collect();
    for (code, places) in &uses {
        let Some((file, line)) = places.first() else { continue };
        if !pages.iter().any(|page| page.stem() == *code) {
            findings.push(Finding::new(
                RULE,
                &file.path,
                *line,
                format!("{code} has no page {PAGES}{code}.md"),
            ));
        }
        let strangers = places.iter().find(|(other, _)| !know_each_other(repository, file, other));
        if let Some((other, line)) = strangers {
            let first = file.crate_name().unwrap_or_default();
            findings.push(Finding::new(
                RULE,
                &other.path,
                *line,
                format!("{code} already belongs to the crate `{first}`"),
            ));
        }
    }
    let unused = pages.iter().filter(|page| !uses.contains_key(page.stem()));
    findings.extend(
        unused.map(|page| Finding::new(RULE, &page.path, 1, "no code in the source leads to this page")),
    );
    findings
}

/// Whether two files are of one crate, or of two of which one depends on the other.
fn know_each_other(repository: &Repository, a: &File, b: &File) -> bool {
    let (Some(a), Some(b)) = (a.crate_name(), b.crate_name()) else { return true };
    let names = |from: &str, to: &str| {
        let manifest = repository.file(&format!("crates/{from}/Cargo.toml"));
        manifest.is_some_and(|manifest| manifest.text.contains(&format!("hermetic-{to} =")))
    };
    a == b || names(a, b) || names(b, a)
}

/// `E` and four digits as a whole string literal, outside comments.
fn codes_in(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split('"').skip(1).step_by(2).filter(|text| is_code(text))
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.starts_with('E') && text.bytes().skip(1).all(|b| b.is_ascii_digit())
}

fn form(page: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let heading = format!("# {}: ", page.stem());
    if !is_code(page.stem()) || !page.text.starts_with(&heading) {
        findings.push(Finding::new(
            RULE,
            &page.path,
            1,
            format!("expected the first line to be `{heading}title`"),
        ));
    }
    for section in SECTIONS.iter().filter(|section| !page.text.contains(**section)) {
        findings.push(Finding::new(RULE, &page.path, 1, format!("expected a section `{section}`")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> Repository {
        let files =
            files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
        Repository { root: std::path::PathBuf::new(), files: files.collect() }
    }

    #[test]
    fn pages_and_codes_must_match_one_to_one() {
        let good = "# E0101: x\n**What it means.** a **Likely causes.** b **What to do.** c\n";
        let uses = "Code::new(\"E0101\") // \"E9999\" is a comment\n";
        let tidy = repository(&[("crates/diagnostics/pages/E0101.md", good), ("crates/a/src/lib.rs", uses)]);
        assert!(check(&tidy).is_empty(), "{:?}", check(&tidy));
        assert_eq!(check(&repository(&[("crates/a/src/lib.rs", uses)])).len(), 1);
        assert_eq!(check(&repository(&[("crates/diagnostics/pages/E0101.md", good)])).len(), 1);
        let twice = repository(&[
            ("crates/diagnostics/pages/E0101.md", good),
            ("crates/a/src/lib.rs", uses),
            ("crates/b/src/lib.rs", uses),
        ]);
        assert_eq!(check(&twice).len(), 1);
    }
}
