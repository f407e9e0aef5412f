//! Values that take what is of their type and step over everything else, in one pass.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A string, `null`, or something else that was not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    #[default]
    Nothing,
    Said(Cow<'a, str>),
    Odd,
}

impl<'a> Text<'a> {
    pub(crate) fn said(&self) -> Option<&str> {
        match self {
            Self::Said(text) => Some(text),
            Self::Nothing | Self::Odd => None,
        }
    }

    pub(crate) fn into_said(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Said(text) => Some(text),
            Self::Nothing | Self::Odd => None,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.said().unwrap_or_default()
    }

    pub(crate) fn is_odd(&self) -> bool {
        *self == Self::Odd
    }
}

/// A whole number, zero or more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl Count {
    pub(crate) fn or_zero(self) -> u64 {
        self.0.unwrap_or_default()
    }
}

/// The objects of a list. Items of another kind are left out.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    items: Vec<T>,
    given: bool,
    odd: bool,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), given: false, odd: false }
    }
}

impl<T> Listed<T> {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether there is a list at all.
    pub(crate) fn is_given(&self) -> bool {
        self.given
    }

    /// Whether something was left out.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd
    }
}

/// What stands somewhere.
enum Found<T> {
    It(T),
    Nothing,
    Odd,
}

/// How one type is taken; what it does not take is stepped over.
trait Take<'de>: Sized {
    fn text(_: &str) -> Found<Self> {
        Found::Odd
    }

    fn borrowed(text: &'de str) -> Found<Self> {
        Self::text(text)
    }

    fn count(_: u64) -> Found<Self> {
        Found::Odd
    }

    fn object<M: MapAccess<'de>>(mut map: M) -> Result<Found<Self>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Odd)
    }

    fn list<S: SeqAccess<'de>>(mut list: S) -> Result<Found<Self>, S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Odd)
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Take<'de>> Visitor<'de> for Any<T> {
    type Value = Found<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Found<T>, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<T>, E> {
        Ok(Found::Odd)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<T>, E> {
        Ok(Found::Odd)
    }

    fn visit_u64<E>(self, count: u64) -> Result<Found<T>, E> {
        Ok(T::count(count))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<T>, E> {
        Ok(Found::Odd)
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<T>, E> {
        Ok(T::text(text))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Found<T>, E> {
        Ok(T::borrowed(text))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Found<T>, M::Error> {
        T::object(map)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Found<T>, S::Error> {
        T::list(list)
    }
}

fn find<'de, T: Take<'de>, D: Deserializer<'de>>(from: D) -> Result<Found<T>, D::Error> {
    from.deserialize_any(Any(PhantomData))
}

impl<'de> Take<'de> for Cow<'de, str> {
    fn text(text: &str) -> Found<Self> {
        Found::It(Cow::Owned(text.to_owned()))
    }

    fn borrowed(text: &'de str) -> Found<Self> {
        Found::It(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match find(from)? {
            Found::It(text) => Self::Said(text),
            Found::Nothing => Self::Nothing,
            Found::Odd => Self::Odd,
        })
    }
}

impl Take<'_> for u64 {
    fn count(count: u64) -> Found<Self> {
        Found::It(count)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match find(from)? {
            Found::It(count) => Self(Some(count)),
            Found::Nothing | Found::Odd => Self(None),
        })
    }
}

/// An object, told from all else before its fields are read.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Take<'de> for Object<T> {
    fn object<M: MapAccess<'de>>(map: M) -> Result<Found<Self>, M::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Found::It(Self(object)))
    }
}

/// An object, nothing, or something else that was not read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Field<T> {
    Object(T),
    #[default]
    Nothing,
    Odd,
}

impl<T> Field<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Object(object) => Some(object),
            Self::Nothing | Self::Odd => None,
        }
    }

    pub(crate) fn is_odd(&self) -> bool {
        matches!(self, Self::Odd)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match find(from)? {
            Found::It(Object(object)) => Self::Object(object),
            Found::Nothing => Self::Nothing,
            Found::Odd => Self::Odd,
        })
    }
}

impl<'de, T: Deserialize<'de>> Take<'de> for Listed<T> {
    fn list<S: SeqAccess<'de>>(mut list: S) -> Result<Found<Self>, S::Error> {
        let mut listed = Self { given: true, ..Self::default() };
        while let Some(item) = list.next_element::<Field<T>>()? {
            match item {
                Field::Object(item) => listed.items.push(item),
                Field::Nothing | Field::Odd => listed.odd = true,
            }
        }
        Ok(Found::It(listed))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match find(from)? {
            Found::It(listed) => listed,
            Found::Nothing => Self::default(),
            Found::Odd => Self { odd: true, ..Self::default() },
        })
    }
}
