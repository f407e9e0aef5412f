//! Reads the policy folder; what it says is the policy crate's business.

use super::error::ServeError;
use hermetic_bounded_io::{EntryKind, list_folder, read_text_capped};
use hermetic_diagnostics::Report;
use hermetic_policy::{Policies, PolicyFile};
use std::path::Path;

/// Most files in a policy folder: one per team of a large house.
const FILES_MAX: usize = 1_000;
/// Largest policy file: thousands of policies.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Loads every `*.cedar` file of the folder. Without a folder there are no policies, and nothing is permitted.
pub(crate) fn load(folder: Option<&Path>) -> Result<Policies, Report> {
    let mut files = Vec::new();
    if let Some(folder) = folder {
        let fail = |source| ServeError::Policies { folder: folder.to_owned(), source };
        for entry in list_folder(folder, FILES_MAX).map_err(fail)? {
            if entry.kind == EntryKind::File && entry.name.ends_with(".cedar") {
                let text = read_text_capped(&folder.join(&entry.name), FILE_BYTES_MAX).map_err(fail)?;
                files.push(PolicyFile { name: entry.name, text });
            }
        }
    }
    Ok(Policies::load(&files)?)
}
