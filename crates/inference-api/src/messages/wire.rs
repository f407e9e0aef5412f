//! Taking a request apart by name, with the path of everything that is found wrong.

use crate::facts::{RequestMistake, kind_of};
use crate::json::{TOP_LEVEL_KEYS_MAX, decode_string};
use crate::messages::skim::Json;
use std::borrow::Cow;

/// Longest name or word of a caller that a mistake repeats.
const SHOWN_MAX: usize = 64;

/// Where a value stands. A chain on the stack that is written out only for a mistake.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'p> {
    Body,
    Field { of: &'p Self, name: &'p str },
    Item { of: &'p Self, index: usize },
}

impl<'p> Place<'p> {
    pub(super) fn field(&'p self, name: &'p str) -> Self {
        Place::Field { of: self, name }
    }

    pub(super) fn item(&'p self, index: usize) -> Self {
        Place::Item { of: self, index }
    }

    /// As in `messages[2].content[0].type`.
    fn path(&self) -> String {
        match self {
            Place::Body => String::new(),
            Place::Field { of: Place::Body, name } => shown(name),
            Place::Field { of, name } => format!("{}.{}", of.path(), shown(name)),
            Place::Item { of, index } => format!("{}[{index}]", of.path()),
        }
    }

    pub(super) fn wrong(&self, expected: &'static str, found: Option<Json<'_>>) -> RequestMistake {
        let found = found.map_or("nothing", |raw| kind_of(raw.get().as_bytes()));
        RequestMistake::TypeAt { path: self.path(), expected, found }
    }

    /// `found` completes "found …".
    pub(super) fn untranslatable(&self, found: impl Into<String>) -> RequestMistake {
        RequestMistake::Untranslatable { path: self.path(), found: found.into() }
    }

    /// A word that chat completions have no other for.
    pub(super) fn unknown_word(&self, word: &str) -> RequestMistake {
        self.untranslatable(format!("`{}`", shown(word)))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// The fields of an object that have not been taken yet, in the order they were written in.
#[derive(Debug)]
pub(super) struct Fields<'a, 'p> {
    at: &'p Place<'p>,
    left: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// An object without surprises: a key that stands twice is refused, because two parsers could read it differently.
    pub(super) fn read(raw: Json<'a>, at: &'p Place<'p>) -> Result<Self, RequestMistake> {
        let members = raw.members().ok_or_else(|| at.wrong("an object", Some(raw)))?;
        let mut left: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(4);
        for (key, value) in members {
            if left.len() >= TOP_LEVEL_KEYS_MAX {
                return Err(at.untranslatable(format!("more than {TOP_LEVEL_KEYS_MAX} fields")));
            }
            let half_a_pair = || at.untranslatable("a key with half a surrogate pair");
            let key = decode_string(key.get().as_bytes()).ok_or_else(half_a_pair)?;
            if left.iter().any(|(known, _)| *known == key) {
                return Err(RequestMistake::DuplicateKey { key: shown(&key) });
            }
            left.push((key, value));
        }
        Ok(Self { at, left })
    }

    /// Takes a field. `null` is as good as nothing: SDKs write it for what was not set.
    pub(super) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let place = self.left.iter().position(|(key, _)| key == name)?;
        let (_, raw) = self.left.remove(place);
        (!raw.is_null()).then_some(raw)
    }

    pub(super) fn need(&mut self, name: &str, expected: &'static str) -> Result<Json<'a>, RequestMistake> {
        self.take(name).ok_or_else(|| self.at.field(name).wrong(expected, None))
    }

    /// A string as it was written, quotes included.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<Json<'a>>, RequestMistake> {
        match self.take(name) {
            Some(raw) if !raw.is_text() => Err(self.at.field(name).wrong("a string", Some(raw))),
            found => Ok(found),
        }
    }

    pub(super) fn need_text(&mut self, name: &str) -> Result<Json<'a>, RequestMistake> {
        self.text(name)?.ok_or_else(|| self.at.field(name).wrong("a string", None))
    }

    /// A string that is compared with words we know.
    pub(super) fn word(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, RequestMistake> {
        let Some(raw) = self.text(name)? else { return Ok(None) };
        let half_a_pair = || self.at.field(name).untranslatable("half a surrogate pair");
        decode_string(raw.get().as_bytes()).ok_or_else(half_a_pair).map(Some)
    }

    pub(super) fn need_word(&mut self, name: &str) -> Result<Cow<'a, str>, RequestMistake> {
        self.word(name)?.ok_or_else(|| self.at.field(name).wrong("a string", None))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, RequestMistake> {
        match self.take(name) {
            None => Ok(false),
            Some(raw) => match raw.get() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(self.at.field(name).wrong("true or false", Some(raw))),
            },
        }
    }

    /// Takes a field that changes nothing about the answer.
    pub(super) fn drop_hint(&mut self, name: &str) {
        self.take(name);
    }

    /// Takes a field that may hold nothing but what asks for nothing: an empty list or object, or `false`.
    pub(super) fn must_be_empty(&mut self, name: &str) -> Result<(), RequestMistake> {
        match self.take(name) {
            Some(raw) if raw.get() != "false" && !says_nothing(raw) => Err(self.unexpected(name, raw)),
            _ => Ok(()),
        }
    }

    /// What is left is unknown: refused, as nobody can say what it would have meant.
    pub(super) fn refuse_rest(self) -> Result<(), RequestMistake> {
        let meant = self.left.iter().find(|(_, raw)| !raw.is_null());
        meant.map_or(Ok(()), |(name, raw)| Err(self.unexpected(name, *raw)))
    }

    pub(super) fn rest(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.left
    }

    fn unexpected(&self, name: &str, raw: Json<'_>) -> RequestMistake {
        self.at.field(name).untranslatable(kind_of(raw.get().as_bytes()))
    }
}

/// The items of an array, numbered.
pub(super) fn items<'a>(
    raw: Json<'a>,
    at: &Place<'_>,
) -> Result<impl Iterator<Item = (usize, Json<'a>)> + use<'a>, RequestMistake> {
    raw.items().map(Iterator::enumerate).ok_or_else(|| at.wrong("an array", Some(raw)))
}

/// An empty list or object, however it is spaced.
pub(super) fn says_nothing(raw: Json<'_>) -> bool {
    let bare = raw.get().bytes().filter(|byte| !byte.is_ascii_whitespace());
    matches!(bare.take(3).collect::<Vec<u8>>().as_slice(), b"[]" | b"{}")
}
