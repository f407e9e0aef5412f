//! The proof that a caller is known, and all that is known of it.

use crate::scopes::Scopes;
use hermetic_ids::{ClearanceName, GroupName};
use hermetic_ledger::record::{Credential, Extent, Owner};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Proof that a request came with a credential that was in force. Minted by this crate alone; cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Caller>);

#[derive(Debug)]
struct Caller {
    credential: Credential,
    grants: Grants,
    /// The metadata of the grants, as decisions take it.
    metadata_pairs: Vec<(String, String)>,
}

/// What a credential says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// On whose behalf.
    pub owner: Owner,
    /// Sorted, each once.
    pub groups: Vec<GroupName>,
    pub clearance: Option<ClearanceName>,
    pub scopes: Scopes,
    /// Whatever else limits and reports may go by.
    pub metadata: BTreeMap<MetadataName, MetadataValue>,
}

impl Grants {
    /// An owner and nothing else.
    pub fn of(owner: Owner) -> Self {
        Self {
            owner,
            groups: Vec::new(),
            clearance: None,
            scopes: Scopes::default(),
            metadata: BTreeMap::new(),
        }
    }

    /// What of it is written into records, beside the owner.
    pub fn extent(&self) -> Extent {
        Extent {
            surfaces: self.scopes.surfaces.iter().map(|surface| surface.as_str().to_owned()).collect(),
            models: self.scopes.models.iter().map(ToString::to_string).collect(),
            groups: self.groups.clone(),
            clearance: self.clearance.clone(),
            metadata: self
                .metadata
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        }
    }
}

impl Authenticated {
    pub(crate) fn new(credential: Credential, mut grants: Grants) -> Self {
        grants.groups.sort_unstable();
        grants.groups.dedup();
        let pairs = grants.metadata.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let metadata_pairs = pairs.collect();
        Self(Arc::new(Caller { credential, grants, metadata_pairs }))
    }

    pub fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// [`Self::metadata`] as texts, sorted by name.
    pub fn metadata_pairs(&self) -> &[(String, String)] {
        &self.0.metadata_pairs
    }

    pub fn owner(&self) -> &Owner {
        &self.0.grants.owner
    }

    /// Sorted, each once.
    pub fn groups(&self) -> &[GroupName] {
        &self.0.grants.groups
    }

    pub fn clearance(&self) -> Option<&ClearanceName> {
        self.0.grants.clearance.as_ref()
    }

    pub fn scopes(&self) -> &Scopes {
        &self.0.grants.scopes
    }

    pub fn metadata(&self) -> &BTreeMap<MetadataName, MetadataValue> {
        &self.0.grants.metadata
    }

    /// What the credential is limited to, and what else is known of its holder.
    pub fn extent(&self) -> Extent {
        self.0.grants.extent()
    }
}

/// Why a text is neither a name nor a value of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataTextError {
    #[error("expected a metadata name of 1 to {NAME_MAX} letters, digits, `.`, `_` and `-`")]
    Name,
    #[error("expected a metadata value of 1 to {VALUE_MAX} bytes without control characters")]
    Value,
}

/// As long as a label of Kubernetes, which is what sites will copy here.
const NAME_MAX: usize = 63;
/// Values are carried in every decision; a record has room for a few of this length.
const VALUE_MAX: usize = 256;

macro_rules! texts {
    ($($(#[$doc:meta])* $type:ident, $error:ident, $fits:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = MetadataTextError;

            fn from_str(text: &str) -> Result<Self, MetadataTextError> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.to_owned())) } else { Err(MetadataTextError::$error) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

texts! {
    /// The name of a piece of metadata: `cost-centre`.
    MetadataName, Name, |text| {
        (1..=NAME_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    /// Its value.
    MetadataValue, Value, |text| (1..=VALUE_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
}
