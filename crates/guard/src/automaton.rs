//! All rules as one automaton, built while it runs.
//!
//! A lazy DFA knows every rule at once and costs a table look-up a byte; its memory is capped, and when the cap is reached
//! it is built anew. It is asked at each place where something can begin: how far can each rule match from here, and could
//! one still match further if more text came? The second answer is what makes a stream exact.

use crate::rule::Rule;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, PatternID};
use regex_syntax::hir::Hir;

/// Longest text a rule may match before it is certain. What a stream holds back is bounded by it.
pub const MATCH_BYTES_MAX: usize = 512;

/// Memory of the automaton, per thread. A few thousand states are ever visited.
const CACHE_BYTES: usize = 8 << 20;

/// Why rules cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternMistake {
    #[error("rule `{rule}`: {what}")]
    Syntax { rule: String, what: String },
    #[error("rule `{rule}`: expected a pattern that matches at most {MATCH_BYTES_MAX} bytes, found {}", shown(.found))]
    TooLong { rule: String, found: Option<usize> },
    #[error("rule `{rule}`: expected a pattern that needs a character, found one that matches nothing")]
    Empty { rule: String },
    #[error("the rules together: {what}")]
    Together { what: String },
}

fn shown(found: &Option<usize>) -> String {
    found.map_or_else(|| "no bound".to_owned(), |bytes| format!("{bytes}"))
}

/// What an automaton works in. One a thread.
#[derive(Debug)]
pub struct Scratch {
    cache: Cache,
    /// Where every walk starts, while the cache holds.
    start: Option<LazyStateID>,
    pub(crate) ends: Vec<(usize, usize)>,
}

/// What a byte can be the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    None,
    /// A letter or digit of ASCII: not inside a word.
    Word,
    /// Anything else: not where the same sign stands before.
    Sign,
}

/// Sets of three bytes, by their classes: bytes of one class are the same to every rule.
struct Threes {
    classes: [u8; 256],
    count: usize,
    bits: Vec<u64>,
}

impl Threes {
    fn new(count: usize) -> Self {
        Self { classes: [0; 256], count, bits: vec![0; count.pow(3).div_ceil(64)] }
    }

    fn place(&self, classes: [u8; 3]) -> usize {
        classes.into_iter().fold(0, |place, class| place * self.count + usize::from(class))
    }

