//! Text as detectors read it, and where each byte of it stands in what was written.
//!
//! Written is the inside of a JSON string: escapes are undone, characters that only look different are made the same, and
//! characters that nobody sees are left out. A detector that reads `4111` finds it whether it was written `4111`,
//! `\u0034111`, `４１１１` or with a zero-width space between. What is found is cut out of the bytes as they were written.

pub(crate) mod fold;
pub(crate) mod latin;

use fold::Folded;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writing {
    /// As it is: a file, a line of a terminal.
    Plain,
    /// The inside of a JSON string.
    Json,
    /// JSON inside a JSON string: the arguments of a tool call. Two layers of escapes.
    JsonInJson,
}

/// Where the distance between the two sides changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    seen: usize,
    written: usize,
    /// In [`Writing::JsonInJson`]: whether what follows is inside a string of the inner text.
    quoted: bool,
}

/// A text that grows at its end and is forgotten from its beginning. Offsets are into what is kept.
#[derive(Debug, Clone)]
pub struct View {
    writing: Writing,
    seen: Vec<u8>,
    written: Vec<u8>,
    /// Sorted by both. The first stands at the beginning.
    anchors: Vec<Anchor>,
    /// Bytes at the end of `written` that are the beginning of something: an escape, one half of a surrogate pair.
    unread: usize,
}

/// Longest unfinished beginning that is waited for: a surrogate pair whose every byte is itself written as an escape.
const UNREAD_MAX: usize = 80;

impl View {
    pub fn new(writing: Writing) -> Self {
        let first = Anchor { seen: 0, written: 0, quoted: writing != Writing::JsonInJson };
        Self { writing, seen: Vec::new(), written: Vec::new(), anchors: vec![first], unread: 0 }
    }

    /// The whole of a text.
    pub fn of(writing: Writing, written: &[u8]) -> Self {
        let mut view = Self::new(writing);
        view.push(written);
        view.end();
        view
    }

    /// As detectors read it.
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// Adds what comes next. An escape that is cut off waits for its rest.
    pub fn push(&mut self, more: &[u8]) {
        let from = self.written.len() - self.unread;
        self.written.extend_from_slice(more);
        self.unread = 0;
        self.read_from(from, false);
    }

    /// Nothing comes any more: what waited for its rest is read as it stands.
    pub fn end(&mut self) {
        let from = self.written.len() - self.unread;
        self.unread = 0;
        self.read_from(from, true);
    }

    fn read_from(&mut self, mut at: usize, ended: bool) {
        while at < self.written.len() {
            let plain = self.plain_run(at);
            if plain > 0 {
                self.seen.extend_from_slice(self.written.get(at..at + plain).unwrap_or_default());
                at += plain;
                continue;
            }
            let rest = self.written.get(at..).unwrap_or_default();
            let Some(read) = read_char(self.writing, rest, ended) else {
                self.unread = rest.len();
                return;
            };
            self.add(read, at);
            at += read.length;
        }
    }

    /// Bytes from `at` on that stand for themselves.
    fn plain_run(&self, at: usize) -> usize {
        let rest = self.written.get(at..).unwrap_or_default();
        let stands = |byte: &u8| match self.writing {
            Writing::Plain => byte.is_ascii(),
            Writing::Json => byte.is_ascii() && *byte != b'\\',
            Writing::JsonInJson => byte.is_ascii() && *byte != b'\\' && *byte != b'"',
        };
        // Whole blocks first, without a branch inside: nearly all text is nothing but plain.
        let (blocks, _) = rest.as_chunks::<32>();
        let all_stand = |block: &&[u8; 32]| block.iter().fold(true, |all, byte| all & stands(byte));
        let whole = blocks.iter().take_while(all_stand).count() * 32;
        let tail = rest.get(whole..).unwrap_or_default();
        whole + tail.iter().position(|byte| !stands(byte)).unwrap_or(tail.len())
    }

    fn add(&mut self, read: Read, at: usize) {
        let was_quoted = self.anchors.last().is_none_or(|anchor| anchor.quoted);
        let quoted = was_quoted ^ read.toggles_quote;
        let before = self.seen.len();
        // A quote belongs to the outside on both of its sides.
        let here = Anchor { seen: before, written: at, quoted: was_quoted && quoted };
        self.mark(here);
        match fold::fold(read.character) {
            // Where the text before it ends is then not where the text behind it begins.
            Folded::Nothing => self.anchors.push(here),
            Folded::Ascii(byte) => self.seen.push(byte),
            Folded::Itself => {
                let mut buffer = [0; 4];
                self.seen.extend_from_slice(read.character.encode_utf8(&mut buffer).as_bytes());
            }
        }
        self.mark(Anchor { seen: self.seen.len(), written: at + read.length, quoted });
    }

    fn mark(&mut self, anchor: Anchor) {
        let implied = self.anchors.last().is_some_and(|last| {
            last.quoted == anchor.quoted
                && anchor.written.checked_sub(last.written) == anchor.seen.checked_sub(last.seen)
                && anchor.seen >= last.seen
        });
        if !implied {
            self.anchors.push(anchor);
        }
    }

    /// Where a piece of the seen text that begins at `seen` begins in what was written.
    pub fn written_start(&self, seen: usize) -> usize {
        let behind = self.anchors.partition_point(|anchor| anchor.seen <= seen);
        self.place(behind.saturating_sub(1), seen)
    }

    /// Where a piece of the seen text that ends before `seen` ends in what was written.
    pub fn written_end(&self, seen: usize) -> usize {
        let reached = self.anchors.partition_point(|anchor| anchor.seen < seen);
        match self.anchors.get(reached) {
            Some(anchor) if anchor.seen == seen => anchor.written,
            _ => self.place(reached.saturating_sub(1), seen),
        }
    }

