//! The lines of a batch's input, read from its sealed file: all at once to look for mistakes, a few at a time to be asked.

use crate::batches::refusal::BatchRefusal;
use crate::batches::store::Batches;
use hermetic_batches::{Line, LineMistake, LineSplitter, Mistake, Seen, Split};
use hermetic_content_store::SealedReader;
use hermetic_ids::FileId;
use std::collections::VecDeque;

/// Mistakes after which no more are looked for.
const MISTAKES_ENOUGH: usize = 100;

/// Lines of an input, in order. Blocks.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: SealedReader,
    /// `None`: the file has ended.
    splitter: Option<LineSplitter>,
    ready: VecDeque<Split>,
}

impl Lines {
    pub(crate) fn open(batches: &Batches, file: FileId, bytes_max: usize) -> Result<Self, BatchRefusal> {
        let reader = batches.read(file)?;
        Ok(Self { reader, splitter: Some(LineSplitter::new(bytes_max)), ready: VecDeque::new() })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Split>, BatchRefusal> {
        loop {
            if let Some(split) = self.ready.pop_front() {
                return Ok(Some(split));
            }
            let Some(splitter) = &mut self.splitter else { return Ok(None) };
            match self.reader.piece()? {
                Some(piece) => {
                    splitter.feed(&piece);
                    self.ready.extend(std::iter::from_fn(|| splitter.next_line()));
                }
                None => self.ready.extend(self.splitter.take().and_then(LineSplitter::finish)),
            }
        }
    }

    /// The next line, if it is a request and was read already. Does not block.
    pub(crate) fn at_hand(&mut self, endpoint: &str) -> Option<Line> {
        match self.ready.pop_front()? {
            Split::Line { number, bytes } => Line::read(number, &bytes, endpoint).ok(),
            Split::TooLong { .. } => None,
        }
    }

    /// The next line that is a request. The others were looked at before the batch began, and none was found.
    pub(crate) fn next_request(&mut self, endpoint: &str) -> Result<Option<Line>, BatchRefusal> {
        while let Some(split) = self.next()? {
            if let Split::Line { number, bytes } = split
                && let Ok(line) = Line::read(number, &bytes, endpoint)
            {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// How many requests the input has, or what is wrong with it. Blocks.
pub(crate) fn check(
    lines: &mut Lines,
    endpoint: &str,
    (lines_max, bytes_max): (u64, usize),
) -> Result<Result<u64, Vec<Mistake>>, BatchRefusal> {
    let (mut total, mut mistakes, mut seen) = (0, Vec::new(), Seen::default());
    while let Some(split) = lines.next()? {
        let (number, read) = match split {
            Split::TooLong { number } => (number, Err(LineMistake::TooLong { bytes_max })),
            Split::Line { number, bytes } => {
                let read = Line::read(number, &bytes, endpoint);
                (number, read.and_then(|line| seen.once(&line)))
            }
        };
        total += 1;
        if let Err(mistake) = read {
            mistakes.push(mistake.at(number));
        }
        if total > lines_max {
            mistakes
                .push(of_file("too_many_lines", format!("expected at most {lines_max} lines, found more")));
        }
        if total > lines_max || mistakes.len() >= MISTAKES_ENOUGH {
            break;
        }
    }
    if total == 0 {
        mistakes.push(of_file("empty_file", "expected a file with at least one line".to_owned()));
    }
    Ok(if mistakes.is_empty() { Ok(total) } else { Err(mistakes) })
}

fn of_file(code: &str, message: String) -> Mistake {
    Mistake { code: code.to_owned(), message, param: Some("input_file_id".to_owned()), line: None }
}
