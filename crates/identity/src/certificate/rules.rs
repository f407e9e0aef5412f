//! Which certificate stands for whom.

use crate::authenticated::Authenticated;
use crate::certificate::error::{CertificateError, CertificateRefusal};
use crate::certificate::facts::CertificateFacts;
use crate::grants::GrantRules;
use std::str::FromStr;

/// One rule: which certificates it is about, and whom they stand for.
#[derive(Debug, Clone)]
pub struct CertificateRule {
    pub conditions: Vec<Condition>,
    pub grants: GrantRules,
}

/// What must be in a certificate. All conditions of a rule must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub field: Field,
    pub pattern: Pattern,
}

/// The parts of a certificate that rules go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Dns,
    Uri,
    Email,
    Upn,
    CommonName,
    Organization,
    OrganizationalUnit,
    Policy,
}

/// A text in which one `*` may stand for any text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    /// What follows the star; `None`: there is no star.
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a text of 1 to 512 bytes with at most one `*`")]
pub struct PatternError;

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > 512 || text.matches('*').count() > 1 {
            return Err(PatternError);
        }
        Ok(match text.split_once('*') {
            Some((before, after)) => Self { before: before.to_owned(), after: Some(after.to_owned()) },
            None => Self { before: text.to_owned(), after: None },
        })
    }
}

impl Pattern {
    /// What the star stands for in `text`; the whole text without one. `None`: no match.
    fn matched<'t>(&self, text: &'t str) -> Option<&'t str> {
        match &self.after {
            None => (text == self.before).then_some(text),
            Some(after) => {
                let star = text.strip_prefix(self.before.as_str())?.strip_suffix(after.as_str())?;
                (!star.is_empty()).then_some(star)
            }
        }
    }
}

impl Field {
    fn values(self, facts: &CertificateFacts) -> &[String] {
        match self {
            Self::Dns => &facts.dns,
            Self::Uri => &facts.uris,
            Self::Email => &facts.emails,
            Self::Upn => &facts.upns,
            Self::CommonName => &facts.common_names,
            Self::Organization => &facts.organizations,
            Self::OrganizationalUnit => &facts.organizational_units,
            Self::Policy => &facts.policies,
        }
    }

    /// As templates name it.
    pub fn place(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Upn => "upn",
            Self::CommonName => "cn",
            Self::Organization => "o",
            Self::OrganizationalUnit => "ou",
            Self::Policy => "policy",
        }
    }

    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Uri,
        Self::Email,
        Self::Upn,
        Self::CommonName,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::Policy,
    ];
}

/// The rules of a site, in order: the first that matches decides.
#[derive(Debug, Clone, Default)]
pub struct CertificateRules(Vec<CertificateRule>);

/// What a rule's conditions found: the value each field matched with, and the first star.
struct Matched<'f> {
    values: Vec<(Field, &'f str)>,
    star: Option<&'f str>,
}

impl CertificateRules {
    pub fn new(rules: Vec<CertificateRule>) -> Self {
        Self(rules)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a certificate whose chain verified stands for.
    pub(crate) fn authenticate(&self, facts: &CertificateFacts) -> Result<Authenticated, CertificateError> {
        let refuse = |reason| CertificateError { reason, credential: Some(Box::new(facts.credential())) };
        let found = self.0.iter().find_map(|rule| Some((rule, rule.matches(facts)?)));
        let (rule, matched) = found.ok_or_else(|| refuse(CertificateRefusal::Unmapped))?;
        let grants = rule.grants.apply(&|place| matched.value(place, facts), Vec::new());
        let grants = grants.map_err(|error| refuse(CertificateRefusal::Grants(error)))?;
        Ok(Authenticated::new(facts.credential(), grants))
    }
}

impl CertificateRule {
    fn matches<'f>(&self, facts: &'f CertificateFacts) -> Option<Matched<'f>> {
        // A rule without a condition would map every certificate of the authority.
        if self.conditions.is_empty() {
            return None;
        }
        let mut matched = Matched { values: Vec::new(), star: None };
        for Condition { field, pattern } in &self.conditions {
            let values = field.values(facts).iter();
            let (value, star) = values.filter_map(|v| Some((v.as_str(), pattern.matched(v)?))).next()?;
            matched.values.push((*field, value));
            if pattern.after.is_some() {
                matched.star = matched.star.or(Some(star));
            }
        }
        Some(matched)
    }
}

impl Matched<'_> {
    /// The value a place of a template stands for.
    fn value(&self, place: &str, facts: &CertificateFacts) -> Option<String> {
        match place {
            "*" => self.star.map(str::to_owned),
            "serial" => Some(facts.serial.clone()),
            "fingerprint" => Some(hex::encode(facts.fingerprint.as_bytes())),
            _ => {
                let field = Field::ALL.into_iter().find(|field| field.place() == place)?;
                let matched = self.values.iter().find(|(of, _)| *of == field).map(|(_, value)| *value);
                matched.or_else(|| field.values(facts).first().map(String::as_str)).map(str::to_owned)
            }
        }
    }
}
