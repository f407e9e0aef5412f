//! What a line of a batch brings along through the pipeline.

use crate::batches::journal::{Appending, Kept};
use bytes::Bytes;
use hermetic_content_store::ContentError;
use hermetic_ids::RequestId;
use hermetic_ledger::record::BatchLine;
use std::cell::Cell;
use std::rc::Rc;

/// The line that a request stands for, and where its answer is kept before the request is settled.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    line: BatchLine,
    journal: Appending,
    /// Told to the runner, who holds the other clone.
    kept: Rc<Cell<Option<Kept>>>,
}

impl Ticket {
    pub(crate) fn new(line: BatchLine, journal: Appending) -> Self {
        Self { line, journal, kept: Rc::default() }
    }

    pub(crate) fn line(&self) -> BatchLine {
        self.line
    }

    /// Returns when the answer is durable. The settling record comes behind it.
    pub(crate) async fn keep(
        &self,
        request: RequestId,
        admitted: u64,
        (status, body): (u16, &Bytes),
    ) -> Result<(), ContentError> {
        let kept = self.journal.answer((self.line.line, request, admitted), status, body.clone()).await?;
        self.kept.set(Some(kept));
        Ok(())
    }

    /// What was kept of the request, once.
    pub(crate) fn take_kept(&self) -> Option<Kept> {
        self.kept.take()
    }
}
