//! Byte-pair encoding: the symbols of a word are merged, the pair that was learned first each time, until no pair is
//! left that was learned.
//!
//! Most words of a text are tokens themselves; which words those are is worked out when the vocabulary is read, so that
//! counting one is one look into a table. Nothing of a text is remembered.

use crate::byte_text::{ByteText, character_of};
use crate::error::TokenizerError;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Words up to this many bytes are merged by looking at all pairs for the best each time; a heap pays from about here.
const SHORT: usize = 64;
const NO_PAIR: u32 = u32::MAX;

/// Two symbols that become one.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Order in which it was learned; the least goes first.
    rank: u32,
    symbol: u32,
}

/// A byte-level vocabulary with its merges.
#[derive(Debug)]
pub(crate) struct Bpe {
    /// The symbol of each byte.
    bytes: Vec<u32>,
    merges: FxHashMap<(u32, u32), Merge>,
    /// Words that come out as one token.
    whole: FxHashSet<Box<[u8]>>,
    /// Symbols below are tokens.
    tokens: u32,
    /// What each symbol beyond costs: merges may name texts the vocabulary lacks, which are then written byte by byte.
    cost_beyond: Vec<u64>,
}

/// Room for one word, used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    symbols: Vec<u32>,
    ranks: Vec<u32>,
}

impl Bpe {
    /// `merges` in the order they were learned. `whole_first`: a word that is a token is that token, whatever the merges
    /// would make of it.
    pub(crate) fn new(
        tokens: &[String],
        merges: &[(&str, &str)],
        whole_first: bool,
    ) -> Result<Self, TokenizerError> {
        let too_many = |_| TokenizerError::Malformed { key: "tokens", expected: "at most 2^32 tokens" };
        let mut names = Names::new(tokens).map_err(too_many)?;
        let bytes = (0..=255).map(|byte| names.symbol(character_of(byte).encode_utf8(&mut [0; 4]))).collect();
        let mut table = FxHashMap::default();
        table.reserve(merges.len());
        for (rank, (left, right)) in (0..).zip(merges) {
            let pair = (names.symbol(left), names.symbol(right));
            let symbol = names.symbol(&format!("{left}{right}"));
            // As the engines do, the first of two equal merges counts.
            table.entry(pair).or_insert(Merge { rank, symbol });
        }
        let cost_beyond = names.cost_beyond();
        let mut bpe =
            Self { bytes, merges: table, whole: FxHashSet::default(), tokens: names.known, cost_beyond };
        bpe.whole = bpe.whole_words(tokens, whole_first);
        Ok(bpe)
    }

    fn whole_words(&self, tokens: &[String], whole_first: bool) -> FxHashSet<Box<[u8]>> {
        let text = ByteText::new();
        let mut scratch = Scratch::default();
        let bytes = tokens.iter().filter_map(|token| text.bytes(token));
        bytes
            .filter(|bytes| whole_first || self.merged(bytes, &mut scratch) == 1)
            .map(Vec::into_boxed_slice)
            .collect()
    }

    /// Tokens of one word.
    pub(crate) fn count(&self, word: &[u8], scratch: &mut Scratch) -> u64 {
        if self.whole.contains(word) { 1 } else { self.merged(word, scratch) }
    }

    fn merged(&self, word: &[u8], scratch: &mut Scratch) -> u64 {
        let symbols = word.iter().map(|byte| self.bytes.get(usize::from(*byte)).copied().unwrap_or(0));
        scratch.symbols.clear();
        scratch.symbols.extend(symbols);
        if word.len() <= SHORT {
            self.merge_short(scratch);
            scratch.symbols.iter().map(|symbol| self.cost(*symbol)).sum()
        } else {
            let left = self.merge_long(&scratch.symbols);
            left.map(|symbol| self.cost(symbol)).sum()
        }
    }

    fn cost(&self, symbol: u32) -> u64 {
        match symbol.checked_sub(self.tokens) {
            None => 1,
            Some(beyond) => self.cost_beyond.get(beyond as usize).copied().unwrap_or(0),
        }
    }

    fn rank(&self, left: Option<&u32>, right: Option<&u32>) -> u32 {
        let (Some(left), Some(right)) = (left, right) else { return NO_PAIR };
        self.merges.get(&(*left, *right)).map_or(NO_PAIR, |merge| merge.rank)
    }

    fn merge_short(&self, scratch: &mut Scratch) {
        let Scratch { symbols, ranks } = scratch;
        ranks.clear();
        ranks.extend(symbols.windows(2).map(|pair| self.rank(pair.first(), pair.last())));
        loop {
            // The first of the best: equal pairs are merged from the left.
            let Some((at, _)) = ranks.iter().enumerate().min_by_key(|(_, rank)| **rank) else { return };
            let pair = (symbols.get(at).copied(), symbols.get(at + 1).copied());
            let (Some(left), Some(right)) = pair else { return };
            let Some(merge) = self.merges.get(&(left, right)) else { return };
            symbols.remove(at + 1);
            ranks.remove(at);
            if let Some(slot) = symbols.get_mut(at) {
                *slot = merge.symbol;
            }
            if let Some(before) = at.checked_sub(1) {
                let rank = self.rank(symbols.get(before), symbols.get(at));
                ranks.get_mut(before).into_iter().for_each(|slot| *slot = rank);
            }
            let rank = self.rank(symbols.get(at), symbols.get(at + 1));
            ranks.get_mut(at).into_iter().for_each(|slot| *slot = rank);
        }
    }

