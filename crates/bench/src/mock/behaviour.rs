//! How the engine is told to behave: by the model's name, as a gateway passes it on, or by a header.
//!
//! `bench:out-64:tps-50` answers 64 tokens, fifty a second. `bench:reset` breaks the connection half way.

use std::time::Duration;

/// Tells the same as the model's name, for whoever asks the engine directly.
pub(super) const HEADER: &str = "x-mock";

/// What may go wrong with an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Takes the request and never answers.
    Hang,
    /// Stops half way, the connection open.
    Stall,
    /// Closes the connection half way.
    Reset,
    /// Success, and a body that is nothing.
    Garbage,
    /// 429 with `Retry-After`.
    Busy,
    /// 500.
    Failing,
}

/// What the engine says of the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UsageTold {
    #[default]
    True,
    Omitted,
    /// One token in, one out, whatever it was.
    Lie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) fault: Option<Fault>,
    pub(super) usage: UsageTold,
    /// Tokens of an answer to a request that sets no lower limit.
    pub(super) tokens: u32,
    /// Tokens per second of one stream; `None`: at once.
    pub(super) rate: Option<u32>,
    /// Before the answer begins.
    pub(super) wait: Duration,
}

impl Behaviour {
    /// This, changed by what a text says. Words that are not known are part of a name and change nothing.
    pub(super) fn with(mut self, text: &str) -> Self {
        for word in text.split([':', ',', ' ']) {
            match word {
                "hang" => self.fault = Some(Fault::Hang),
                "stall" => self.fault = Some(Fault::Stall),
                "reset" => self.fault = Some(Fault::Reset),
                "garbage" => self.fault = Some(Fault::Garbage),
                "429" => self.fault = Some(Fault::Busy),
                "500" => self.fault = Some(Fault::Failing),
                "drip" => self.rate = Some(1),
                "no-usage" => self.usage = UsageTold::Omitted,
                "lie" => self.usage = UsageTold::Lie,
                _ => self = self.with_number(word),
            }
        }
        self
    }

    fn with_number(mut self, word: &str) -> Self {
        let Some((name, number)) = word.rsplit_once('-') else { return self };
        let Ok(number) = number.parse::<u32>() else { return self };
        match name {
            "out" => self.tokens = number.min(100_000),
            "tps" => self.rate = Some(number.max(1)),
            "wait" => self.wait = Duration::from_millis(number.into()),
            _ => {}
        }
        self
    }

    /// Between two tokens of a stream.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs(1) / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Behaviour =
        Behaviour { fault: None, usage: UsageTold::True, tokens: 57, rate: None, wait: Duration::ZERO };

    #[test]
    fn a_name_says_how_to_behave_and_other_names_say_nothing() {
        assert_eq!(PLAIN.with("gpt-4.1"), PLAIN);
        let told = PLAIN.with("bench:out-64:tps-50:wait-200:no-usage");
        assert_eq!((told.tokens, told.rate, told.wait.as_millis()), (64, Some(50), 200));
        assert_eq!((told.usage, told.interval()), (UsageTold::Omitted, Some(Duration::from_millis(20))));
        assert_eq!(PLAIN.with("bench:reset").fault, Some(Fault::Reset));
    }
}
