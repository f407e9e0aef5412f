//! What of an answer goes into its settling record: the commitment and, where capture is configured, the content that
//! is durably kept before it.
//!
//! Without capture an answer costs its commitment and nothing else: no copy, no file, no other thread.

use crate::commitment::{Running, Salt};
use crate::context::Thread;
use crate::memory::{MemoryError, MemoryGrant, Purpose};
use crate::refusal::RefusalKind;
use crate::stage::admit::InLine;
use crate::stage::read::Asked;
use crate::stored;
use bytes::Bytes;
use hermetic_content_store::{Content, ContentError, ContentStore};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Commitment, StoredResponse};

/// An answer as it leaves.
pub(crate) struct Outgoing {
    commitment: Running,
    held: Option<Held>,
    /// The response that its end says is stored.
    response: Option<Bytes>,
}

/// The bytes that are to be kept, up to the cap.
struct Held {
    bytes: Vec<u8>,
    total: u64,
    cap: usize,
    /// Covers `bytes`. `Err`: there was no memory for all of it, so it cannot be kept.
    grant: Result<MemoryGrant, MemoryError>,
}

/// An answer that has left but for its last bytes, which wait for the settling record.
pub(crate) struct Left {
    pub(crate) answer: Commitment,
    pub(crate) answer_bytes: u64,
    /// `Err`: something had to be kept and is not, so the last bytes must not leave.
    pub(crate) kept: Result<Kept, RefusalKind>,
}

/// What is durably kept besides the records.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    /// Prompt and answer, where capture is configured.
    pub(crate) content: bool,
    pub(crate) stored: Option<StoredResponse>,
}

impl Held {
    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.cap.saturating_sub(self.bytes.len()).min(bytes.len());
        let needed = self.bytes.len() + room;
        if needed > self.bytes.capacity() {
            let capacity = needed.max(self.bytes.capacity() * 2);
            let granted = match &mut self.grant {
                Ok(grant) => grant.cover(capacity),
                Err(error) => Err(*error),
            };
            if let Err(error) = granted {
                // What is held of it is of no use any more.
                (self.bytes, self.grant) = (Vec::new(), Err(error));
                return;
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

impl Outgoing {
    pub(crate) fn start(thread: &Thread, request: RequestId) -> Self {
        let shared = &thread.shared;
        let cap = shared.options().answer_bytes_max;
        Self {
            commitment: shared.commitments.start(request, Salt::Answer),
            held: shared.capture.as_ref().map(|_| {
                let grant = shared.memory.grant(Purpose::Answer, 0);
                Held { bytes: Vec::new(), total: 0, cap, grant }
            }),
            response: None,
        }
    }

    /// The answer ends in saying that this response is stored; so it will be, before that end leaves.
    pub(crate) fn store(&mut self, response: Option<Bytes>) {
        self.response = response;
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.commitment.update(bytes);
        if let Some(held) = &mut self.held {
            held.push(bytes);
        }
    }

    /// Keeps the content, where that is configured, the answer to a line of a batch, and the response that is to be stored: that
    /// last, so that nothing else can fail behind it but the settling record. The commitment covers what leaves:
    /// `last`, which leaves under that status, only if it may.
    pub(crate) async fn leave(
        self,
        thread: &Thread,
        asked: &Asked,
        admitting: InLine,
        last: Option<(u16, &Bytes)>,
    ) -> Left {
        let Self { mut commitment, held, response } = self;
        let answered = last;
        let last = answered.map(|(_, last)| last.as_ref()).unwrap_or_default();
        let kept = match (&thread.shared.capture, held) {
            (Some(store), Some(mut held)) => {
                held.push(last);
                keep(store.clone(), asked, admitting, held).await.map(|()| true)
            }
            _ => Ok(false),
        };
        let kept = match (kept, &asked.accepted.ticket, answered) {
            (Ok(kept), Some(ticket), Some((status, body))) => {
                let admitted = admitting.leaf();
                ticket.keep(asked.accepted.request, admitted, (status, body)).await.map(|()| kept)
            }
            (kept, ..) => kept,
        };
        let kept = match (kept, response.filter(|_| answered.is_some())) {
            (Ok(content), Some(response)) => {
                // Boxed, as other ways that few requests take.
                let stored = Box::pin(stored::keep(thread, asked, response)).await;
                stored.map(|stored| Kept { content, stored }).map_err(RefusalKind::State)
            }
            (kept, _) => kept.map(|content| Kept { content, stored: None }).map_err(RefusalKind::Content),
        };
        if kept.is_ok() {
            commitment.update(last);
        }
        let (answer, answer_bytes) = commitment.finish();
        Left { answer, answer_bytes, kept }
    }
}

/// On a thread that may block: a sync of the disk would hold up every other request of this one.
async fn keep(store: ContentStore, asked: &Asked, admitting: InLine, held: Held) -> Result<(), ContentError> {
    if held.grant.is_err() {
        return Err(ContentError::Memory);
    }
    let request = asked.accepted.request;
    let prompt = asked.sent.clone();
    let put = move || {
        store.put(&Content {
            request,
            admitted_unix_ms: admitting.at_unix_ms(),
            prompt: &prompt,
            answer: &held.bytes,
            answer_total: held.total,
        })
    };
    let lost = |_| ContentError::Crypto { action: "keep content: its thread was lost" };
    tokio::task::spawn_blocking(put).await.map_err(lost)?
}
