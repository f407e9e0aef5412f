//! What a record says of a prompt or an answer: an HMAC-SHA256 under a salt of its own.
//!
//! A plain digest of a short prompt can be found by trying; a salted one cannot, and two equal prompts leave two
//! different records. The salt is HMAC-SHA256(secret, label ‖ request id), so nothing but one secret has to be kept, and the salt of one
//! record can be handed to an auditor together with the content without opening any other record.

use aws_lc_rs::hmac;
use hermetic_digest::Digest;
use hermetic_ids::RequestId;
use hermetic_ledger::record::Commitment;
use std::fmt;

/// The secret the salts come from: 32 random bytes kept with the keys of the enclave.
#[derive(Clone)]
pub struct CommitmentSecret(hmac::Key);

/// Whether a salt belongs to the question or to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Salt {
    Prompt,
    Answer,
}

impl CommitmentSecret {
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The salt of one record's prompt or answer.
    pub fn salt(&self, request: RequestId, salt: Salt) -> [u8; 32] {
        let label: &[u8] = match salt {
            Salt::Prompt => b"hermetic commitment v1 prompt\0",
            Salt::Answer => b"hermetic commitment v1 answer\0",
        };
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label);
        context.update(request.as_bytes());
        bytes_of(context.sign())
    }

    /// Tells the same from the same within one enclave, and nothing else of it: what guardrails write in place of a text.
    pub(crate) fn fingerprint(&self, text: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"hermetic guard fingerprint v1\0");
        context.update(text);
        bytes_of(context.sign())
    }

    pub(crate) fn start(&self, request: RequestId, salt: Salt) -> Running {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt(request, salt));
        Running { context: Box::new(hmac::Context::with_key(&key)), bytes: 0 }
    }
}

/// What [`CommitmentSecret`] commits to, for whoever holds the salt and the content: an auditor's check.
pub fn commit(salt: &[u8; 32], content: &[u8]) -> Commitment {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), content);
    Commitment(Digest::from_bytes(bytes_of(tag)))
}

fn bytes_of(tag: hmac::Tag) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (slot, byte) in out.iter_mut().zip(tag.as_ref()) {
        *slot = *byte;
    }
    out
}

impl fmt::Debug for CommitmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitmentSecret(hidden)")
    }
}

/// A commitment that grows with a stream.
pub(crate) struct Running {
    /// More than a kilobyte, in structures that are moved.
    context: Box<hmac::Context>,
    bytes: u64,
}

impl Running {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// The commitment and the number of bytes it covers.
    pub(crate) fn finish(self) -> (Commitment, u64) {
        (Commitment(Digest::from_bytes(bytes_of(self.context.sign()))), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_streamed_commitment_is_the_auditors(content: Vec<u8>, cut in 0usize..50, id: [u8; 16], secret: [u8; 32]) {
            let secret = CommitmentSecret::from_bytes(&secret);
            let request = RequestId::from_bytes(id);
            let (head, tail) = content.split_at(cut.min(content.len()));
            let mut running = secret.start(request, Salt::Answer);
            running.update(head);
            running.update(tail);
            let (found, bytes) = running.finish();
            prop_assert_eq!(found, commit(&secret.salt(request, Salt::Answer), &content));
            prop_assert_eq!(bytes, content.len() as u64);
        }
    }

    #[test]
    fn equal_content_leaves_different_commitments() {
        let secret = CommitmentSecret::from_bytes(&[1; 32]);
        let of = |id: u8, salt| commit(&secret.salt(RequestId::from_bytes([id; 16]), salt), b"same");
        assert_ne!(of(1, Salt::Prompt), of(2, Salt::Prompt));
        assert_ne!(of(1, Salt::Prompt), of(1, Salt::Answer));
    }
}
