//! Reading a request that is to be said in other words: values with the place each stands at.
//!
//! What it is for: a body is checked once, whole, and then taken apart level by level without being checked or copied
//! again; what is found wrong is named with its path, as in `messages[2].content[0].type`. What it must not know: any
//! surface.
//!
//! Invariant: an object is read by taking the fields one understands; [`Fields::end`] refuses those that nobody took.

mod fields;
mod skim;

pub(crate) use fields::Fields;
pub(crate) use skim::Json;

use crate::facts::{RequestMistake, kind_of};
use crate::json::{self, decode_string};
use std::borrow::Cow;
use std::fmt;

/// Longest name or word of a caller that a mistake repeats. What is longer may be content.
const SHOWN_MAX: usize = 64;

/// The words in which an engine is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    Chat,
    Messages,
    Responses,
}

/// Checks `body`, as strictly as [`crate::RequestFacts::read`] does, and gives the object it is.
pub(crate) fn request(body: &[u8], words: Words) -> Result<Placed<'_, 'static>, RequestMistake> {
    json::members(body).map_err(RequestMistake::Json)?;
    // Checked just now, as far as being text goes too.
    let text = std::str::from_utf8(body).unwrap_or_default();
    Ok(Placed { json: Json::checked(text), at: Place::Body(words) })
}

/// Where a value stands. A chain on the stack that is written out only for a mistake.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'p> {
    Body(Words),
    Field { of: &'p Self, name: &'p str },
    Item { of: &'p Self, index: usize },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(_) => Ok(()),
            Self::Field { of: Place::Body(_), name } => f.write_str(&shown(name)),
            Self::Field { of, name } => write!(f, "{of}.{}", shown(name)),
            Self::Item { of, index } => write!(f, "{of}[{index}]"),
        }
    }
}

impl<'p> Place<'p> {
    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Place::Field { of: self, name }
    }

    fn words(&self) -> Words {
        match self {
            Self::Body(words) => *words,
            Self::Field { of, .. } | Self::Item { of, .. } => of.words(),
        }
    }

    /// `found` completes "found …".
    pub(crate) fn refuse(&self, found: impl Into<String>) -> RequestMistake {
        self.beside(self.to_string(), found)
    }

    /// As [`Place::refuse`], for another place of the same request.
    pub(crate) fn beside(&self, path: String, found: impl Into<String>) -> RequestMistake {
        let found = found.into();
        match self.words() {
            Words::Chat => RequestMistake::Untranslatable { path, found },
            Words::Messages => RequestMistake::Unsayable { words: "Messages", path, found },
            Words::Responses => RequestMistake::Unsayable { words: "Responses", path, found },
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// A value of the request and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a, 'p> {
    pub(crate) json: Json<'a>,
    pub(crate) at: Place<'p>,
}

impl<'a> Placed<'a, '_> {
    /// A string as it was written, quotes included.
    pub(crate) fn text(&self) -> Result<Json<'a>, RequestMistake> {
        self.of(Json::is_text, "a string")
    }

    /// An object that goes on as it was written.
    pub(crate) fn object(&self, expected: &'static str) -> Result<Json<'a>, RequestMistake> {
        self.of(Json::is_object, expected)
    }

    /// A number as it was written.
    pub(crate) fn number(&self) -> Result<Json<'a>, RequestMistake> {
        self.of(|json| json.kind() == "a number", "a number")
    }

    fn of(&self, is: impl Fn(Json<'a>) -> bool, expected: &'static str) -> Result<Json<'a>, RequestMistake> {
        if is(self.json) { Ok(self.json) } else { Err(self.wrong(expected)) }
    }

    /// A string that is compared with words we know.
    pub(crate) fn word(&self) -> Result<Cow<'a, str>, RequestMistake> {
        let half_a_pair = || self.at.refuse("half a surrogate pair");
        decode_string(self.text()?.get().as_bytes()).ok_or_else(half_a_pair)
    }

    pub(crate) fn flag(&self) -> Result<bool, RequestMistake> {
        match self.json.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    pub(crate) fn count(&self) -> Result<u64, RequestMistake> {
        serde_json::from_str(self.json.get()).map_err(|_| self.wrong("a whole number, zero or more"))
    }

    pub(crate) fn items<'q>(&'q self) -> Result<impl Iterator<Item = Placed<'a, 'q>>, RequestMistake> {
        let items = self.json.items().ok_or_else(|| self.wrong("an array"))?;
        Ok(items.enumerate().map(|(index, json)| Placed { json, at: Place::Item { of: &self.at, index } }))
    }

    pub(crate) fn fields(&self) -> Result<Fields<'a, '_>, RequestMistake> {
        Fields::read(self)
    }

    pub(crate) fn wrong(&self, expected: &'static str) -> RequestMistake {
        RequestMistake::TypeAt { path: self.at.to_string(), expected, found: self.json.kind() }
    }

    /// The mistake of asking for what cannot be said. Shows a word, but nothing longer.
    pub(crate) fn refuse(&self) -> RequestMistake {
        let word = decode_string(self.json.get().as_bytes()).filter(|word| word.len() <= SHOWN_MAX);
        self.at.refuse(word.map_or_else(|| self.json.kind().to_owned(), |word| format!("`{word}`")))
    }

    /// As [`Placed::refuse`], for values that are content.
    pub(crate) fn refuse_unshown(&self) -> RequestMistake {
        self.at.refuse(self.json.kind())
    }
}

impl Json<'_> {
    fn kind(self) -> &'static str {
        kind_of(self.get().as_bytes())
    }
}
