//! `hermetic policy test`: what the authors of policies expect of them, asked.
//!
//! ```yaml
//! defaults: { project: claims, team: claims, workflow: triage, subject: alice, model: smollm2 }
//! cases:
//!   - name: contractors may not generate
//!     ask: { subject: ext-bob }
//!     expect: deny
//!     by: [contractors-may-not-generate]
//! ```

use super::question::Stated;
use super::{PolicyError, RevisionView, Site};
use crate::cli::Context;
use hermetic_bounded_io::{EntryKind, list_folder, read_text_capped};
use hermetic_diagnostics::{Diagnose, Report};
use hermetic_policy::Policies;
use hermetic_policy_folder::{ENTRIES_MAX, FILE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default)]
    defaults: Stated,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    ask: Stated,
    expect: Answer,
    /// Ids of exactly the policies that decide; not compared when it is left out.
    by: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Allow,
    Deny,
}

/// What came of all cases.
#[derive(Debug, Serialize)]
struct Tested {
    folder: PathBuf,
    files: usize,
    cases: usize,
    failed: Vec<Failure>,
    revision: RevisionView,
}

#[derive(Debug, Serialize)]
struct Failure {
    file: String,
    case: String,
    expected: Decision,
    found: Decision,
}

#[derive(Debug, Serialize)]
struct Decision {
    answer: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

pub(super) fn run(site: &Site, context: &Context) -> Result<(), Report> {
    let policies = site.policies()?;
    let fail = |source| PolicyError::Tests { path: site.folder.clone(), source };
    let entries = list_folder(&site.folder, ENTRIES_MAX).map_err(fail)?;
    let is_test = |name: &str| name.ends_with(".test.yaml") || name.ends_with(".test.yml");
    let mut tested = Tested {
        folder: site.folder.clone(),
        files: 0,
        cases: 0,
        failed: Vec::new(),
        revision: RevisionView::of(policies.revision()),
    };
    for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File && is_test(&entry.name)) {
        let TestFile { defaults, cases } = read(&site.folder.join(&entry.name))?;
        tested.files += 1;
        tested.cases += cases.len();
        for case in cases {
            tested.failed.extend(ask(&policies, (&site.folder, &entry.name), &defaults, case)?);
        }
    }
    context.out.result(&tested, |tested| lines(tested, &policies));
    match tested.failed.len() {
        0 => Ok(()),
        failed => Err(PolicyError::Failed { failed, cases: tested.cases }.into()),
    }
}

fn read(path: &Path) -> Result<TestFile, PolicyError> {
    let text = read_text_capped(path, FILE_BYTES_MAX)
        .map_err(|source| PolicyError::Tests { path: path.to_owned(), source })?;
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
    };
    serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| PolicyError::Malformed { path: path.to_owned(), detail: error.to_string() })
}

/// The failure, if the case is not decided as it says.
fn ask(
    policies: &Policies,
    (folder, file): (&Path, &str),
    defaults: &Stated,
    case: Case,
) -> Result<Option<Failure>, PolicyError> {
    let malformed = |error: PolicyError| PolicyError::Malformed {
        path: folder.join(file),
        detail: format!("case `{}`: {error}", case.name),
    };
    let asked = case.ask.clone().or(defaults).complete().map_err(malformed)?;
    let found = match policies.decide(&asked.question()) {
        Ok(permit) => Decision { answer: Answer::Allow, by: Some(permit.policies().to_vec()), code: None },
        Err(refusal) => Decision {
            answer: Answer::Deny,
            by: Some(refusal.policies().to_vec()),
            code: Some(refusal.code().as_str()),
        },
    };
    let by = case.by.map(|mut by| {
        by.sort_unstable();
        by
    });
    let as_expected = found.answer == case.expect && (by.is_none() || by == found.by);
    let expected = Decision { answer: case.expect, by, code: None };
    Ok((!as_expected).then(|| Failure { file: file.to_owned(), case: case.name, expected, found }))
}

fn lines(tested: &Tested, policies: &Policies) -> Vec<String> {
    let mut lines = Vec::new();
    for failure in &tested.failed {
        lines.push(format!("{}: {}", failure.file, failure.case));
        lines.push(format!("  - expected  {}", decision(&failure.expected, policies)));
        lines.push(format!("  + found     {}", decision(&failure.found, policies)));
    }
    let Tested { files, cases, .. } = tested;
    let failed = tested.failed.len();
    lines.push(match (*cases, failed) {
        (0, _) => {
            format!("{}: no test cases; they stand in files called *.test.yaml", tested.folder.display())
        }
        (cases, 0) => format!("{cases} cases in {files} files, all decided as they say"),
        (cases, failed) => format!("{cases} cases in {files} files, {failed} decided otherwise"),
    });
    lines
}

fn decision(decision: &Decision, policies: &Policies) -> String {
    let answer = if decision.answer == Answer::Allow { "allow" } else { "deny " };
    let place = |id: &String| match policies.text_of(id) {
        Some(text) => format!("{id} ({}:{})", text.file, text.line),
        None => format!("{id} (there is no such policy)"),
    };
    match &decision.by {
        None => answer.trim_end().to_owned(),
        Some(by) if by.is_empty() => format!("{answer}  by no policy: nothing permits it"),
        Some(by) => format!("{answer}  by {}", by.iter().map(place).collect::<Vec<_>>().join(", ")),
    }
}
