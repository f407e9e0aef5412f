//! A whole body, within a cap, at a least pace, and in memory that was granted before. One that came in one piece, as
//! most do, is not copied.

use crate::memory::{GRANT_STEP, MemoryError, MemoryGrant};
use bytes::{Bytes, BytesMut};
use hermetic_ledger::record::Outcome;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;

/// Why a body did not come in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CollectError {
    BrokenOff,
    TooLarge {
        cap: usize,
    },
    Silent {
        after: Duration,
    },
    /// Less than the pace that was agreed on.
    Slow {
        bytes: usize,
        within: Duration,
    },
    Memory(MemoryError),
}

impl CollectError {
    /// How a request ends whose answer did not come in whole.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            // The engine did its part.
            Self::Memory(_) => Outcome::Withheld,
            Self::BrokenOff | Self::TooLarge { .. } | Self::Silent { .. } | Self::Slow { .. } => {
                Outcome::EngineFailed
            }
        }
    }
}

/// What is asked of the other side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) cap: usize,
    /// How long the other side may be silent between two pieces.
    pub(crate) patience: Duration,
    pub(crate) pace: Option<Pace>,
}

/// At least `bytes` in every stretch of `within`, until the body is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub bytes: usize,
    pub within: Duration,
}

/// The pieces so far.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    joined: BytesMut,
}

/// Reads to the end. `grant` covers what has been read; the caller ties it to the bytes.
pub(crate) async fn collect<B>(
    body: &mut B,
    terms: Terms,
    grant: &mut MemoryGrant,
) -> Result<Bytes, CollectError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut pieces = Pieces::default();
    let within = terms.pace.map_or(terms.patience, |pace| pace.within);
    let mut window = std::pin::pin!(tokio::time::sleep(within));
    let mut in_window = 0;
    loop {
        let frame = tokio::select! {
            // In the order written: what is there is taken without a look at the timer.
            biased;
            frame = tokio::time::timeout(terms.patience, body.frame()) => frame,
            () = window.as_mut(), if terms.pace.is_some() => {
                if let Some(pace) = terms.pace.filter(|pace| in_window < pace.bytes) {
                    return Err(CollectError::Slow { bytes: in_window, within: pace.within });
                }
                in_window = 0;
                window.set(tokio::time::sleep(within));
                continue;
            }
        };
        let frame = match frame {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(CollectError::BrokenOff),
            Ok(None) => return Ok(pieces.into_bytes()),
            Err(_) => return Err(CollectError::Silent { after: terms.patience }),
        };
        let Ok(data) = frame.into_data() else { continue };
        in_window += data.len();
        if pieces.len() + data.len() > terms.cap {
            return Err(CollectError::TooLarge { cap: terms.cap });
        }
        let to_come = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(terms.cap);
        pieces.add(data, to_come, grant).map_err(CollectError::Memory)?;
    }
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// Adds a piece, after memory for it was granted. `to_come`: how much more has been announced.
    fn add(&mut self, data: Bytes, to_come: usize, grant: &mut MemoryGrant) -> Result<(), MemoryError> {
        let needed = self.len() + data.len();
        if needed == data.len() {
            grant.cover(needed)?;
            self.first = data;
            return Ok(());
        }
        if needed > self.joined.capacity() {
            // Doubled, as the buffer would do by itself, so that what it takes is what was granted.
            let room = (needed + to_come).max(self.joined.capacity() * 2).max(GRANT_STEP.min(needed * 2));
            grant.cover(room)?;
            self.joined.reserve(room - self.joined.len());
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&data);
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}
