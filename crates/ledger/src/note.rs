//! Signed notes and verifier keys (C2SP signed-note), Ed25519 only.
//!
//! A note is text, an empty line, and signature lines `— <name> <base64(key id ‖ signature)>`.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermetic_digest::Digest;
use std::fmt;
use std::str::FromStr;

/// The signature type of plain Ed25519 (C2SP signed-note, "Signature types").
const ED25519_TYPE: u8 = 0x01;
/// What a signature line opens with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";
/// Most signature lines read: the log's own and a generous number of witnesses.
const SIGNATURES_MAX: usize = 64;
/// Longest note read: three short lines and the signatures.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Longest key name: it stands in every checkpoint.
const NAME_BYTES_MAX: usize = 255;

/// The public key that a log's checkpoints are checked with, under the name it signs as.
///
/// Text form, the *vkey*: `<name>+<key id, 8 hex>+<base64(0x01 ‖ public key)>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

/// Why a text is not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    #[error("expected a verifier key of the form `<name>+<8 hex>+<base64>`, found {found}")]
    Form { found: &'static str },
    #[error(
        "expected a key name of 1 to {NAME_BYTES_MAX} bytes without white space, `+` or control characters"
    )]
    Name,
    #[error("expected an Ed25519 key (type 0x01 and 32 bytes), found something else")]
    Algorithm,
    #[error(
        "expected the key id {expected} for this name and key, found {found}: a part of the key was changed"
    )]
    Id { expected: String, found: String },
}

fn name_is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    /// Names a public key. The name is the log's origin.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !name_is_valid(name) {
            return Err(VerifierKeyError::Name);
        }
        Ok(Self { name: name.to_owned(), public })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// First four bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)`.
    pub fn id(&self) -> [u8; 4] {
        let mut bytes = self.name.clone().into_bytes();
        bytes.extend([b'\n', ED25519_TYPE]);
        bytes.extend(self.public);
        let [a, b, c, d, ..] = *Digest::of(&bytes).as_bytes();
        [a, b, c, d]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend(self.public);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let (name, rest) = text.split_once('+').ok_or(VerifierKeyError::Form { found: "no `+`" })?;
        let (id, key) = rest.split_once('+').ok_or(VerifierKeyError::Form { found: "one `+`" })?;
        let key =
            STANDARD.decode(key).map_err(|_| VerifierKeyError::Form { found: "a key that is not base64" })?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else {
            return Err(VerifierKeyError::Algorithm);
        };
        let key = Self::new(name, public.try_into().map_err(|_| VerifierKeyError::Algorithm)?)?;
        let expected = hex::encode(key.id());
        if id != expected {
            return Err(VerifierKeyError::Id { expected, found: id.chars().take(16).collect() });
        }
        Ok(key)
    }
}

/// Why a note is not one this key signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("expected a signed note, found {found}")]
    Form { found: &'static str },
    #[error("expected a signature by `{name}` with the key id {id}, found {found}")]
    Unsigned { name: String, id: String, found: String },
    #[error(
        "expected the signature by `{name}` to verify, found that it does not: text or signature was changed"
    )]
    Signature { name: String },
}

/// Puts text and signature together. `text` ends in a newline.
pub fn assemble(text: &str, key: &VerifierKey, signature: &[u8]) -> String {
    let blob = [key.id().as_slice(), signature].concat();
    format!("{text}\n{LINE_START}{} {}\n", key.name, STANDARD.encode(blob))
}

/// One signature line, read.
struct Line<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

fn read_line(line: &str) -> Option<Line<'_>> {
    let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
    let blob = STANDARD.decode(encoded).ok()?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    (name_is_valid(name) && !signature.is_empty()).then(|| Line {
        name,
        id: *id,
        signature: signature.to_vec(),
    })
}

/// The text of a note, without a look at the signatures: for readers who only follow their own log.
pub fn text_unverified(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

fn split(note: &str) -> Result<(&str, Vec<Line<'_>>), NoteError> {
    let form = |found| NoteError::Form { found };
    if note.len() > NOTE_BYTES_MAX {
        return Err(form("more bytes than a note may have"));
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(form("a control character"));
    }
    // The last empty line parts text and signatures; the text keeps its final newline.
    let at = note.rfind("\n\n").ok_or_else(|| form("no empty line"))?;
    let (text, rest) = note.split_at_checked(at + 1).ok_or_else(|| form("no empty line"))?;
    let lines =
        rest.strip_prefix('\n').and_then(|r| r.strip_suffix('\n')).ok_or_else(|| form("no final newline"))?;
    let lines: Vec<&str> = lines.split('\n').collect();
    if lines.len() > SIGNATURES_MAX {
        return Err(form("too many signatures"));
    }
    let lines: Option<Vec<Line<'_>>> = lines.into_iter().map(read_line).collect();
    Ok((text, lines.ok_or_else(|| form("a malformed signature line"))?))
}

/// Checks that `key` signed the note and returns its text. Signatures by keys we do not know are passed over, as the
/// specification demands; two lines by the same known key are refused.
pub fn open<'a>(note: &'a str, key: &VerifierKey) -> Result<&'a str, NoteError> {
    let (text, lines) = split(note)?;
    let mut own = lines.iter().filter(|line| line.name == key.name && line.id == key.id());
    let Some(line) = own.next() else {
        let found = lines.first().map_or_else(
            || "none".to_owned(),
            |line| format!("one by `{}` with the key id {}", line.name, hex::encode(line.id)),
        );
        return Err(NoteError::Unsigned { name: key.name.clone(), id: hex::encode(key.id()), found });
    };
    if own.next().is_some() {
        return Err(NoteError::Form { found: "two signatures by the same key" });
    }
    UnparsedPublicKey::new(&ED25519, key.public)
        .verify(text.as_bytes(), &line.signature)
        .map_err(|_| NoteError::Signature { name: key.name.clone() })?;
    Ok(text)
}
