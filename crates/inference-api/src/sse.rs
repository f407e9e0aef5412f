//! Server-sent events, found in a stream of bytes that may be cut anywhere (WHATWG HTML §9.2, "event stream").
//!
//! An event is handed on with the bytes it came in, the blank line that ends it included, so that forwarding events
//! is forwarding bytes. Lines may end in LF, CR LF or CR. A CR that ends the bytes at hand may be half a CR LF, so the
//! scanner waits for the next byte before it calls an event complete: only so does every cut give the same events.

use bytes::{Buf, Bytes, BytesMut};
use std::borrow::Cow;

/// One event and the bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub raw: Bytes,
}

/// An event that outgrows what the reader is willing to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an event of at most {cap} bytes, found more")]
pub struct EventTooLarge {
    pub cap: usize,
}

/// Cuts a stream into events.
#[derive(Debug)]
pub struct EventScanner {
    pending: BytesMut,
    /// Whole chunks that arrived while nothing was pending are cut without being copied.
    direct: Bytes,
    /// Start of the first line of `pending` whose end has not been seen: whole lines are not looked at twice.
    resume_at: usize,
    event_bytes_max: usize,
}

impl EventScanner {
    pub fn new(event_bytes_max: usize) -> Self {
        Self { pending: BytesMut::new(), direct: Bytes::new(), resume_at: 0, event_bytes_max }
    }

    /// Takes the next piece of the stream. Call [`EventScanner::next_event`] until it is `None` before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        if self.pending.is_empty() && self.direct.is_empty() {
            self.direct = chunk;
            return;
        }
        self.stash();
        self.pending.extend_from_slice(&chunk);
    }

    /// The next complete event, if there is one.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        if !self.direct.is_empty() {
            if let Found::End(end) = event_end(&self.direct, 0) {
                return self.sized(end).map(|()| Some(Event { raw: self.direct.split_to(end) }));
            }
            self.stash();
        }
        match event_end(&self.pending, self.resume_at) {
            Found::End(end) => {
                self.resume_at = 0;
                self.sized(end).map(|()| Some(Event { raw: self.pending.split_to(end).freeze() }))
            }
            Found::NotYet { line_start } => {
                self.resume_at = line_start;
                self.sized(self.pending.len()).map(|()| None)
            }
        }
    }

    /// What is left when the stream ends: bytes that no blank line ended, or that ended in a CR.
    pub fn finish(mut self) -> Option<Event> {
        self.stash();
        (!self.pending.is_empty()).then(|| Event { raw: self.pending.freeze() })
    }

    fn stash(&mut self) {
        if !self.direct.is_empty() {
            self.pending.extend_from_slice(&self.direct);
            self.direct.advance(self.direct.len());
        }
    }

    fn sized(&self, bytes: usize) -> Result<(), EventTooLarge> {
        if bytes > self.event_bytes_max { Err(EventTooLarge { cap: self.event_bytes_max }) } else { Ok(()) }
    }
}

/// Whether an event is complete.
enum Found {
    /// It ends here, behind its blank line.
    End(usize),
    /// Not yet; the last line that has not ended starts here.
    NotYet { line_start: usize },
}

/// Looks for the end of the first event of `bytes`, from the start of a line on.
fn event_end(bytes: &[u8], mut line_start: usize) -> Found {
    loop {
        let rest = bytes.get(line_start..).unwrap_or_default();
        let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else { return Found::NotYet { line_start } };
        let behind = match (rest.get(length), rest.get(length + 1)) {
            (Some(b'\r'), Some(b'\n')) => length + 2,
            // Half a CR LF, perhaps.
            (Some(b'\r'), None) => return Found::NotYet { line_start },
            _ => length + 1,
        };
        if length == 0 {
            return Found::End(line_start + behind);
        }
        line_start += behind;
    }
}

impl Event {
    /// The text of the `data` fields, joined by LF; `None` when there are none, as in a comment.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut data: Option<Cow<'_, [u8]>> = None;
        for line in self.raw.split(|&b| b == b'\n' || b == b'\r') {
            let Some(value) = field(line, b"data") else { continue };
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => {
                    let mut joined = before.into_owned();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Cow::Owned(joined)
                }
            });
        }
        data
    }

    /// Whether this is the `[DONE]` with which a stream of the OpenAI API ends.
    pub fn is_done(&self) -> bool {
        self.data().is_some_and(|data| data.as_ref() == b"[DONE]")
    }
}

/// The value of a line `name: value`; one space after the colon is not part of it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(chunks: &[&[u8]]) -> (Vec<Bytes>, Option<Bytes>) {
        let mut scanner = EventScanner::new(1 << 20);
        let mut events = Vec::new();
        for chunk in chunks {
            scanner.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = scanner.next_event().unwrap() {
                events.push(event.raw);
            }
        }
        (events, scanner.finish().map(|event| event.raw))
    }

    #[test]
    fn a_chunk_that_is_an_event_is_not_copied() {
        let chunk = Bytes::from_static(b"data: {}\n\n");
        let mut scanner = EventScanner::new(100);
        scanner.push(chunk.clone());
        assert_eq!(scanner.next_event().unwrap().unwrap().raw.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn data_is_read_as_the_standard_says() {
        let data = |raw: &'static [u8]| {
            Event { raw: Bytes::from_static(raw) }.data().map(|d| String::from_utf8_lossy(&d).into_owned())
        };
        assert_eq!(data(b"data: a\n\n").as_deref(), Some("a"));
        assert_eq!(data(b"data:a\r\n\r\n").as_deref(), Some("a"));
        assert_eq!(data(b"event: x\ndata:  a\ndata\ndata:b\n\n").as_deref(), Some(" a\n\nb"));
        assert_eq!(data(b": keep-alive\n\n"), None);
        assert_eq!(data(b"database: x\n\n"), None);
        assert!(Event { raw: Bytes::from_static(b"data: [DONE]\n\n") }.is_done());
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_cap() {
        let mut scanner = EventScanner::new(8);
        scanner.push(Bytes::from_static(b"data: 123456789"));
        assert_eq!(scanner.next_event(), Err(EventTooLarge { cap: 8 }));
    }

    proptest! {
        /// However a stream is cut, the events are the same and nothing is lost.
        #[test]
        fn any_cut_gives_the_same_events(stream in "(data: ?[a\\[{]{0,3}|: c|event: x|)?(\n|\r\n|\r|\n\n|\r\n\r\n|\r\r|x){0,3}((data: ?[a\\[{]{0,3}|: c|event: x|)(\n|\r\n|\r|\n\n|\r\n\r\n)){0,6}", cuts in proptest::collection::vec(0usize..80, 0..12)) {
            let bytes = stream.as_bytes();
            let whole = scan(&[bytes]);
            let mut at: Vec<usize> = cuts.into_iter().filter(|&c| c <= bytes.len()).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(&scan(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&scan(&single), &whole);
            let joined: Vec<u8> = whole.0.iter().chain(whole.1.as_ref()).flat_map(|b| b.to_vec()).collect();
            prop_assert_eq!(joined, bytes);
        }
    }
}