    fn set(&mut self, classes: [u8; 3]) {
        let place = self.place(classes);
        if let Some(word) = self.bits.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn has(&self, bytes: [u8; 3]) -> bool {
        let place =
            self.place(bytes.map(|byte| self.classes.get(usize::from(byte)).copied().unwrap_or_default()));
        self.bits.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

/// The cache of the automaton is full.
struct Full;

pub(crate) struct Automaton {
    dfa: DFA,
    /// Which three bytes something can begin with: nearly all words of a language are ruled out by them.
    threes: Threes,
    /// What can begin with a byte.
    beginnings: [Beginning; 256],
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automaton").field("rules", &self.dfa.pattern_len()).finish_non_exhaustive()
    }
}

impl Automaton {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, PatternMistake> {
        let parsed = rules.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let together = |error: &dyn std::fmt::Display| PatternMistake::Together { what: error.to_string() };
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None))
            .build_many_from_hir(&parsed)
            .map_err(|error| together(&error))?;
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            // A full cache is an error of the walk, not cleared under it: see `probe`.
            .minimum_cache_clear_count(Some(0))
            .starts_for_each_pattern(false);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).map_err(|error| together(&error))?;
        let threes = Threes::new(dfa.byte_classes().alphabet_len());
        let mut automaton = Self { dfa, threes, beginnings: [Beginning::None; 256] };
        automaton.learn_beginnings();
        Ok(automaton)
    }

    pub(crate) fn scratch(&self) -> Scratch {
        Scratch { cache: self.dfa.create_cache(), start: None, ends: Vec::new() }
    }

    fn learn_beginnings(&mut self) {
        let mut scratch = self.scratch();
        let classes = self.dfa.byte_classes();
        // One byte of each class stands for all of it.
        let bytes: Vec<u8> = classes.representatives(..=u8::MAX).filter_map(|unit| unit.as_u8()).collect();
        let mut first_classes = Vec::new();
        for &first in &bytes {
            let begins = bytes.iter().filter(|&&second| self.lives(&mut scratch, &[first, second])).copied();
            let seconds: Vec<u8> = begins.collect();
            if !seconds.is_empty() {
                first_classes.push(classes.get(first));
            }
            for second in seconds {
                for &third in &bytes {
                    if self.lives(&mut scratch, &[first, second, third]) {
                        self.threes.set([first, second, third].map(|byte| classes.get(byte)));
                    }
                }
            }
        }
        for byte in 0..=u8::MAX {
            let class = classes.get(byte);
            if let Some(known) = self.threes.classes.get_mut(usize::from(byte)) {
                *known = class;
            }
            // Inside a character nothing begins.
            if first_classes.contains(&class)
                && !matches!(byte, 0x80..=0xBF)
                && let Some(begins) = self.beginnings.get_mut(usize::from(byte))
            {
                *begins = if byte.is_ascii_alphanumeric() { Beginning::Word } else { Beginning::Sign };
            }
        }
    }

    /// Whether something can begin with these bytes.
    fn lives(&self, scratch: &mut Scratch, bytes: &[u8]) -> bool {
        self.probe(scratch, bytes, 0) || !scratch.ends.is_empty()
    }

    /// Whether something can begin with these three bytes. Where a text ends before the third, it may.
    pub(crate) fn may_begin(&self, first: u8, second: Option<u8>, third: Option<u8>) -> bool {
        let (Some(second), Some(third)) = (second, third) else { return true };
        self.threes.has([first, second, third])
    }

    pub(crate) fn beginning(&self, first: u8) -> Beginning {
        self.beginnings.get(usize::from(first)).copied().unwrap_or(Beginning::None)
    }

    /// Walks from `at`, and leaves in `scratch.ends` every (rule, end) that matches, shortest first. Whether the walk came
    /// to the end of the text with a rule still alive: then more text could match more.
    pub(crate) fn probe(&self, scratch: &mut Scratch, text: &[u8], at: usize) -> bool {
        if let Ok(alive) = self.walk(scratch, text, at) {
            return alive;
        }
        // The cache is full. An empty one is large enough for any one walk, whose length is bounded.
        scratch.cache.reset(&self.dfa);
        scratch.start = None;
        self.walk(scratch, text, at).unwrap_or(true)
    }

    fn walk(&self, scratch: &mut Scratch, text: &[u8], at: usize) -> Result<bool, Full> {
        let Scratch { cache, start, ends } = scratch;
        ends.clear();
        let mut state = match *start {
            Some(start) => start,
            None => {
                let input = Input::new(b"").anchored(Anchored::Yes);
                *start.insert(self.dfa.start_state_forward(cache, &input).map_err(|_| Full)?)
            }
        };
        for (offset, &byte) in text.get(at..).unwrap_or_default().iter().enumerate() {
            state = self.dfa.next_state(cache, state, byte).map_err(|_| Full)?;
            if state.is_tagged() {
                if state.is_dead() {
                    return Ok(false);
                }
                if state.is_match() {
                    self.note(cache, state, at + offset, ends);
                }
            }
        }
        let last = self.dfa.next_eoi_state(cache, state).map_err(|_| Full)?;
        if last.is_match() {
            self.note(cache, last, text.len(), ends);
        }
        // A match is told with the byte behind it, so a state can be nothing but the news of one.
        Ok(!state.is_match() || self.goes_on(cache, state)?)
    }

    fn goes_on(&self, cache: &mut Cache, state: LazyStateID) -> Result<bool, Full> {
        for unit in self.dfa.byte_classes().representatives(0..=u8::MAX) {
            if let Some(byte) = unit.as_u8()
                && !self.dfa.next_state(cache, state, byte).map_err(|_| Full)?.is_dead()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn note(&self, cache: &Cache, state: LazyStateID, end: usize, ends: &mut Vec<(usize, usize)>) {
        for nth in 0..self.dfa.match_len(cache, state) {
            ends.push((PatternID::as_usize(&self.dfa.match_pattern(cache, state, nth)), end));
        }
    }
}

fn parse(rule: &Rule) -> Result<Hir, PatternMistake> {
    let name = || rule.name.as_str().to_owned();
    let config = syntax::Config::new().unicode(false).utf8(false).nest_limit(32);
    let hir = syntax::parse_with(&rule.pattern, &config)
        .map_err(|error| PatternMistake::Syntax { rule: name(), what: error.to_string() })?;
    let properties = hir.properties();
    if properties.minimum_len().unwrap_or(0) == 0 {
        return Err(PatternMistake::Empty { rule: name() });
    }
    match properties.maximum_len() {
        Some(longest) if longest <= MATCH_BYTES_MAX => Ok(hir),
        found => Err(PatternMistake::TooLong { rule: name(), found }),
    }
}
