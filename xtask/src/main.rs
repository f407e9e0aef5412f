//! The repository polices itself: `cargo xtask tidy` and `cargo xtask docs`.
//!
//! What it is for: rules that the compiler and clippy cannot hold (which crate may know which, that every error code
//! has a page, that generated pages are fresh), each with a message that names file and line. `tidy` also runs as a
//! test of this crate, so `make test` holds the rules too. What it must not know: how the product works.
//!
//! Exceptions are lines in `xtask/exceptions.txt`, each with its reason; the list may only shrink.

#![expect(
    clippy::disallowed_methods,
    reason = "reads and writes this repository, not what a user hands over"
)]

use anyhow::{Context, bail};
use std::io::Write;
use std::process::ExitCode;

mod codes;
mod documents;
mod edges;
mod exceptions;
mod forbidden;
mod generated;
mod manifests;
mod repository;
mod sources;

use repository::{Finding, Repository};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let repository = Repository::open()?;
    match words.as_slice() {
        ["tidy"] => Ok(report(&tidy(&repository)?)),
        ["docs"] => {
            let mut out = std::io::stdout().lock();
            for path in generated::write(&repository)? {
                writeln!(out, "wrote {path}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ["docs", "--check"] => Ok(report(&generated::check(&repository))),
        _ => bail!("expected `tidy`, `docs` or `docs --check`, found `{}`", words.join(" ")),
    }
}

/// Every rule, over the whole repository.
fn tidy(repository: &Repository) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(edges::check(repository).context("crate edges")?);
    findings.extend(manifests::check(repository));
    findings.extend(sources::check(repository));
    findings.extend(codes::check(repository));
    findings.extend(forbidden::check(repository));
    findings.extend(documents::check(repository));
    findings.extend(generated::check(repository));
    Ok(exceptions::apply(repository, findings))
}

fn report(findings: &[Finding]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        let _ = writeln!(out, "{finding}");
    }
    let _ = match findings.len() {
        0 => writeln!(out, "tidy"),
        n => writeln!(out, "{n} finding(s)"),
    };
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = tidy(&Repository::open().unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
