//! What a policy decision rested on: the state of the policy folder, and every fact that policies can read and no other
//! field of the record holds. With them a record can be judged again under other policies.

use hermetic_digest::Digest;
use hermetic_ids::{GroupName, Label};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The facts of a request, of its caller and of its model. One that was not given is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearance: Option<String>,
    /// What the caller's credential says besides.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub principal_metadata: BTreeMap<String, String>,
    /// What the request's `metadata` says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How the caller classified the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFacts>,
}

/// What was known of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelFacts {
    /// `chat` or `embedding`.
    pub kind: String,
    /// `embedded`, `endpoint` or `mixed`.
    pub target: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The highest level of data it may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Facts {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The commit the policy files were checked out from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCommit {
    /// In hexadecimal digits, as Git prints it.
    pub id: String,
    /// The files are not those of the commit. Absent when they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
    /// Whether they are could not be found out. Absent when it could.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

/// Other policies were put in force while serving. Written before they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanged {
    pub from: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_commit: Option<PolicyCommit>,
    pub to: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_commit: Option<PolicyCommit>,
    /// How many policies there are now.
    pub policies: u64,
}
