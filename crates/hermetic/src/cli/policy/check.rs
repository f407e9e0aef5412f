//! `hermetic policy check`.

use super::{RevisionView, Site};
use crate::cli::Context;
use hermetic_diagnostics::Report;

/// What is said of a sound folder.
#[derive(Debug, serde::Serialize)]
struct Checked {
    folder: std::path::PathBuf,
    policies: usize,
    levels: Vec<String>,
    warnings: Vec<Warning>,
    revision: RevisionView,
}

#[derive(Debug, serde::Serialize)]
struct Warning {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
}

pub(super) fn run(site: &Site, context: &Context) -> Result<(), Report> {
    let policies = site.policies()?;
    let warning = |mistake: &hermetic_policy::Mistake| Warning {
        file: mistake.file.clone(),
        line: mistake.position.map(|(line, _)| line),
        column: mistake.position.map(|(_, column)| column),
        message: mistake.message.clone(),
    };
    let checked = Checked {
        folder: site.folder.clone(),
        policies: policies.len(),
        levels: site.levels.names().iter().map(ToString::to_string).collect(),
        warnings: policies.warnings().iter().map(warning).collect(),
        revision: RevisionView::of(policies.revision()),
    };
    context.out.result(&checked, |checked| {
        let mut lines: Vec<String> =
            policies.warnings().iter().map(|warning| format!("warning: {warning}")).collect();
        lines.push(format!("{}: {} policies, no mistakes", checked.folder.display(), checked.policies));
        if site.config.is_none() {
            lines.push("levels     those of the default: there is no configuration".to_owned());
        } else {
            lines.push(format!("levels     {}", checked.levels.join(" < ")));
        }
        lines.push(format!("digest     {}", checked.revision.line()));
        lines
    });
    Ok(())
}
