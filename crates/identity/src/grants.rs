//! From what an issuer or a certificate says to what the holder is granted.

use crate::authenticated::{Grants, MetadataName};
use crate::scopes::Scopes;
use crate::template::Template;
use hermetic_ids::GroupName;
use hermetic_ledger::record::Owner;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Most groups one credential may bring: each is weighed by every policy.
pub const GROUPS_MAX: usize = 256;

/// How the names that records and policies go by are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRules {
    pub subject: Template,
    pub project: Template,
    pub team: Template,
    pub workflow: Template,
    /// Groups everybody under this rule is in.
    pub groups: Vec<GroupName>,
    /// The claim that lists further groups; certificates have none.
    pub groups_claim: Option<String>,
    /// Without a value: no clearance.
    pub clearance: Option<Template>,
    /// Without a value: that piece is left out.
    pub metadata: Vec<(MetadataName, Template)>,
    pub scopes: Scopes,
}

/// Why no grants come of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error("expected `{place}`, from which the {what} is made, found none")]
    Missing { what: &'static str, place: String },
    #[error("expected what makes up the {what} to be one ({reason})")]
    Unfit { what: &'static str, reason: String },
    #[error("expected at most {GROUPS_MAX} groups, found {found}")]
    TooManyGroups { found: usize },
}

impl GrantRules {
    /// Applies the rules to what somebody's credential says.
    pub(crate) fn apply(
        &self,
        value: &dyn Fn(&str) -> Option<String>,
        groups: Vec<String>,
    ) -> Result<Grants, GrantError> {
        let owner = Owner {
            subject: required("subject", &self.subject, value)?,
            project: required("project", &self.project, value)?,
            team: required("team", &self.team, value)?,
            workflow: required("workflow", &self.workflow, value)?,
        };
        let found = groups.len() + self.groups.len();
        if found > GROUPS_MAX {
            return Err(GrantError::TooManyGroups { found });
        }
        let mut all = self.groups.clone();
        for group in groups {
            // Some directories write groups as paths from a root.
            all.push(read("group", group.strip_prefix('/').unwrap_or(&group))?);
        }
        let clearance = match &self.clearance {
            Some(template) => optional("clearance", template, value)?,
            None => None,
        };
        let mut metadata = BTreeMap::new();
        for (name, template) in &self.metadata {
            if let Some(value) = optional("metadata", template, value)? {
                metadata.insert(name.clone(), value);
            }
        }
        Ok(Grants { owner, groups: all, clearance, scopes: self.scopes.clone(), metadata })
    }
}

fn required<T: FromStr<Err: std::fmt::Display>>(
    what: &'static str,
    template: &Template,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<T, GrantError> {
    let text =
        template.fill(value).map_err(|unfilled| GrantError::Missing { what, place: unfilled.place })?;
    read(what, &text)
}

fn optional<T: FromStr<Err: std::fmt::Display>>(
    what: &'static str,
    template: &Template,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<T>, GrantError> {
    template.fill(value).ok().map(|text| read(what, &text)).transpose()
}

fn read<T: FromStr<Err: std::fmt::Display>>(what: &'static str, text: &str) -> Result<T, GrantError> {
    text.parse().map_err(|error: T::Err| GrantError::Unfit { what, reason: error.to_string() })
}
