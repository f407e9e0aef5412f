//! The seam behind which a cap can be shared with other replicas.
//!
//! A rule that is `shared` counts under the whole cap and, besides, under the headroom this process was given of it:
//! slices of the cap, leased from wherever all replicas agree on what is left. The hot path never waits: it compares
//! with what was given, and when that is too little it says so ([`crate::Denied::Short`]); whoever can wait asks for more,
//! which [`crate::Limits::grant`] adds, and tries again. What was given and is not needed goes back through
//! [`crate::Limits::reclaim`]. As long as the slices given out for the slots of one window never exceed the cap
//! together, the replicas together never do.

use crate::key::CounterId;
use std::pin::Pin;

/// So much more headroom is needed on a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub counter: CounterId,
    /// The slot of the window (`counter.window`) it is needed in.
    pub slot: u64,
    /// The whole cap of the rule.
    pub cap: u64,
    /// The least that lets this request through.
    pub by: u64,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// There is more now; try again.
    More,
    /// The cap is reached by all replicas together.
    Exhausted,
}

/// Nobody can say what is left, and the configuration does not let a replica guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the shared counters to answer, found nobody")]
pub struct HeadroomAway;

/// How things stand where the headroom comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadroomState {
    /// Nobody answers.
    Away,
    /// Somebody answers, and does not know yet what all replicas hold.
    Incomplete,
    Connected,
}

impl HeadroomState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Incomplete => "incomplete",
            Self::Connected => "connected",
        }
    }
}

/// An answer on its way.
pub type Ask<'a> = Pin<Box<dyn Future<Output = Result<Granted, HeadroomAway>> + Send + 'a>>;

/// Where headroom comes from.
pub trait Headroom: std::fmt::Debug + Send + Sync {
    /// Asks for what is missing, at once for all counters of a request. An implementation calls [`crate::Limits::grant`]
    /// before it answers [`Granted::More`].
    fn ask<'a>(&'a self, shortfalls: &'a [Shortfall]) -> Ask<'a>;

    /// For whoever watches.
    fn state(&self) -> HeadroomState;
}
