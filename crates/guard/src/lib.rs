//! What must not pass, and where it stands.
//!
//! What it is for: [`Detectors`] find personal data and secrets in a text; a [`Plan`] says what is done about each rule;
//! [`redact`] does it to a whole text and a [`Redactor`] to one that comes in pieces, with the same result for every way of
//! cutting it. What it must not know: HTTP, the wire formats of any API, models, disks, clocks. It reads the inside of JSON
//! strings, because that is what is cut out of ([`Writing`]).
//!
//! Invariants:
//! - whole and in pieces, a text becomes the same bytes (`tests/it/exact.rs`);
//! - bytes that are not replaced are not touched: escapes and spelling stay as they were written;
//! - what is held back of a stream is bounded: by [`MATCH_BYTES_MAX`], except an escape that has not ended. What has no
//!   greatest length (a private key, a signed token) is not held but suppressed from the moment it is certain;
//! - the work is linear in the length of a text times [`MATCH_BYTES_MAX`], whatever it says; memory of the automaton is
//!   capped;
//! - a verdict names a rule and a place, never the text.

mod automaton;
mod checks;
mod detectors;
mod injection;
mod names;
mod plan;
mod redact;
mod rule;
mod rules;
mod stream;
mod view;

pub use automaton::{MATCH_BYTES_MAX, PatternMistake, Scratch};
pub use detectors::{Detectors, Finding, RuleId};
pub use injection::{INJECTION_PLACES, INJECTION_RULES, Injection, injection_places};
pub use names::names;
pub use plan::{Action, Fingerprint, Plan, Verdict};
pub use redact::{Redaction, redact, redact_row};
pub use rule::{CONTEXT_BYTES, Candidate, Check, Ending, Extent, Rule, RuleName, as_it_looks};
pub use rules::built_in;
pub use stream::Redactor;
pub use view::{View, Writing};
