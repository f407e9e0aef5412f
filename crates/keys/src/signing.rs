//! The secret half: made here, kept here, never shown.

use crate::error::KeyError;
use crate::pem;
use crate::public::{PUBLIC_KEY_BYTES, PublicKey, SIGNATURE_BYTES};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use hermetic_bounded_io::{Mode, create_folders, open_regular, read_text_capped, write_atomic};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

const LABEL: &str = "PRIVATE KEY";
/// A PEM private key is under 200 bytes; the rest is room for white space and for PKCS#8 version 2 with attributes.
const FILE_BYTES_MAX: u64 = 4096;
/// Permission bits that would let somebody else read or change the key.
const OTHERS: u32 = 0o077;

/// An Ed25519 key that can sign.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a key from the system's random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Crypto { action: "make a key" })?;
        Self::from_pair(pair)
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes: [u8; PUBLIC_KEY_BYTES] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Crypto { action: "give a public key of 32 bytes" })?;
        Ok(Self { pair, public: PublicKey::from_bytes(bytes) })
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs exactly `message` (RFC 8032, pure Ed25519).
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], KeyError> {
        let refused = KeyError::Crypto { action: "sign" };
        let Ok(signature) = self.pair.try_sign(message) else { return Err(refused) };
        signature.as_ref().try_into().map_err(|_| refused)
    }

    /// PKCS#8 version 1 in PEM: what `openssl pkey` reads and writes.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::Crypto { action: "encode a key" })?;
        Ok(pem::encode(LABEL, der.as_ref()))
    }

    /// Reads PKCS#8, version 1 or 2, in PEM. `None` when the text is anything else.
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = pem::decode(LABEL, text)?;
        Self::from_pair(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()?).ok()
    }

    /// Reads a key file; one that others may read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        refuse_exposed(path)?;
        let text = Zeroizing::new(read_text_capped(path, FILE_BYTES_MAX).map_err(file)?);
        Self::from_pem(&text).ok_or_else(|| KeyError::Form {
            path: path.to_owned(),
            expected: "an Ed25519 private key in PKCS#8 PEM",
            found: "something else",
        })
    }

    /// Writes the key to a file that is not there yet.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        if path.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folders(folder, Mode::Private).map_err(file)?;
        }
        write_atomic(path, self.to_pem()?.as_bytes(), Mode::Private).map_err(file)
    }

    /// Reads the key file or, when there is none, makes a key and keeps it there.
    pub fn load_or_generate(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::File { source, .. }) if source.is_not_found() => {
                let key = Self::generate()?;
                key.save(path)?;
                Ok(key)
            }
            other => other,
        }
    }
}

/// Refuses a key file that anybody but its owner may read.
pub(crate) fn refuse_exposed(path: &Path) -> Result<(), KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let (opened, _) = open_regular(path).map_err(file)?;
    match opened.metadata().map(|metadata| metadata.mode() & 0o7777) {
        Ok(mode) if mode & OTHERS != 0 => Err(KeyError::Exposed { path: path.to_owned(), mode }),
        Ok(_) => Ok(()),
        Err(source) => Err(file(hermetic_bounded_io::FileError::new("inspect", path, source))),
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_saved_key_is_private_loads_again_and_signs_for_its_public_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/ledger.pem");
        let key = SigningKey::load_or_generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = SigningKey::load_or_generate(&path).unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"message").unwrap();
        assert_eq!(key.public().verify(b"message", &signature), Ok(()));
        assert!(key.public().verify(b"massage", &signature).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        SigningKey::generate().unwrap().save(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::load(&path), Err(KeyError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_key_is_never_written_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let first = SigningKey::generate().unwrap();
        first.save(&path).unwrap();
        assert!(matches!(SigningKey::generate().unwrap().save(&path), Err(KeyError::Exists { .. })));
        assert_eq!(SigningKey::load(&path).unwrap().public(), first.public());
    }

    #[test]
    fn rfc_8032_test_vector_1_signs_as_published() {
        // RFC 8032 §7.1, TEST 1, its secret wrapped as PKCS#8 (RFC 8410 §7).
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let key = SigningKey::from_pem(pem).unwrap();
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"").unwrap();
        assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
        assert_eq!(key.to_pem().unwrap().as_str(), pem);
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey(public {})", key.public()));
    }

    proptest! {
        #[test]
        fn public_keys_round_trip_through_pem(bytes: [u8; 32]) {
            let key = PublicKey::from_bytes(bytes);
            prop_assert_eq!(PublicKey::from_pem(&key.to_pem()), Some(key));
        }

        #[test]
        fn no_text_makes_a_key_by_accident(text in ".{0,200}") {
            prop_assert!(SigningKey::from_pem(&text).is_none() && PublicKey::from_pem(&text).is_none());
        }
    }
}
