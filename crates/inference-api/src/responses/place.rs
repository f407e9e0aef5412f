//! Values of a request with the place they stand at, and JSON made of such values.
//!
//! Invariant: an object is read by taking the fields one understands; [`Fields::end`] refuses the ones nobody took.

use crate::facts::{Object, RequestMistake, kind_of};
use crate::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Where a value stands, as a person would write it: `input[2].content[0].type`.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Top,
    Key(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Key(Path::Top, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value of the request and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a, 'p> {
    pub(super) raw: &'a [u8],
    pub(super) path: Path<'p>,
}

impl<'a> Place<'a, '_> {
    /// The string as it was written, with its quotes.
    pub(super) fn string(&self) -> Result<&'a [u8], RequestMistake> {
        if self.raw.starts_with(b"\"") { Ok(self.raw) } else { Err(self.wrong("a string")) }
    }

    /// A string that names something, as it reads.
    pub(super) fn word(&self) -> Result<Cow<'a, str>, RequestMistake> {
        json::decode_string(self.raw).ok_or_else(|| self.wrong("a string"))
    }

    pub(super) fn boolean(&self) -> Result<bool, RequestMistake> {
        match self.raw {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    pub(super) fn count(&self) -> Result<u64, RequestMistake> {
        serde_json::from_slice(self.raw).map_err(|_| self.wrong("a whole number, zero or more"))
    }

    /// A number as it was written.
    pub(super) fn number(&self) -> Result<&'a [u8], RequestMistake> {
        if kind_of(self.raw) == "a number" { Ok(self.raw) } else { Err(self.wrong("a number")) }
    }

    pub(super) fn list(&self) -> Result<Vec<&'a [u8]>, RequestMistake> {
        let items: Vec<&'a RawValue> =
            serde_json::from_slice(self.raw).map_err(|_| self.wrong("an array"))?;
        Ok(items.into_iter().map(|item| item.get().as_bytes()).collect())
    }

    pub(super) fn fields<'q>(&'q self) -> Result<Fields<'a, 'q>, RequestMistake> {
        if !self.raw.starts_with(b"{") {
            return Err(self.wrong("an object"));
        }
        Fields::read(self.raw, &self.path)
    }

    /// The mistake of asking for what cannot be said. Shows a word, but nothing longer: it may be content.
    pub(super) fn refuse(&self) -> RequestMistake {
        let word = json::decode_string(self.raw).filter(|word| word.len() <= 64);
        let found = word.map_or_else(|| kind_of(self.raw).to_owned(), |word| format!("`{word}`"));
        RequestMistake::Untranslatable { path: self.path.to_string(), found }
    }

    /// As [`Place::refuse`], for values that are content.
    pub(super) fn refuse_unshown(&self) -> RequestMistake {
        let found = kind_of(self.raw).to_owned();
        RequestMistake::Untranslatable { path: self.path.to_string(), found }
    }

    pub(super) fn wrong(&self, expected: &'static str) -> RequestMistake {
        RequestMistake::TypeAt { path: self.path.to_string(), expected, found: kind_of(self.raw) }
    }
}

struct Field<'a> {
    key: Cow<'a, str>,
    /// The key as it was written, with its quotes.
    quoted: &'a [u8],
    value: &'a [u8],
}

/// The fields of an object that nobody has taken yet.
pub(super) struct Fields<'a, 'p> {
    fields: Vec<Field<'a>>,
    path: &'p Path<'p>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// Fails where the bytes are not an object, or hold a key twice.
    pub(super) fn read(bytes: &'a [u8], path: &'p Path<'p>) -> Result<Self, RequestMistake> {
        let members = json::members(bytes).map_err(RequestMistake::Json)?;
        let object = Object::new(bytes, &members)?;
        let quoted: Vec<&[u8]> = members.iter().map(|member| object.raw(&member.key)).collect();
        let values: Vec<&[u8]> = members.iter().map(|member| object.raw(&member.value)).collect();
        let keys = object.members.into_iter().map(|(key, _)| key);
        let fields = keys.zip(quoted).zip(values);
        let fields = fields.map(|((key, quoted), value)| Field { key, quoted, value }).collect();
        Ok(Self { fields, path })
    }

    /// Takes a field; `None` where it is not there or null, which means the same all over this API.
    pub(super) fn take(&mut self, key: &'p str) -> Option<Place<'a, 'p>> {
        let at = self.fields.iter().position(|field| field.key == key)?;
        let raw = self.fields.remove(at).value;
        (raw != b"null").then_some(Place { raw, path: Path::Key(self.path, key) })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }

    /// Takes a field that has to be there.
    pub(super) fn need(
        &mut self,
        key: &'p str,
        expected: &'static str,
    ) -> Result<Place<'a, 'p>, RequestMistake> {
        let path = Path::Key(self.path, key);
        self.take(key).ok_or_else(|| Place { raw: b"", path }.wrong(expected))
    }

    /// Takes fields that say nothing an engine has to hear.
    pub(super) fn drop_all(&mut self, keys: &[&str]) {
        self.fields.retain(|field| !keys.contains(&&*field.key));
    }

    /// The fields that are left must say nothing.
    pub(super) fn end(self) -> Result<(), RequestMistake> {
        let said = self.fields.iter().find(|field| field.value != b"null");
        said.map_or(Ok(()), |field| {
            let key: String = field.key.chars().take(64).collect();
            Err(Place { raw: field.value, path: Path::Key(self.path, &key) }.refuse_unshown())
        })
    }

    /// What is left: the key as it reads, the key as it was written, the value.
    pub(super) fn left(&self) -> impl Iterator<Item = (&str, &'a [u8], &'a [u8])> {
        self.fields.iter().map(|field| (&*field.key, field.quoted, field.value))
    }
}

/// An object being written; values are JSON already.
pub(super) struct ObjectText(Vec<u8>);

impl ObjectText {
    pub(super) fn new() -> Self {
        Self(b"{".to_vec())
    }

    /// `key` is a name that needs no escapes.
    pub(super) fn member(self, key: &str, value: &[u8]) -> Self {
        self.quoted_member(format!("\"{key}\"").as_bytes(), value)
    }

    pub(super) fn quoted_member(mut self, quoted: &[u8], value: &[u8]) -> Self {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        for piece in [quoted, b":", value] {
            self.0.extend_from_slice(piece);
        }
        self
    }

    pub(super) fn maybe(self, key: &str, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.member(key, value),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// An array of values that are JSON already.
pub(super) fn array_text(items: &[Vec<u8>]) -> Vec<u8> {
    [b"[", items.join(&b',').as_slice(), b"]"].concat()
}

/// One string of several as they were written: escapes stay as they are.
pub(super) fn joined_strings(strings: &[&[u8]]) -> Vec<u8> {
    let texts: Vec<&[u8]> = strings.iter().map(|raw| inside(raw)).collect();
    [b"\"", texts.concat().as_slice(), b"\""].concat()
}

/// A string without its quotes.
fn inside(raw: &[u8]) -> &[u8] {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}
