//! Output and error file, put together from the input and the journal: in the order of the input, each line once.

use crate::batches::journal::{Kept, Results};
use crate::batches::lines::Lines;
use crate::batches::refusal::BatchRefusal;
use crate::batches::store::Batches;
use hermetic_batches::ResultLine;
use hermetic_content_store::SealedWriter;
use hermetic_ids::{BatchId, FileId};
use std::collections::BTreeMap;

/// What is sealed as one piece.
const PIECE_BYTES: usize = 256 << 10;

/// A file that was written and that nobody sees yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) file: FileId,
    pub(crate) bytes: u64,
}

/// What goes into the files.
pub(crate) struct Assembly {
    pub(crate) batches: Batches,
    pub(crate) batch: BatchId,
    pub(crate) endpoint: String,
    pub(crate) input: FileId,
    pub(crate) line_bytes_max: usize,
    pub(crate) results: BTreeMap<u64, Kept>,
    /// What is said of lines without a result.
    pub(crate) unasked: ResultLine<'static>,
    /// For the two files.
    pub(crate) ids: (FileId, FileId),
}

/// A file that is begun with its first line.
struct Writing {
    file: FileId,
    writer: Option<SealedWriter>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Assembly {
    /// Writes both files; one that would be empty is not there. Blocks.
    pub(crate) fn write(self) -> Result<(Option<Written>, Option<Written>), BatchRefusal> {
        let (output, errors) = self.ids;
        let written = self.write_lines();
        if written.is_err() {
            self.batches.discard(output);
            self.batches.discard(errors);
        }
        written
    }

    fn write_lines(&self) -> Result<(Option<Written>, Option<Written>), BatchRefusal> {
        let (mut output, mut errors) = (Writing::new(self.ids.0), Writing::new(self.ids.1));
        let mut lines = Lines::open(&self.batches, self.input, self.line_bytes_max)?;
        let mut bodies = Results::new(self.batches.clone(), self.batch);
        while let Some(line) = lines.next_request(&self.endpoint)? {
            let write = |result: &ResultLine<'_>| result.write(self.batch, line.number, &line.custom_id);
            match self.results.get(&line.number) {
                Some(kept) => {
                    let body = bodies.at(kept)?;
                    let (status, request) = (kept.status, kept.request);
                    let text = write(&ResultLine::Response { status, request, body: &body });
                    let into = if is_answer(status) { &mut output } else { &mut errors };
                    into.line(&self.batches, &text)?;
                }
                None => errors.line(&self.batches, &write(&self.unasked))?,
            }
        }
        Ok((output.finish(&self.batches)?, errors.finish(&self.batches)?))
    }
}

/// Whether a result goes into the output, not into the error file.
pub(crate) fn is_answer(status: u16) -> bool {
    (200..300).contains(&status)
}

impl Writing {
    fn new(file: FileId) -> Self {
        Self { file, writer: None, buffer: Vec::new(), bytes: 0 }
    }

    fn line(&mut self, batches: &Batches, text: &[u8]) -> Result<(), BatchRefusal> {
        self.buffer.extend_from_slice(text);
        self.bytes += text.len() as u64;
        if self.buffer.len() >= PIECE_BYTES { self.flush(batches) } else { Ok(()) }
    }

    fn flush(&mut self, batches: &Batches) -> Result<(), BatchRefusal> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(batches.create(self.file)?),
        };
        writer.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self, batches: &Batches) -> Result<Option<Written>, BatchRefusal> {
        if self.bytes == 0 {
            return Ok(None);
        }
        if !self.buffer.is_empty() {
            self.flush(batches)?;
        }
        if let Some(writer) = self.writer {
            writer.finish()?;
        }
        Ok(Some(Written { file: self.file, bytes: self.bytes }))
    }
}