    /// The same in n log n. Pairs wait in a heap; one whose symbols have changed since is passed over.
    fn merge_long(&self, symbols: &[u32]) -> impl Iterator<Item = u32> + use<> {
        let mut chain = Chain::new(symbols);
        let mut waiting = BinaryHeap::new();
        let offer = |chain: &Chain, waiting: &mut BinaryHeap<_>, at: usize| {
            if let Some(pair) = chain.pair(at)
                && let Some(merge) = self.merges.get(&pair)
            {
                waiting.push(Reverse((merge.rank, at, pair, merge.symbol)));
            }
        };
        for at in 0..symbols.len() {
            offer(&chain, &mut waiting, at);
        }
        while let Some(Reverse((_, at, pair, symbol))) = waiting.pop() {
            if chain.pair(at) != Some(pair) {
                continue;
            }
            chain.merge(at, symbol);
            if let Some(before) = chain.before(at) {
                offer(&chain, &mut waiting, before);
            }
            offer(&chain, &mut waiting, at);
        }
        chain.links.into_iter().filter(|link| link.alive).map(|link| link.symbol)
    }
}

/// Symbols of a long word, linked.
struct Chain {
    links: Vec<Link>,
}

struct Link {
    symbol: u32,
    before: usize,
    next: usize,
    alive: bool,
}

impl Chain {
    fn new(symbols: &[u32]) -> Self {
        let link = |(at, symbol): (usize, &u32)| Link {
            symbol: *symbol,
            before: at.wrapping_sub(1),
            next: at + 1,
            alive: true,
        };
        Self { links: symbols.iter().enumerate().map(link).collect() }
    }

    fn pair(&self, at: usize) -> Option<(u32, u32)> {
        let left = self.links.get(at).filter(|link| link.alive)?;
        Some((left.symbol, self.links.get(left.next)?.symbol))
    }

    fn before(&self, at: usize) -> Option<usize> {
        let before = self.links.get(at)?.before;
        self.links.get(before).map(|_| before)
    }

    /// The symbol at `at` and the next become `symbol`.
    fn merge(&mut self, at: usize, symbol: u32) {
        let Some(gone) = self.links.get(at).map(|link| link.next) else { return };
        let next = self.links.get(gone).map_or(usize::MAX, |link| link.next);
        if let Some(link) = self.links.get_mut(gone) {
            link.alive = false;
        }
        if let Some(link) = self.links.get_mut(at) {
            (link.symbol, link.next) = (symbol, next);
        }
        if let Some(link) = self.links.get_mut(next) {
            link.before = at;
        }
    }
}

/// Texts to symbols while a vocabulary is read: tokens first, then what only the merges name.
struct Names<'t> {
    symbols: FxHashMap<&'t str, u32>,
    beyond: FxHashMap<String, u32>,
    known: u32,
}

impl<'t> Names<'t> {
    fn new(tokens: &'t [String]) -> Result<Self, std::num::TryFromIntError> {
        let known = u32::try_from(tokens.len())?;
        let symbols = (0..known).zip(tokens).map(|(symbol, token)| (token.as_str(), symbol)).collect();
        Ok(Self { symbols, beyond: FxHashMap::default(), known })
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(symbol) = self.symbols.get(text).or_else(|| self.beyond.get(text)) {
            return *symbol;
        }
        let next =
            u32::try_from(self.beyond.len()).map_or(u32::MAX, |count| self.known.saturating_add(count));
        self.beyond.insert(text.to_owned(), next);
        next
    }

    /// A text the vocabulary lacks is written as those of its bytes that are tokens.
    fn cost_beyond(&self) -> Vec<u64> {
        let mut rows: Vec<(&String, &u32)> = self.beyond.iter().collect();
        rows.sort_unstable_by_key(|(_, symbol)| **symbol);
        let ascii_token = |byte: &u8| {
            byte.is_ascii() && self.symbols.contains_key(char::from(*byte).encode_utf8(&mut [0; 4]) as &str)
        };
        let cost =
            |(text, _): (&String, &u32)| text.as_bytes().iter().filter(|byte| ascii_token(byte)).count();
        rows.into_iter().map(|row| u64::try_from(cost(row)).unwrap_or(u64::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes, and merges of the letters a to d in a made-up order.
    fn small() -> Bpe {
        let merges = [
            ("a", "b"),
            ("c", "d"),
            ("ab", "cd"),
            ("b", "b"),
            ("a", "a"),
            ("aa", "aa"),
            ("bb", "a"),
            ("d", "d"),
        ];
        let mut tokens: Vec<String> = (0..=255).map(|byte| character_of(byte).to_string()).collect();
        tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
        Bpe::new(&tokens, &merges, false).unwrap()
    }

    #[test]
    fn the_pair_learned_first_is_merged_first() {
        let (bpe, mut scratch) = (small(), Scratch::default());
        for (word, tokens) in
            [("abcd", 1), ("aab", 2), ("aaaa", 1), ("aaa", 2), ("abb", 2), ("xyz", 3), ("", 0)]
        {
            assert_eq!(bpe.count(word.as_bytes(), &mut scratch), tokens, "{word}");
        }
    }

    #[test]
    fn a_megabyte_without_a_cut_is_counted() {
        let word = vec![b'a'; 1 << 20];
        assert_eq!(small().count(&word, &mut Scratch::default()), 1 << 18);
    }

    proptest! {
        #[test]
        fn both_ways_of_merging_agree(word in "[a-d]{0,64}") {
            let (bpe, mut scratch) = (small(), Scratch::default());
            let short = bpe.merged(word.as_bytes(), &mut scratch);
            let symbols: Vec<u32> = word.bytes().map(|byte| bpe.bytes[usize::from(byte)]).collect();
            prop_assert_eq!(bpe.merge_long(&symbols).count() as u64, short);
        }
    }
}
