//! The one check behind every name.

/// Longest name in bytes: fits a database index, a metric label and a line on a screen.
pub const NAME_BYTES_MAX: usize = 200;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("expected a {what}, found nothing")]
    Empty { what: &'static str },
    #[error("expected a {what} of at most {NAME_BYTES_MAX} bytes, found {found} bytes")]
    Long { what: &'static str, found: usize },
    #[error("expected a {what} to start with a letter or a digit, found {found:?}")]
    Start { what: &'static str, found: char },
    #[error("expected a {what} of letters, digits and {allowed}, found {found:?} at byte {at}")]
    Character { what: &'static str, allowed: &'static str, found: char, at: usize },
    #[error("expected a {what} without `{found}`")]
    Sequence { what: &'static str, found: &'static str },
    #[error("expected a {what} not to end in `/`")]
    TrailingSlash { what: &'static str },
}

#[derive(Clone, Copy)]
pub(crate) enum Alphabet {
    /// One segment.
    Slug,
    /// Segments parted by `/`, as model hubs write them.
    Path,
    /// A group, as directories write them: also a distinguished name, also with spaces.
    Group,
    /// A principal: a slug, or a slug with a domain.
    Subject,
}

impl Alphabet {
    fn punctuation(self) -> &'static str {
        match self {
            Self::Slug => "._-",
            Self::Path => "._-:/",
            Self::Group => "._-:/@+=,()&' ",
            Self::Subject => "._-@+",
        }
    }
}

pub(crate) fn check(text: &str, what: &'static str, alphabet: Alphabet) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty { what })?;
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::Long { what, found: text.len() });
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Start { what, found: first });
    }
    let allowed = alphabet.punctuation();
    for (at, c) in text.char_indices() {
        if !c.is_ascii_alphanumeric() && !allowed.contains(c) {
            return Err(NameError::Character { what, allowed, found: c, at });
        }
    }
    for found in ["..", "//"] {
        if text.contains(found) {
            return Err(NameError::Sequence { what, found });
        }
    }
    if text.ends_with('/') {
        return Err(NameError::TrailingSlash { what });
    }
    Ok(())
}
