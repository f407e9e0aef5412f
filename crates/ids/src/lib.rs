//! Names and ids that cannot lie.
//!
//! What it is for: a type per kind of name, with a private field and one door (`FromStr`), so that a string that was
//! not checked cannot be where a name is expected. Deserialising goes through the same door.
//!
//! What it must not know: any API's wire format, SQL, HTTP, what a name refers to. A type enters only when more than
//! one crate needs it.
//!
//! Invariants: a name is never empty, never longer than [`NAME_BYTES_MAX`], never holds white space, control
//! characters, `..` or anything a shell, a path or a log line would read as something else. Ids are made from bytes
//! the caller drew: randomness is a parameter.

use std::fmt;
use std::str::FromStr;

mod model_kind;
mod name;
mod random;

pub use model_kind::{ModelKind, ModelKindError};
pub use name::{NAME_BYTES_MAX, NameError};
pub use random::{BatchId, FileId, IdError, KeyId, RequestId, ResponseId, TraceId};

use name::{Alphabet, check};

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident, $alphabet:expr, $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $what, $alphabet).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

names! {
    /// The name a model is asked for and registered by: `smollm2-135m-instruct`, `org/model:8b`.
    ModelName, Alphabet::Path, "model name";
    /// A release of the vendor's catalogue: `2026.11.1`.
    ReleaseVersion, Alphabet::Slug, "release version";
    /// Who answers for the money and the data: a project.
    ProjectName, Alphabet::Slug, "project name";
    /// The people of a project.
    TeamName, Alphabet::Slug, "team name";
    /// What the requests are for: `claims-triage`.
    WorkflowName, Alphabet::Slug, "workflow name";
    /// Whoever is asking, as the identity source names it: `alice`, `svc-claims@corp`.
    SubjectName, Alphabet::Subject, "subject name";
    /// A group the identity source puts somebody in: `analysts`, `CN=Claims Staff,OU=Groups,DC=corp`.
    GroupName, Alphabet::Group, "group name";
    /// What somebody is cleared to see, in the site's own words: `internal`, `secret`. Policies rank them.
    ClearanceName, Alphabet::Slug, "clearance";
    /// Where a promoted version stands: `staged`, `canary`, `production`.
    Label, Alphabet::Slug, "label";
    /// How grave it would be if data were seen by others: `internal`, `secret`.
    LevelName, Alphabet::Slug, "classification level";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_the_names_people_use() {
        for name in
            ["smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "org/model:8b", "gpt-4.1"]
        {
            assert!(name.parse::<ModelName>().is_ok(), "{name}");
        }
        assert!("svc-claims@corp.example".parse::<SubjectName>().is_ok());
    }

    #[test]
    fn rejects_names_that_would_read_as_something_else() {
        for name in ["", "a/../b", "/abs", "a//b", "a b", "a\nb", "a\u{202e}b", "-flag", "a/", "$(id)", "a\0"]
        {
            assert!(name.parse::<ModelName>().is_err(), "{name:?}");
        }
        assert!("a/b".parse::<ProjectName>().is_err());
        assert!("x".repeat(NAME_BYTES_MAX + 1).parse::<ProjectName>().is_err());
    }

    proptest! {
        #[test]
        fn whatever_parses_is_free_of_control_characters_and_dots_up(text in ".{0,60}") {
            if let Ok(name) = text.parse::<ModelName>() {
                prop_assert!(name.as_str().chars().all(|c| c.is_ascii_graphic()));
                prop_assert!(!name.as_str().contains(".."));
                prop_assert_eq!(serde_json::from_str::<ModelName>(&serde_json::to_string(&name).unwrap()).unwrap(), name);
            }
        }
    }
}
