//! Writing a request in other words. Texts and schemas are the caller's bytes, never decoded.

use crate::facts::RequestMistake;
use crate::reading::{Json, Place, Words};
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A string.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    /// As the caller wrote it.
    Written(Json<'a>),
    /// Pieces of what the caller wrote, without quotes and still escaped, and ASCII of ours that needs no escaping.
    Joined(Vec<&'a str>),
    /// The text of a value, said as a string.
    Encoded(Json<'a>),
    Ours(&'static str),
}

impl Text<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Written(json) => json.get() == "\"\"",
            Self::Joined(pieces) => pieces.iter().all(|piece| piece.is_empty()),
            Self::Encoded(json) => json.get().is_empty(),
            Self::Ours(text) => text.is_empty(),
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Written(json) => json.serialize(serializer),
            Self::Joined(pieces) => {
                let quoted = format!("\"{}\"", pieces.concat());
                RawValue::from_string(quoted).map_err(S::Error::custom)?.serialize(serializer)
            }
            Self::Encoded(json) => serializer.serialize_str(json.get()),
            Self::Ours(text) => serializer.serialize_str(text),
        }
    }
}

/// A request under way: its fields, in the order they were put. `V` is what a field may be.
#[derive(Debug)]
pub(crate) struct Request<'a, V> {
    words: Words,
    fields: Vec<(Cow<'a, str>, V)>,
}

impl<'a, V: Serialize> Request<'a, V> {
    pub(crate) fn new(words: Words) -> Self {
        Self { words, fields: Vec::with_capacity(12) }
    }

    /// Sets a field. One thing said twice, in the words of two surfaces, could be read either way.
    pub(crate) fn put(&mut self, name: impl Into<Cow<'a, str>>, value: V) -> Result<(), RequestMistake> {
        let name = name.into();
        if self.fields.iter().any(|(known, _)| *known == name) {
            return Err(Place::Body(self.words).field(&name).refuse("what another field says already"));
        }
        self.fields.push((name, value));
        Ok(())
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        // The only errors are values that are not JSON, and all of these were read from JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<V: Serialize> Serialize for Request<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Names and values as the object they were read from.
#[derive(Debug)]
pub(crate) struct Pairs<'a>(pub(crate) Vec<(Cow<'a, str>, Json<'a>)>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
