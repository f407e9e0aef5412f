//! The file of one request: a header line of JSON, the sealed prompt, the sealed answer.
//!
//! ```text
//! {"v":1,"request":"req_…","key":"<wrapped, hex>","prompt_bytes":…,"answer_bytes":…,"answer_total":…}\n
//! prompt ‖ tag ‖ answer ‖ tag
//! ```

use crate::error::ContentError;
use crate::seal::{Binding, ContentKey, FileKey, Half};
use aws_lc_rs::aead::AES_256_GCM;
use hermetic_ids::RequestId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The header is about 250 bytes.
const HEADER_BYTES_MAX: usize = 1024;

/// What is to be kept of a request.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    pub request: RequestId,
    /// When it was admitted: files stand in a folder for each day, in UTC.
    pub admitted_unix_ms: u64,
    pub prompt: &'a [u8],
    pub answer: &'a [u8],
    /// Bytes of the whole answer: more than `answer` when it was cut off.
    pub answer_total: u64,
}

/// What was kept of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub prompt: Vec<u8>,
    pub answer: Vec<u8>,
    pub answer_total: u64,
}

impl Kept {
    /// Whether the answer was longer than what is kept of it.
    pub fn is_cut_off(&self) -> bool {
        self.answer_total > self.answer.len() as u64
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({}, hidden)", self.request)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(hidden)")
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u8,
    request: RequestId,
    key: String,
    prompt_bytes: u64,
    answer_bytes: u64,
    answer_total: u64,
}

pub(crate) fn encode(content: &Content<'_>, under: &ContentKey) -> Result<Vec<u8>, ContentError> {
    let key = FileKey::generate()?;
    let header = Header {
        v: 1,
        request: content.request,
        key: hex::encode(key.wrap(under)?),
        prompt_bytes: content.prompt.len() as u64,
        answer_bytes: content.answer.len() as u64,
        answer_total: content.answer_total,
    };
    let mut file =
        serde_json::to_vec(&header).map_err(|_| ContentError::Crypto { action: "write a header" })?;
    let header = file.clone();
    file.push(b'\n');
    file.reserve(content.prompt.len() + content.answer.len() + 2 * AES_256_GCM.tag_len());
    let binding = |half| Binding { request: content.request, half, header: &header };
    key.seal(binding(Half::Prompt), content.prompt, &mut file)?;
    key.seal(binding(Half::Answer), content.answer, &mut file)?;
    Ok(file)
}

pub(crate) fn decode(request: RequestId, file: &[u8], under: &ContentKey) -> Result<Kept, ContentError> {
    let damaged = |found| ContentError::Damaged { request, found };
    let end = file.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n');
    let (line, sealed) =
        end.and_then(|end| Some((file.get(..end)?, file.get(end + 1..)?))).ok_or(damaged("no header"))?;
    let header: Header = serde_json::from_slice(line).map_err(|_| damaged("another header"))?;
    if header.v != 1 {
        return Err(damaged("another version"));
    }
    if header.request != request {
        return Err(damaged("the content of another request"));
    }
    let wrapped = hex::decode(&header.key).map_err(|_| damaged("a changed key"))?;
    let key = FileKey::unwrap(&wrapped, under)?
        .ok_or(damaged("a key that this enclave's content key does not open"))?;
    let prompt_end =
        usize::try_from(header.prompt_bytes).ok().and_then(|n| n.checked_add(AES_256_GCM.tag_len()));
    let (prompt, answer) = prompt_end
        .and_then(|end| sealed.split_at_checked(end))
        .ok_or(damaged("fewer bytes than its header says"))?;
    let binding = |half| Binding { request, half, header: line };
    let open = |half, sealed| key.open(binding(half), sealed)?.ok_or(damaged("changed bytes"));
    let (prompt, answer) = (open(Half::Prompt, prompt)?, open(Half::Answer, answer)?);
    Ok(Kept { prompt, answer, answer_total: header.answer_total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: RequestId = RequestId::from_bytes([3; 16]);

    fn key() -> ContentKey {
        ContentKey::from_bytes(&[9; 32])
    }

    fn content<'a>(prompt: &'a [u8], answer: &'a [u8]) -> Content<'a> {
        let answer_total = answer.len() as u64;
        Content { request: REQUEST, admitted_unix_ms: 0, prompt, answer, answer_total }
    }

    proptest! {
        #[test]
        fn what_was_kept_comes_back_and_is_not_readable_in_the_file(prompt: Vec<u8>, answer in prop::collection::vec(any::<u8>(), 16..200)) {
            let file = encode(&content(&prompt, &answer), &key()).unwrap();
            prop_assert!(!file.windows(answer.len()).any(|window| window == answer));
            let kept = decode(REQUEST, &file, &key()).unwrap();
            prop_assert!(!kept.is_cut_off());
            prop_assert_eq!((kept.prompt, kept.answer), (prompt, answer));
        }

        #[test]
        fn a_file_never_opens_twice_the_same_way(prompt: Vec<u8>) {
            let one = encode(&content(&prompt, b"same"), &key()).unwrap();
            prop_assert_ne!(one, encode(&content(&prompt, b"same"), &key()).unwrap());
        }
    }

    #[test]
    fn a_change_of_any_bit_is_refused() {
        let file = encode(&content(b"a prompt", b"an answer"), &key()).unwrap();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(decode(REQUEST, &changed, &key()).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_missing_or_added_byte_is_refused() {
        let file = encode(&content(b"a prompt", b"an answer"), &key()).unwrap();
        (0..file.len()).for_each(|len| assert!(decode(REQUEST, &file[..len], &key()).is_err(), "{len}"));
        assert!(decode(REQUEST, &[&file[..], b"x"].concat(), &key()).is_err());
    }

    #[test]
    fn another_request_half_or_key_does_not_open_it() {
        let file = encode(&content(b"prompt", b"answer"), &key()).unwrap();
        let other = RequestId::from_bytes([4; 16]);
        assert!(matches!(decode(other, &file, &key()), Err(ContentError::Damaged { .. })));
        let renamed = String::from_utf8_lossy(&file[..60]).contains(&REQUEST.to_string());
        assert!(renamed, "the header names the request");
        assert!(matches!(
            decode(REQUEST, &file, &ContentKey::from_bytes(&[8; 32])),
            Err(ContentError::Damaged { found: "a key that this enclave's content key does not open", .. })
        ));
        // Both halves are of the same length: swapped, each is whole, and neither opens.
        let body = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (prompt, answer) = file[body..].split_at(6 + 16);
        let swapped = [&file[..body], answer, prompt].concat();
        assert!(matches!(
            decode(REQUEST, &swapped, &key()),
            Err(ContentError::Damaged { found: "changed bytes", .. })
        ));
    }

    #[test]
    fn the_mark_that_an_answer_was_cut_off_cannot_be_taken_away() {
        let cut = Content { answer_total: 100, ..content(b"prompt", b"answer") };
        let file = encode(&cut, &key()).unwrap();
        assert!(decode(REQUEST, &file, &key()).unwrap().is_cut_off());
        let body = file.iter().position(|byte| *byte == b'\n').unwrap();
        let header = String::from_utf8(file[..body].to_vec()).unwrap();
        let whole = header.replace("\"answer_total\":100", "\"answer_total\":6");
        assert_ne!(header, whole);
        assert!(decode(REQUEST, &[whole.as_bytes(), &file[body..]].concat(), &key()).is_err());
    }
}