    /// Whether the byte at `seen` stands inside a string of the inner text. Always, where there is no inner text.
    pub fn is_quoted(&self, seen: usize) -> bool {
        let behind = self.anchors.partition_point(|anchor| anchor.seen <= seen);
        self.anchors.get(behind.saturating_sub(1)).is_none_or(|anchor| anchor.quoted)
    }

    fn place(&self, anchor: usize, seen: usize) -> usize {
        self.anchors.get(anchor).map_or(seen, |anchor| anchor.written + (seen - anchor.seen))
    }

    /// Forgets what stands before `seen`. Characters that nobody sees just before it stay.
    pub fn forget(&mut self, seen: usize) {
        let written = self.written_end(seen);
        let gone = |anchor: &Anchor| anchor.seen < seen || (anchor.seen == seen && anchor.written <= written);
        let kept = self.anchors.partition_point(gone);
        let quoted = self.anchors.get(kept.saturating_sub(1)).is_none_or(|anchor| anchor.quoted);
        self.anchors.drain(..kept);
        for anchor in &mut self.anchors {
            anchor.seen -= seen;
            anchor.written -= written;
        }
        self.anchors.insert(0, Anchor { seen: 0, written: 0, quoted });
        self.seen.drain(..seen);
        self.written.drain(..written);
    }
}

/// One character, and how many bytes it was written in.
#[derive(Debug, Clone, Copy)]
struct Read {
    character: char,
    length: usize,
    toggles_quote: bool,
}

/// What stands where a character should and is none: half a surrogate pair, half a sequence of UTF-8.
const NONE: char = char::REPLACEMENT_CHARACTER;

/// The character that `rest` begins with. `None`: its end has not come yet.
fn read_char(writing: Writing, rest: &[u8], ended: bool) -> Option<Read> {
    match writing {
        Writing::Plain => utf8(rest, ended).map(|(character, length)| read(character, length)),
        Writing::Json => {
            let outer = |at: usize| unit(rest, at, ended);
            escaped(outer, ended, false).or_else(|| cut_off(rest, ended))
        }
        Writing::JsonInJson => inner(rest, ended).or_else(|| cut_off(rest, ended)),
    }
}

fn read(character: char, length: usize) -> Read {
    Read { character, length, toggles_quote: false }
}

/// An escape that never ends is read a byte at a time.
fn cut_off(rest: &[u8], ended: bool) -> Option<Read> {
    let first = *rest.first()?;
    (ended || rest.len() > UNREAD_MAX)
        .then(|| read(if first.is_ascii() { char::from(first) } else { NONE }, 1))
}

/// The bytes of one layer, one at a time or a whole character where it is not ASCII.
type Unit = (char, usize);

fn unit(rest: &[u8], at: usize, ended: bool) -> Option<Unit> {
    utf8(rest.get(at..)?, ended)
}

fn utf8(rest: &[u8], ended: bool) -> Option<Unit> {
    let first = *rest.first()?;
    let length = match first {
        0..0x80 => return Some((char::from(first), 1)),
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((NONE, 1)),
    };
    match rest.get(..length) {
        Some(bytes) => {
            let read = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
            Some(read.map_or((NONE, 1), |character| (character, length)))
        }
        None => ended.then_some((NONE, 1)),
    }
}

/// The character that an escape, or a character that is none, stands for. `next` gives the units of the layer below by
/// their place.
fn escaped(next: impl Fn(usize) -> Option<Unit>, ended: bool, inner: bool) -> Option<Read> {
    let (first, length) = next(0)?;
    if first != '\\' {
        return Some(Read { character: first, length, toggles_quote: inner && first == '"' });
    }
    let (kind, kind_length) = next(length)?;
    let after = length + kind_length;
    let simple = match kind {
        'u' => None,
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        other => Some(other),
    };
    if let Some(character) = simple {
        return Some(read(character, after));
    }
    let Hex::Read(high, after_high) = hex(&next, after) else {
        return none_or_wait(hex(&next, after), length);
    };
    if !(0xD800..0xDC00).contains(&high) {
        return Some(read(char::from_u32(high).unwrap_or(NONE), after_high));
    }
    let lone = Some(read(NONE, after_high));
    // The other half of the pair must follow at once.
    let waits = if ended { lone } else { None };
    let Some((slash, slash_length)) = next(after_high) else { return waits };
    if slash != '\\' {
        return lone;
    }
    let at = after_high + slash_length;
    let Some((kind, length)) = next(at) else { return waits };
    if kind != 'u' {
        return lone;
    }
    match hex(&next, at + length) {
        Hex::Read(low, end) if (0xDC00..0xE000).contains(&low) => {
            let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            Some(read(char::from_u32(code).unwrap_or(NONE), end))
        }
        Hex::Cut => waits,
        _ => lone,
    }
}

fn none_or_wait(found: Hex, length: usize) -> Option<Read> {
    match found {
        Hex::Cut => None,
        _ => Some(read('\\', length)),
    }
}

enum Hex {
    Read(u32, usize),
    Cut,
    Wrong,
}

fn hex(next: &impl Fn(usize) -> Option<Unit>, mut at: usize) -> Hex {
    let mut code = 0;
    for _ in 0..4 {
        let Some((digit, length)) = next(at) else { return Hex::Cut };
        let Some(value) = digit.to_digit(16) else { return Hex::Wrong };
        code = code * 16 + value;
        at += length;
    }
    Hex::Read(code, at)
}

/// A character behind two layers of escapes.
fn inner(rest: &[u8], ended: bool) -> Option<Read> {
    let outer = |at: usize| {
        let units = |deeper: usize| unit(rest, at + deeper, ended);
        escaped(units, ended, false).map(|read| (read.character, read.length))
    };
    escaped(outer, ended, true)
}
