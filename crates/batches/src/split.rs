//! Lines in a file that comes in pieces.

/// What the splitter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// Without what ended it.
    Line { number: u64, bytes: Vec<u8> },
    /// None of it is held.
    TooLong { number: u64 },
}

/// Finds lines. Blank ones are counted and passed over; a line may end in `\r\n`, and the last one at the end of the
/// file. A byte order mark before the first is dropped.
#[derive(Debug)]
pub struct LineSplitter {
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    taken: usize,
    /// Of the line that is coming in.
    number: u64,
    /// It is longer than allowed, and the rest of it is passed over.
    skips: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl LineSplitter {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, buffer: Vec::new(), taken: 0, number: 1, skips: false }
    }

    /// Takes the next piece of the file. [`LineSplitter::next_line`] is to be asked until it has no more.
    pub fn feed(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next line that is complete.
    pub fn next_line(&mut self) -> Option<Split> {
        loop {
            let rest = self.buffer.get(self.taken..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if rest.len() > self.bytes_max.saturating_add(BYTE_ORDER_MARK.len() + 1) {
                    self.skips = true;
                    self.taken = self.buffer.len();
                }
                return None;
            };
            let line = rest.get(..end).unwrap_or_default().to_vec();
            self.taken += end + 1;
            if let Some(found) = self.found(line) {
                return Some(found);
            }
        }
    }

    /// What the file ends in.
    pub fn finish(mut self) -> Option<Split> {
        let line = self.buffer.split_off(self.taken.min(self.buffer.len()));
        self.found(line)
    }

    fn found(&mut self, mut line: Vec<u8>) -> Option<Split> {
        let number = self.number;
        self.number += 1;
        if number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if std::mem::take(&mut self.skips) || line.len() > self.bytes_max {
            return Some(Split::TooLong { number });
        }
        (!line.iter().all(u8::is_ascii_whitespace)).then_some(Split::Line { number, bytes: line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(file: &[u8], sizes: &[usize], bytes_max: usize) -> Vec<Split> {
        let mut splitter = LineSplitter::new(bytes_max);
        let mut found = Vec::new();
        let mut rest = file;
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            splitter.feed(piece);
            assert!(
                splitter.buffer.len() <= bytes_max + 5 + piece.len(),
                "holds more than a line and a piece"
            );
            found.extend(std::iter::from_fn(|| splitter.next_line()));
            rest = after;
        }
        found.extend(splitter.finish());
        found
    }

    /// The same, from the file as a whole.
    fn expected(file: &[u8], bytes_max: usize) -> Vec<Split> {
        let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
        let lines = (1..).zip(file.split(|byte| *byte == b'\n'));
        let found = lines.map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)));
        found
            .filter(|(_, line)| line.len() > bytes_max || !line.iter().all(u8::is_ascii_whitespace))
            .map(|(number, line)| match line.len() > bytes_max {
                true => Split::TooLong { number },
                false => Split::Line { number, bytes: line.to_vec() },
            })
            .collect()
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_file_is_cut(
            file in "(\u{feff})?([a-z{} ]{0,12}(\r|\n|\r\n)){0,12}[a-z]{0,12}",
            sizes in prop::collection::vec(1usize..9, 1..6),
            bytes_max in 1usize..14,
        ) {
            prop_assert_eq!(split(file.as_bytes(), &sizes, bytes_max), expected(file.as_bytes(), bytes_max));
        }

        #[test]
        fn any_bytes_are_split_or_passed_over(file: Vec<u8>, size in 1usize..40) {
            prop_assert_eq!(split(&file, &[size], 16), expected(&file, 16));
        }
    }
}
