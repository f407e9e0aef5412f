//! The fields of an object, taken by name.

use super::{Json, Place, Placed, shown};
use crate::facts::RequestMistake;
use crate::json::{TOP_LEVEL_KEYS_MAX, decode_string};
use std::borrow::Cow;

/// The fields of an object that have not been taken yet, in the order they were written in.
#[derive(Debug)]
pub(crate) struct Fields<'a, 'p> {
    at: &'p Place<'p>,
    left: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// An object without surprises: a key that stands twice is refused, because two parsers could read it differently.
    pub(super) fn read(object: &'p Placed<'a, '_>) -> Result<Self, RequestMistake> {
        let at = &object.at;
        let members = object.json.members().ok_or_else(|| object.wrong("an object"))?;
        let mut left: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(4);
        for (key, value) in members {
            if left.len() >= TOP_LEVEL_KEYS_MAX {
                return Err(at.refuse(format!("more than {TOP_LEVEL_KEYS_MAX} fields")));
            }
            let half_a_pair = || at.refuse("a key with half a surrogate pair");
            let key = decode_string(key.get().as_bytes()).ok_or_else(half_a_pair)?;
            if left.iter().any(|(known, _)| *known == key) {
                return Err(RequestMistake::DuplicateKey { key: shown(&key) });
            }
            left.push((key, value));
        }
        Ok(Self { at, left })
    }

    fn placed(&self, name: &'p str, json: Json<'a>) -> Placed<'a, 'p> {
        Placed { json, at: self.place(name) }
    }

    /// Where a field stands or would stand.
    pub(crate) fn place(&self, name: &'p str) -> Place<'p> {
        Place::Field { of: self.at, name }
    }

    /// Takes a field. `null` is as good as nothing: SDKs write it for what was not set.
    pub(crate) fn take(&mut self, name: &'p str) -> Option<Placed<'a, 'p>> {
        let place = self.left.iter().position(|(key, _)| key == name)?;
        let (_, json) = self.left.remove(place);
        (!json.is_null()).then(|| self.placed(name, json))
    }

    /// Takes a field that has to be there.
    pub(crate) fn need(
        &mut self,
        name: &'p str,
        expected: &'static str,
    ) -> Result<Placed<'a, 'p>, RequestMistake> {
        let nothing = self.placed(name, Json::checked(""));
        self.take(name).ok_or_else(|| nothing.wrong(expected))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(key, _)| key == name)
    }

    /// A string as it was written, quotes included.
    pub(crate) fn text(&mut self, name: &'p str) -> Result<Option<Json<'a>>, RequestMistake> {
        self.take(name).map(|found| found.text()).transpose()
    }

    pub(crate) fn need_text(&mut self, name: &'p str) -> Result<Json<'a>, RequestMistake> {
        self.need(name, "a string")?.text()
    }

    pub(crate) fn flag(&mut self, name: &'p str) -> Result<Option<bool>, RequestMistake> {
        self.take(name).map(|found| found.flag()).transpose()
    }

    /// Takes fields that change nothing about the answer.
    pub(crate) fn drop_all(&mut self, names: &[&str]) {
        self.left.retain(|(key, _)| !names.contains(&&**key));
    }

    /// Takes a field that may hold nothing but what asks for nothing: an empty list or object, or `false`.
    pub(crate) fn must_be_empty(&mut self, name: &'p str) -> Result<(), RequestMistake> {
        match self.take(name) {
            Some(found) if found.json.get() != "false" && !found.json.is_empty() => {
                Err(found.refuse_unshown())
            }
            _ => Ok(()),
        }
    }

    /// What is left is unknown: refused, as nobody can say what it would have meant.
    pub(crate) fn end(self) -> Result<(), RequestMistake> {
        let meant = self.left.iter().find(|(_, json)| !json.is_null());
        meant.map_or(Ok(()), |(name, json)| {
            Err(Placed { json: *json, at: self.at.field(name) }.refuse_unshown())
        })
    }

    /// What is left, by name.
    pub(crate) fn rest(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.left
    }
}
