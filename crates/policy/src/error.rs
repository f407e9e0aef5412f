//! Why a policy folder cannot be put in force.

use hermetic_diagnostics::{Code, Diagnose};
use std::fmt;

/// One mistake, where it is, and what Cedar says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// From 1; absent when Cedar gives no position.
    pub position: Option<(usize, usize)>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("expected Cedar policies, found {} mistake(s):{}", .0.len(), listed(.0))]
    Syntax(Vec<Mistake>),
    #[error("expected policies that fit Hermetic's schema, found {} mistake(s):{}", .0.len(), listed(.0))]
    Invalid(Vec<Mistake>),
    #[error("expected every policy id once, found `{id}` in {first} and in {second}")]
    DuplicateId { id: String, first: String, second: String },
    #[error("expected plain policies, found the template `{id}` in {file}")]
    Template { id: String, file: String },
    #[error("expected at most {max} policies, found {found}")]
    TooMany { max: usize, found: usize },
    #[error("the schema inside this binary does not parse: {detail}")]
    Schema { detail: String },
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect()
}

impl Diagnose for LoadError {
    fn code(&self) -> Code {
        match self {
            Self::Syntax(_) => Code::new("E0910"),
            Self::Invalid(_) => Code::new("E0911"),
            Self::DuplicateId { .. } | Self::Template { .. } | Self::TooMany { .. } => Code::new("E0912"),
            Self::Schema { .. } => Code::new("E0913"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax(_) => None,
            Self::Invalid(_) => Some("the schema is printed by `hermetic explain E0911`".to_owned()),
            Self::DuplicateId { .. } => Some("give one of the two policies another @id(\"…\")".to_owned()),
            Self::Template { .. } => {
                Some("write the policy out without `?principal` and `?resource`".to_owned())
            }
            Self::TooMany { .. } | Self::Schema { .. } => None,
        }
    }
}
