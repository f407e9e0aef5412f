//! What rules look at.

/// What is known of a request before it is reserved for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub subject: &'a str,
    pub team: &'a str,
    pub project: &'a str,
    pub workflow: &'a str,
    /// The credential's public half.
    pub key: &'a str,
    pub model: &'a str,
    pub surface: &'a str,
    /// What the caller says about the request itself. Only the keys in [`crate::RuleSet::metadata_keys`] are looked at.
    pub metadata: &'a [(String, String)],
}

impl<'a> Facts<'a> {
    pub(crate) fn metadata(&self, key: &str) -> Option<&'a str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}
