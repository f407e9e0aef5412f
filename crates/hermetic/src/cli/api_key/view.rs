//! Keys as they are shown.

use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_ids::{ClearanceName, GroupName, KeyId, ProjectName, SubjectName, TeamName, WorkflowName};
use hermetic_metadata::ApiKeyRow;
use std::collections::BTreeMap;

/// A key, without its secret.
#[derive(Debug, serde::Serialize)]
pub(super) struct KeyView {
    pub(super) id: KeyId,
    pub(super) subject: SubjectName,
    pub(super) project: ProjectName,
    pub(super) team: TeamName,
    pub(super) workflow: WorkflowName,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    surfaces: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clearance: Option<ClearanceName>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    created: String,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    /// To the minute, and up to a minute late.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_from: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_to: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_by: Option<String>,
}

impl KeyView {
    pub(super) fn of(row: ApiKeyRow, now: UnixMillis) -> Self {
        let state = match (row.revoked_unix_ms, row.expires_unix_ms, row.rotated_to) {
            (Some(_), _, _) => "revoked",
            (None, Some(at), _) if at <= now => "expired",
            (None, _, Some(_)) => "rotated",
            (None, _, None) => "in force",
        };
        Self {
            id: row.id,
            subject: row.subject,
            project: row.project,
            team: row.team,
            workflow: row.workflow,
            state,
            surfaces: row.surfaces,
            models: row.models,
            groups: row.groups,
            clearance: row.clearance,
            metadata: row.metadata,
            created: rfc3339(row.created_unix_ms),
            created_by: row.created_by,
            expires: row.expires_unix_ms.map(rfc3339),
            last_used: row.last_used_unix_ms.map(rfc3339),
            rotated_from: row.rotated_from,
            rotated_to: row.rotated_to,
            revoked: row.revoked_unix_ms.map(rfc3339),
            revoked_by: row.revoked_by,
        }
    }

    /// One line, and under it what the key is limited to, where it is.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { id, subject, project, team, workflow, state, expires, .. } = self;
        let until = expires.as_deref().unwrap_or("never expires");
        let used = self.last_used.as_deref().unwrap_or("never");
        let mut lines = vec![format!(
            "{id}  {state:<8} {subject}  {project} / {team} / {workflow}  {until}  last used {used}"
        )];
        let mut more = Vec::new();
        let mut add = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                more.push(format!("{name} {}", values.join(", ")));
            }
        };
        add("surfaces", self.surfaces.clone());
        add("models", self.models.clone());
        add("groups", self.groups.iter().map(ToString::to_string).collect());
        add("clearance", self.clearance.iter().map(ToString::to_string).collect());
        add("metadata", self.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect());
        add("succeeds", self.rotated_from.iter().map(ToString::to_string).collect());
        add("succeeded by", self.rotated_to.iter().map(ToString::to_string).collect());
        if !more.is_empty() {
            lines.push(format!("    {}", more.join("; ")));
        }
        lines
    }
}

/// A key just made, with its secret.
#[derive(Debug, serde::Serialize)]
pub(super) struct CreatedView {
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) about: KeyView,
    pub(super) leaf: u64,
}

impl CreatedView {
    pub(super) fn lines(&self) -> Vec<String> {
        let about = &self.about;
        vec![
            self.key.clone(),
            format!("  id       {}", about.id),
            format!("  for      {} ({} / {} / {})", about.subject, about.project, about.team, about.workflow),
            format!("  expires  {}", about.expires.as_deref().unwrap_or("never")),
            format!("  recorded as leaf {}; the key is shown this once and kept nowhere", self.leaf),
        ]
    }
}

/// A key that took another's place.
#[derive(Debug, serde::Serialize)]
pub(super) struct RotatedView {
    #[serde(flatten)]
    pub(super) created: CreatedView,
    /// Until when the old key works as well.
    pub(super) overlap_until: String,
}

/// A key just revoked.
#[derive(Debug, serde::Serialize)]
pub(super) struct RevokedView {
    pub(super) id: KeyId,
    pub(super) leaf: u64,
}
