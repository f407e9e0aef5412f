//! What names a counter, and what a record says of one.

use crate::unit::Unit;
use crate::window::Window;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A counter: a rule's name and the scope it counts for. Unit and window belong to it, so that a rule that begins to
/// count something else begins with nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterId {
    #[serde(with = "text")]
    pub rule: Arc<str>,
    pub unit: Unit,
    pub window: Window,
    /// `project=demo,model=chat`; empty for the whole site.
    #[serde(with = "text")]
    pub scope: Arc<str>,
}

/// What one request holds on one counter: as it is written into its admitting record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub counter: CounterId,
    pub slot: u64,
    pub amount: u64,
}

/// A shared text as text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

/// Appends `name=value`, so that different values never give the same text.
pub(crate) fn push_part(key: &mut String, name: &str, value: Option<&str>) {
    if !key.is_empty() {
        key.push(',');
    }
    push_escaped(key, name);
    // Without a value there is no `=`: absent is not the same as empty.
    if let Some(value) = value {
        key.push('=');
        push_escaped(key, value);
    }
}

fn push_escaped(key: &mut String, text: &str) {
    if text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'=' | b'%')) {
        key.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            ',' | '=' | '%' | ' ' => {
                key.push('%');
                key.push_str(match c {
                    ',' => "2C",
                    '=' => "3D",
                    '%' => "25",
                    _ => "20",
                });
            }
            c if c.is_control() => key.extend(c.escape_unicode().map(|c| if c == '\\' { '%' } else { c })),
            c => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn different_scopes_have_different_keys(a in prop::collection::vec(prop::option::of(".{0,4}"), 2), b in prop::collection::vec(prop::option::of(".{0,4}"), 2)) {
            let key = |parts: &[Option<String>]| {
                let mut key = String::new();
                parts.iter().for_each(|part| push_part(&mut key, "k", part.as_deref()));
                key
            };
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }
}
