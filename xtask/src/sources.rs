//! Shape of source files: a header that says what for, a name that says what, a length one can read.

use crate::repository::{File, Finding, Repository};

/// Names that say nothing about what is inside (`CONTRIBUTING.md`, "Names").
const EMPTY_NAMES: [&str; 13] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "core",
    "types",
    "misc",
    "manager",
    "processor",
    "sync",
    "payload",
    "mod",
];
const EMPTY_SUFFIXES: [&str; 4] = ["Manager", "Processor", "Helper", "Utils"];

/// Longest file without its tests.
const LINES_MAX: usize = 600;

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    let rust = repository.files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| {
        [header(file), name(file), length(file)].into_iter().flatten().chain(type_names(file))
    })
    .collect()
}

fn header(file: &File) -> Option<Finding> {
    let opens = file.text.trim_start().starts_with("//!");
    // The claims of an integration test are its names; its one binary, `tests/it.rs`, still says what it is against.
    let claims = file.path.contains("/tests/it/");
    (!opens && !claims)
        .then(|| Finding::new("header", &file.path, 1, "expected a `//!` header: what this is for"))
}

fn name(file: &File) -> Option<Finding> {
    let parts = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(Finding::new("name", &file.path, 1, format!("`{empty}` does not say what is inside")))
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.shipped_lines().count();
    let message =
        format!("expected at most {LINES_MAX} lines without tests, found {lines}: split by stage or noun");
    (lines > LINES_MAX).then(|| Finding::new("size", &file.path, 1, message))
}

fn type_names(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.shipped_lines() {
        let declared = ["struct ", "enum ", "trait "].iter().find_map(|keyword| {
            let rest = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            rest.strip_prefix(keyword)
        });
        let Some(declared) = declared else { continue };
        let name: String = declared.chars().take_while(|c| c.is_alphanumeric()).collect();
        if EMPTY_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            findings.push(Finding::new(
                "name",
                &file.path,
                number,
                format!("`{name}` does not say what it does"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_file_needs_a_header_a_telling_name_and_an_end() {
        assert!(
            header(&file("a.rs", "use x;\n")).is_some() && header(&file("a.rs", "//! For x.\n")).is_none()
        );
        assert!(
            name(&file("crates/a/src/utils.rs", "")).is_some()
                && name(&file("crates/a/src/blob.rs", "")).is_none()
        );
        assert!(length(&file("crates/a/src/b.rs", &"x\n".repeat(601))).is_some());
        assert!(
            length(&file(
                "crates/a/src/b.rs",
                &format!("x\n#[cfg(test)]\nmod tests {{\n{}", "x\n".repeat(900))
            ))
            .is_none()
        );
        assert_eq!(type_names(&file("crates/a/src/b.rs", "pub struct KeyManager {\n")).len(), 1);
    }
}
