//! The cryptography: AES-256-GCM (NIST SP 800-38D) for content, AES-256 key wrap (RFC 3394) for the key of a file.

use crate::error::ContentError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use hermetic_ids::RequestId;
use std::fmt;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// RFC 3394: eight bytes more than the key, which are its check.
const WRAPPED_BYTES: usize = KEY_BYTES + 8;

/// The key under which the keys of files are wrapped: 32 random bytes kept with the keys of the enclave.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn wrapping(&self) -> Result<AesKek, ContentError> {
        AesKek::new(&AES_256, self.0.as_ref())
            .map_err(|_| ContentError::Crypto { action: "load the content key" })
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(hidden)")
    }
}

/// Which half of a file. Its number is the half's nonce: a file's key seals each half once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Prompt = 1,
    Answer = 2,
}

/// What a half is bound to besides its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) request: RequestId,
    pub(crate) half: Half,
    /// The file's header, to the byte: nobody moves the mark that an answer was cut off.
    pub(crate) header: &'a [u8],
}

impl Binding<'_> {
    fn to_aad(self) -> Aad<Vec<u8>> {
        let label: &[u8] = match self.half {
            Half::Prompt => b"hermetic content v1 prompt\0",
            Half::Answer => b"hermetic content v1 answer\0",
        };
        Aad::from([label, self.request.as_bytes(), self.header].concat())
    }

    fn nonce(self) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        bytes[NONCE_LEN - 1] = self.half as u8;
        Nonce::assume_unique_for_key(bytes)
    }
}

/// The key of one file.
pub(crate) struct FileKey(Zeroizing<[u8; KEY_BYTES]>);

impl FileKey {
    pub(crate) fn generate() -> Result<Self, ContentError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(bytes.as_mut())
            .map_err(|_| ContentError::Crypto { action: "draw random bytes" })?;
        Ok(Self(bytes))
    }

    pub(crate) fn wrap(&self, under: &ContentKey) -> Result<Vec<u8>, ContentError> {
        let mut out = [0; WRAPPED_BYTES];
        let wrapped = under.wrapping()?.wrap(self.0.as_ref(), &mut out);
        wrapped.map(|wrapped| wrapped.to_vec()).map_err(|_| ContentError::Crypto { action: "wrap a key" })
    }

    /// `None`: not wrapped under this content key, or changed since.
    pub(crate) fn unwrap(wrapped: &[u8], under: &ContentKey) -> Result<Option<Self>, ContentError> {
        if wrapped.len() != WRAPPED_BYTES {
            return Ok(None);
        }
        // The library asks for room for the check as well.
        let mut out = Zeroizing::new([0; WRAPPED_BYTES]);
        let opened = under.wrapping()?.unwrap(wrapped, out.as_mut());
        let key = opened.ok().and_then(|key| <[u8; KEY_BYTES]>::try_from(&*key).ok());
        Ok(key.map(|key| Self(Zeroizing::new(key))))
    }

    pub(crate) fn cipher(&self) -> Result<LessSafeKey, ContentError> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_ref());
        key.map(LessSafeKey::new).map_err(|_| ContentError::Crypto { action: "load the key of a file" })
    }

    /// Appends the sealed half to `out`.
    pub(crate) fn seal(
        &self,
        binding: Binding<'_>,
        clear: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ContentError> {
        let start = out.len();
        out.extend_from_slice(clear);
        let sealed = out.get_mut(start..).unwrap_or_default();
        let tag = self.cipher()?.seal_in_place_separate_tag(binding.nonce(), binding.to_aad(), sealed);
        let tag = tag.map_err(|_| ContentError::Crypto { action: "seal content" })?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// `None`: not this half of this request under this key and header.
    pub(crate) fn open(&self, binding: Binding<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, ContentError> {
        let mut buffer = sealed.to_vec();
        let opened = self.cipher()?.open_in_place(binding.nonce(), binding.to_aad(), &mut buffer);
        let Some(len) = opened.ok().map(|clear| clear.len()) else { return Ok(None) };
        buffer.truncate(len);
        Ok(Some(buffer))
    }
}
