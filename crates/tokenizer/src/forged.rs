//! Control tokens that a conversation spells, told from those that its template writes.
//!
//! Before a conversation is put into words, each is put between two marks; behind the template the marks come off, and
//! what stood between them is text. So it does not matter what the template does with the texts around them.
//!
//! Invariant: no text of the conversation can bring a mark of its own.

use crate::conversation::Conversation;
use aho_corasick::AhoCorasick;
use std::ops::Range;

/// Noncharacters: Unicode keeps them for uses inside of a program, such as this one. Two at a time.
const MARKS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// What stands before and behind a spelled control token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    open: char,
    close: char,
}

/// A conversation that can be put into words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It spells no control token.
    Plainly,
    Marked(Box<Conversation>, Marks),
    /// It spells control tokens and every mark there is: nothing in it may be a control token then.
    Unmarkable,
}

/// Parts of a text, in order and without gaps, and whether control tokens in them are meant.
pub(crate) type Cuts = Vec<(Range<usize>, bool)>;

pub(crate) fn mark(control: &AhoCorasick, conversation: &Conversation) -> Told {
    let (mut forges, mut taken) = (false, Vec::new());
    // For its walk over the texts; what it makes is not used.
    conversation.map_texts(&mut |text| {
        forges |= control.is_match(text);
        taken.extend(text.chars().filter(|c| MARKS.contains(c)));
        String::new()
    });
    if !forges {
        return Told::Plainly;
    }
    let mut free = MARKS.filter(|mark| !taken.contains(mark));
    let (Some(open), Some(close)) = (free.next(), free.next()) else { return Told::Unmarkable };
    let marks = Marks { open, close };
    Told::Marked(Box::new(conversation.map_texts(&mut |text| marks.put(control, text))), marks)
}

impl Marks {
    fn put(self, control: &AhoCorasick, text: &str) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut from = 0;
        for found in control.find_iter(text) {
            marked.push_str(text.get(from..found.start()).unwrap_or_default());
            marked.push(self.open);
            marked.push_str(text.get(found.range()).unwrap_or_default());
            marked.push(self.close);
            from = found.end();
        }
        marked.push_str(text.get(from..).unwrap_or_default());
        marked
    }

    /// The text without the marks. What no second mark ends is text to the end.
    pub(crate) fn take(self, marked: &str) -> (String, Cuts) {
        let (mut text, mut cuts) = (String::with_capacity(marked.len()), Cuts::new());
        let (mut from, mut meant) = (0, true);
        for c in marked.chars() {
            let begins = c == self.open;
            if !begins && c != self.close {
                text.push(c);
            } else if begins == meant {
                cuts.push((from..text.len(), meant));
                (from, meant) = (text.len(), !meant);
            }
        }
        cuts.push((from..text.len(), meant));
        (text, cuts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{FunctionCall, Message};
    use proptest::prelude::*;

    fn control() -> AhoCorasick {
        AhoCorasick::new(["<|end|>", "<s>"]).unwrap()
    }

    #[test]
    fn a_control_token_is_found_wherever_a_conversation_spells_it() {
        let said = |content: &str| Conversation::from(vec![Message::new("user", content)]);
        let tools = |tool| Conversation { tools: vec![tool], ..said("x") };
        let called =
            |call| Conversation::from(vec![Message { calls: vec![call], ..Message::new("assistant", "") }]);
        assert_eq!(mark(&control(), &said("end")), Told::Plainly);
        for forged in [
            said("a<s>"),
            tools(serde_json::json!({"function": {"name": "<|end|>"}})),
            tools(serde_json::json!({"function": {"parameters": {"properties": {"<s>": {}}}}})),
            called(FunctionCall::new("<s>", "f", "{}")),
            called(FunctionCall::new("1", "f", r#"{"a": ["<s>"]}"#)),
            called(FunctionCall::new("1", "f", "<s>")),
        ] {
            assert!(matches!(mark(&control(), &forged), Told::Marked(..)), "{forged:?}");
        }
        assert_eq!(
            mark(&control(), &said(&MARKS.chain("<s>".chars()).collect::<String>())),
            Told::Unmarkable
        );
    }

    proptest! {
        #[test]
        fn marks_come_off_and_every_spelled_token_stands_alone(content in "[ab<>|ends\u{fdd0}\u{fdd1}]{0,12}(<s>|<\\|end\\|>)?[ab<s>|]{0,6}") {
            let conversation = Conversation::from(vec![Message::new("user", content.clone())]);
            match mark(&control(), &conversation) {
                Told::Plainly => prop_assert!(!control().is_match(&content)),
                Told::Unmarkable => prop_assert!(false, "two marks of sixteen pairs were taken"),
                Told::Marked(marked, marks) => {
                    let (text, cuts) = marks.take(&marked.messages[0].content);
                    prop_assert_eq!(&text, &content);
                    prop_assert_eq!(cuts.iter().map(|(range, _)| range.len()).sum::<usize>(), text.len());
                    for (range, meant) in cuts {
                        prop_assert_eq!(control().is_match(&text[range]), !meant);
                    }
                }
            }
        }
    }
}
