//! The decisions of routing, as pure functions and small state machines.
//!
//! What it is for: which of several targets a request goes to ([`choose`], [`drawn_share`]), whether a target is left
//! out for a while ([`Breaker`]), how often requests may be tried again or asked twice ([`Budget`]), what an engine
//! says about its own load ([`EngineLoad`]), and what is known of its latency ([`PeakEwma`], [`Quantiles`]).
//!
//! What it must not know: HTTP, sockets, models, clocks. Time is a reading of a monotonic clock, randomness a
//! [`Chance`] that the caller seeds.
//!
//! Invariants:
//! - [`choose`] never returns a target that was not offered, and always one when any was;
//! - the same prefix goes to the same target while no target comes or goes and none is much busier than the others;
//! - a [`Breaker`] that is open lets at most one request through at a time until one has succeeded;
//! - over any stretch, a [`Budget`] grants at most its share of what was deposited, and its reserve.

mod breaker;
mod budget;
mod chance;
mod choice;
mod engine_load;
mod latency;
mod quantiles;

pub use breaker::{Breaker, BreakerOptions, Standing};
pub use budget::Budget;
pub use chance::{Chance, mix};
pub use choice::{Candidate, choose, drawn_share};
pub use engine_load::{EngineLoad, LoadReading};
pub use latency::PeakEwma;
pub use quantiles::Quantiles;
