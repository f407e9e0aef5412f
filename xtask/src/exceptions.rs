//! `xtask/exceptions.txt`: the findings that stand, each with its reason. A line that excuses nothing is itself one.

use crate::repository::{Finding, Repository};

const PATH: &str = "xtask/exceptions.txt";
const RULE: &str = "exception";

/// `rule path reason…`; `needle` in `rule:needle` must occur in the message.
struct Exception<'a> {
    line: usize,
    rule: &'a str,
    needle: &'a str,
    path: &'a str,
    reason: &'a str,
}

pub(crate) fn apply(repository: &Repository, findings: Vec<Finding>) -> Vec<Finding> {
    repository.file(PATH).map_or(findings.clone(), |file| filter(&file.text, findings))
}

fn filter(text: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let exceptions: Vec<Exception<'_>> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(i, line)| parse(i + 1, line))
        .collect();
    let excuses = |exception: &Exception<'_>, finding: &Finding| {
        exception.rule == finding.rule
            && exception.path == finding.path
            && finding.message.contains(exception.needle)
    };
    let mut left: Vec<Finding> = Vec::new();
    for exception in &exceptions {
        if exception.reason.len() < 10 {
            left.push(Finding::new(
                RULE,
                PATH,
                exception.line,
                "expected `rule path reason`, found no reason",
            ));
        } else if !findings.iter().any(|finding| excuses(exception, finding)) {
            left.push(Finding::new(RULE, PATH, exception.line, "excuses nothing any more: remove the line"));
        }
    }
    left.extend(
        findings
            .into_iter()
            .filter(|finding| !exceptions.iter().any(|exception| excuses(exception, finding))),
    );
    left
}

fn parse(line_number: usize, line: &str) -> Exception<'_> {
    let (rule, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (path, reason) = rest.trim().split_once(' ').unwrap_or((rest, ""));
    let (rule, needle) = rule.split_once(':').unwrap_or((rule, ""));
    Exception { line: line_number, rule, needle, path, reason: reason.trim() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_needs_a_reason_and_a_finding_it_excuses() {
        let finding = || vec![Finding::new("size", "a.rs", 1, "700 lines")];
        assert!(filter("size a.rs a table that reads best whole\n", finding()).is_empty());
        assert_eq!(filter("size a.rs\n", finding()).len(), 1);
        assert_eq!(filter("size b.rs a table that reads best whole\n", finding()).len(), 2);
    }
}
