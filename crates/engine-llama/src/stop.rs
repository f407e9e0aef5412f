//! From token bytes to text that may be shown: stop strings never leak, characters are never cut.
//!
//! Invariant: what is released does not depend on how the bytes were cut into tokens.

/// Holds back exactly what may still become a stop string or the rest of a character.
#[derive(Debug)]
pub(crate) struct StopFilter {
    stops: Vec<Vec<u8>>,
    held: Vec<u8>,
}

/// What one step sets free.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) text: String,
    /// Bytes of input that `text` stands for (they differ when a token spells no valid UTF-8).
    pub(crate) bytes: usize,
    pub(crate) stopped: bool,
}

impl StopFilter {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops =
            stops.iter().filter(|stop| !stop.is_empty()).map(|stop| stop.clone().into_bytes()).collect();
        Self { stops, held: Vec::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Released {
        self.held.extend_from_slice(bytes);
        if let Some(at) = self.first_stop() {
            let released = self.release(at);
            self.held.clear();
            return Released { stopped: true, ..released };
        }
        let may_stop = self.partial_stop();
        let cut =
            if may_stop > 0 { self.held.len() - may_stop } else { self.held.len() - unfinished(&self.held) };
        self.release(cut)
    }

    /// The end of the answer: nothing can be completed any more.
    pub(crate) fn finish(&mut self) -> Released {
        self.release(self.held.len())
    }

    /// Start of the stop string that is complete first. By its end, so that the answer is the same whether the bytes
    /// came one at a time or all at once.
    fn first_stop(&self) -> Option<usize> {
        let found =
            self.stops.iter().filter_map(|stop| find(&self.held, stop).map(|at| (at + stop.len(), at)));
        found.min().map(|(_, at)| at)
    }

    /// Length of the longest tail that begins some stop string.
    fn partial_stop(&self) -> usize {
        let longest = |stop: &Vec<u8>| {
            let most = self.held.len().min(stop.len() - 1);
            (1..=most).rev().find(|n| self.held.ends_with(stop.get(..*n).unwrap_or(stop))).unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }

    fn release(&mut self, cut: usize) -> Released {
        let rest = self.held.split_off(cut);
        let out = std::mem::replace(&mut self.held, rest);
        Released { text: String::from_utf8_lossy(&out).into_owned(), bytes: out.len(), stopped: false }
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Bytes at the end that begin a character without ending it.
pub(crate) fn unfinished(bytes: &[u8]) -> usize {
    let tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or(bytes);
    for (back, byte) in tail.iter().rev().enumerate() {
        let length = match byte {
            0b1100_0000..=0b1101_1111 => 2,
            0b1110_0000..=0b1110_1111 => 3,
            0b1111_0000..=0b1111_0111 => 4,
            0b1000_0000..=0b1011_1111 => continue,
            _ => return 0,
        };
        return if back + 1 < length { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[String], pieces: &[&[u8]]) -> (String, bool) {
        let mut filter = StopFilter::new(stops);
        let mut text = String::new();
        for piece in pieces {
            let released = filter.push(piece);
            text.push_str(&released.text);
            if released.stopped {
                return (text, true);
            }
        }
        text.push_str(&filter.finish().text);
        (text, false)
    }

    #[test]
    fn a_stop_string_across_pieces_never_leaks() {
        let stops = ["\n\nUser:".to_owned()];
        assert_eq!(run(&stops, &[b"Paris.\n", b"\nUs", b"er: and"]), ("Paris.".to_owned(), true));
        assert_eq!(run(&stops, &[b"Paris.\n", b"\nUs", b"ed"]), ("Paris.\n\nUsed".to_owned(), false));
    }

    #[test]
    fn text_flows_at_once_when_nothing_can_stop_it() {
        let mut filter = StopFilter::new(&["END".to_owned()]);
        assert_eq!(filter.push(b"hello E").text, "hello ");
        assert_eq!(filter.push(b"x").text, "Ex");
    }

    #[test]
    fn a_character_is_released_whole() {
        let mut filter = StopFilter::new(&[]);
        let snowman = "☃".as_bytes();
        assert_eq!(filter.push(&snowman[..2]).text, "");
        assert_eq!(filter.push(&snowman[2..]).text, "☃");
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(
            text in "[abü☃]{0,24}",
            stops in prop::collection::vec("[abü☃]{1,4}", 0..4),
            cuts in prop::collection::vec(1_usize..5, 1..40),
        ) {
            let bytes = text.as_bytes();
            let mut pieces = Vec::new();
            let (mut at, mut cuts) = (0, cuts.into_iter().cycle());
            while at < bytes.len() {
                let end = (at + cuts.next().unwrap_or(1)).min(bytes.len());
                pieces.push(&bytes[at..end]);
                at = end;
            }
            let singles: Vec<&[u8]> = bytes.chunks(1).collect();
            let (released, stopped) = run(&stops, &pieces);
            prop_assert_eq!((released.clone(), stopped), run(&stops, &singles));
            prop_assert!(text.starts_with(&released));
            for stop in &stops {
                prop_assert!(!released.contains(stop.as_str()), "{released:?} holds {stop:?}");
            }
            prop_assert_eq!(stopped, stops.iter().any(|stop| text.contains(stop.as_str())));
            if !stopped { prop_assert_eq!(released, text); }
        }
    }
}
