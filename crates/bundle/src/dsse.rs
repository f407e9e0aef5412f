//! DSSE envelopes: bytes, what they are, and signatures over both (secure-systems-lab DSSE 1.0).
//!
//! Here is only the form. Whether a signature is good, and whose key it must be, is `hermetic-trust`'s business.

use crate::document::{self, DocumentError};
use crate::limits::{DOCUMENT_BYTES_MAX, SIGNATURES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The payload type of in-toto statements (in-toto attestation, "Envelope").
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

const WHAT: &str = "the DSSE envelope";

/// Bytes with signatures over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<EnvelopeSignature>,
}

/// One signature over [`Envelope::signed_bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// Names the key; a hint, never a reason to trust it.
    pub keyid: String,
    pub sig: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnvelopeRow {
    payload_type: String,
    payload: String,
    signatures: Vec<SignatureRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureRow {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The pre-authentication encoding: what is signed. Lengths stand before the parts, so that no two pairs of type and
/// payload give the same bytes.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

impl Envelope {
    /// An envelope without signatures yet.
    pub fn new(payload_type: &str, payload: Vec<u8>) -> Self {
        Self { payload_type: payload_type.to_owned(), payload, signatures: Vec::new() }
    }

    /// The bytes to sign and to check signatures over.
    pub fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.payload_type, &self.payload)
    }

    /// Adds a signature, keeping them sorted by key so that the order of signing does not change the bytes.
    pub fn add(&mut self, signature: EnvelopeSignature) {
        self.signatures.retain(|present| present.keyid != signature.keyid);
        self.signatures.push(signature);
        self.signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
    }

    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    pub fn signatures(&self) -> &[EnvelopeSignature] {
        &self.signatures
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let row: EnvelopeRow = document::parse(WHAT, bytes, DOCUMENT_BYTES_MAX)?;
        if row.signatures.len() > SIGNATURES_MAX {
            return Err(DocumentError::value(
                WHAT,
                format!("at most {SIGNATURES_MAX} signatures"),
                row.signatures.len(),
            ));
        }
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| DocumentError::value(WHAT, "standard base64 with padding", error))
        };
        let mut signatures = Vec::with_capacity(row.signatures.len());
        for SignatureRow { keyid, sig } in row.signatures {
            signatures.push(EnvelopeSignature { keyid, sig: decode(&sig)? });
        }
        Ok(Self { payload_type: row.payload_type, payload: decode(&row.payload)?, signatures })
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let signatures = self.signatures.iter();
        let signatures = signatures
            .map(|s| SignatureRow { keyid: s.keyid.clone(), sig: STANDARD.encode(&s.sig) })
            .collect();
        let row = EnvelopeRow {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures,
        };
        document::write(WHAT, &row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_encoding_is_the_specification_s_example() {
        // DSSE protocol.md, "Test Vectors".
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn signatures_are_sorted_and_a_key_signs_once() {
        let mut envelope = Envelope::new(IN_TOTO, b"{}".to_vec());
        for (keyid, byte) in [("b", 1), ("a", 2), ("b", 3)] {
            envelope.add(EnvelopeSignature { keyid: keyid.to_owned(), sig: vec![byte] });
        }
        let order: Vec<_> = envelope.signatures().iter().map(|s| (s.keyid.as_str(), s.sig[0])).collect();
        assert_eq!(order, [("a", 2), ("b", 3)]);
    }

    proptest! {
        #[test]
        fn an_envelope_reads_back(kind in "[a-z/+.]{1,20}", payload: Vec<u8>, sig: Vec<u8>) {
            let mut envelope = Envelope::new(&kind, payload);
            envelope.add(EnvelopeSignature { keyid: "k".to_owned(), sig });
            prop_assert_eq!(Envelope::parse(&envelope.to_bytes().unwrap()).unwrap(), envelope);
        }

        #[test]
        fn different_contents_never_encode_alike(a in "[a-z 0-9]{0,12}", b in "[a-z 0-9]{0,12}", c in "[a-z 0-9]{0,12}", d in "[a-z 0-9]{0,12}") {
            prop_assume!((&a, &b) != (&c, &d));
            prop_assert_ne!(pre_authentication_encoding(&a, b.as_bytes()), pre_authentication_encoding(&c, d.as_bytes()));
        }
    }
}
