//! What an answer says about itself: tokens, and why it stopped.

use crate::chat::answer::ChatAnswer;
use serde::Deserialize;
use std::borrow::Cow;

/// The facts of a whole answer, or of a stream so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Of the first choice that says it.
    pub finish_reason: Option<String>,
}

/// What one event of a stream adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFacts {
    /// Text, a tool call, a role: content to be handed on.
    Content,
    /// The usage report asked for by `stream_options.include_usage`: no choices, only counts.
    UsageReport,
    /// The engine reports an error inside the stream.
    Error,
}

/// What answers say of themselves that are not chat: of scores a total, of pictures and speech what went in and came out,
/// of speech its length.
#[derive(Deserialize)]
struct OtherAnswer {
    usage: OtherUsage,
}

#[derive(Deserialize)]
struct OtherUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    seconds: Option<f64>,
}

/// Tokens that a second of speech counts as where an engine tells its length and no tokens: what Whisper's encoder makes
/// of it.
const TOKENS_PER_SECOND: f64 = 50.0;

impl OtherUsage {
    fn input_tokens(&self) -> Option<u64> {
        let only_read = self.total_tokens.filter(|_| self.output_tokens.is_none());
        self.input_tokens.or(only_read).or_else(|| self.seconds.map(tokens_of_speech))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast stops at the ends of the range, and nobody speaks for less than no time"
)]
fn tokens_of_speech(seconds: f64) -> u64 {
    (seconds * TOKENS_PER_SECOND).ceil() as u64
}

/// Bytes of the text that was heard in a recording: in an answer of JSON its `text`, else all of it.
pub fn transcript_bytes(answer: &[u8]) -> usize {
    #[derive(Deserialize)]
    struct Transcript<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }
    serde_json::from_slice::<Transcript<'_>>(answer).map_or(answer.len(), |told| told.text.len())
}

impl AnswerFacts {
    /// Reads a whole answer. An answer that is not JSON has no facts.
    pub fn of_answer(body: &[u8]) -> Self {
        let mut facts = Self::default();
        if let Some(answer) = ChatAnswer::read(body) {
            facts.take(&answer);
        }
        if facts.input_tokens.is_none()
            && let Ok(OtherAnswer { usage }) = serde_json::from_slice(body)
        {
            (facts.input_tokens, facts.output_tokens) = (usage.input_tokens(), usage.output_tokens);
        }
        facts
    }

    /// Adds what one event of a stream says. Events that say nothing about tokens or the end are recognised by a scan
    /// for the words, without parsing: they are nearly all of a stream.
    pub fn add_event(&mut self, data: &[u8]) -> EventFacts {
        let says_something = [
            &b"\"usage\":"[..],
            b"\"finish_reason\":\"",
            b"\"finish_reason\": \"",
            b"\"error\":",
            b"\"usage\" :",
        ]
        .iter()
        .any(|word| memchr::memmem::find(data, word).is_some());
        if !says_something {
            return EventFacts::Content;
        }
        let Some(answer) = ChatAnswer::read(data) else { return EventFacts::Content };
        self.take(&answer);
        let no_choices = answer.choices.is_empty() && !answer.choices.is_odd();
        match (answer.error(), answer.usage.get()) {
            (Some(_), _) if no_choices => EventFacts::Error,
            (_, Some(_)) if no_choices => EventFacts::UsageReport,
            _ => EventFacts::Content,
        }
    }

    fn take(&mut self, answer: &ChatAnswer<'_>) {
        if let Some(usage) = answer.usage.get() {
            self.input_tokens = usage.prompt_tokens.0.or(self.input_tokens);
            self.output_tokens = usage.completion_tokens.0.or(self.output_tokens);
        }
        if self.finish_reason.is_none() {
            let mut reasons = answer.choices.iter().filter_map(|choice| choice.finish_reason.said());
            // Cut: it goes into a record, and an engine is not trusted to be brief.
            self.finish_reason = reasons.next().map(|reason| reason.chars().take(64).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_answer_gives_tokens_and_reason() {
        let facts = AnswerFacts::of_answer(
            br#"{"choices":[{"message":{"content":"x"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#,
        );
        assert_eq!(
            facts,
            AnswerFacts {
                input_tokens: Some(3),
                output_tokens: Some(5),
                finish_reason: Some("length".into())
            }
        );
        assert_eq!(AnswerFacts::of_answer(b"<html>"), AnswerFacts::default());
    }

    #[test]
    fn answers_that_are_not_chat_give_tokens_in_their_own_words() {
        let of = |usage: &str| {
            let facts = AnswerFacts::of_answer(format!(r#"{{"text":"x","usage":{usage}}}"#).as_bytes());
            (facts.input_tokens, facts.output_tokens)
        };
        let tokens = r#"{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}"#;
        assert_eq!(of(tokens), (Some(14), Some(45)));
        assert_eq!(of(r#"{"total_tokens":9}"#), (Some(9), None));
        assert_eq!(of(r#"{"prompt_tokens":8,"total_tokens":9,"input_tokens":7}"#), (Some(8), None));
        assert_eq!(of(r#"{"type":"duration","seconds":2.01}"#), (Some(101), None));
        assert_eq!(
            (transcript_bytes(br#"{"text":"h\u00e9"}"#), transcript_bytes(b"[1]"), transcript_bytes(b"hi")),
            (3, 3, 2)
        );
    }

    #[test]
    fn a_stream_gives_them_event_by_event() {
        let mut facts = AnswerFacts::default();
        assert_eq!(
            facts.add_event(br#"{"choices":[{"delta":{"content":"hi"},"finish_reason":null}],"usage":null}"#),
            EventFacts::Content
        );
        assert_eq!(
            facts.add_event(br#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#),
            EventFacts::Content
        );
        assert_eq!(
            facts.add_event(br#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
            EventFacts::UsageReport
        );
        assert_eq!(facts.add_event(br#"{"error":{"message":"out of memory"}}"#), EventFacts::Error);
        assert_eq!(
            facts,
            AnswerFacts { input_tokens: Some(1), output_tokens: Some(2), finish_reason: Some("stop".into()) }
        );
    }

    #[test]
    fn text_that_talks_about_usage_is_not_a_report() {
        let mut facts = AnswerFacts::default();
        let data = br#"{"choices":[{"delta":{"content":"\"usage\": {\"prompt_tokens\":9}, \"finish_reason\":\"stop\""}}]}"#;
        assert_eq!(facts.add_event(data), EventFacts::Content);
        assert_eq!(facts, AnswerFacts::default());
    }
}
