//! Limits and budgets as one mechanism: so much of a unit, in a window, per scope.
//!
//! What it is for: [`Limits::reserve`] holds what a request may use at most, on every counter of every rule that
//! speaks of it or on none; [`Reservation::settle`] charges what was used and lets go of the rest. Since the upper bound
//! is held before anything is computed, and the sum of what is charged and held is compared with the cap under one
//! lock, no number of concurrent requests passes a cap. What it must not know: HTTP, disks, Redis, Cedar, a clock of
//! its own, what a token is.
//!
//! Invariants:
//! - for every counter and every window: charged + held ≤ the cap that was in force when the last reservation was made;
//!   nothing else raises it, but a settlement above its own reservation ([`Settled::overrun`]), which blocks later
//!   reservations;
//! - a reservation holds on all rules that match or on none;
//! - a reservation ends exactly once: settled, refunded, or dropped, which refunds it before it was marked
//!   [`Reservation::consuming`] and charges it whole after;
//! - a charge belongs to the window it was reserved in, whenever it is settled;
//! - time that goes back opens no window a second time;
//! - [`Fold`] of all records = [`Fold`] of the first ones continued with the rest.

mod counters;
mod exceeded;
mod facts;
mod fold;
mod headroom;
mod key;
mod limits;
mod price;
mod quota;
mod reservation;
mod rule;
mod rule_set;
mod timeline;
mod unit;
mod window;

pub use counters::{COUNTERS_MAX, CounterView};
pub use exceeded::{Denied, Exceeded};
pub use facts::Facts;
pub use fold::{Fold, OpenRequest};
pub use headroom::{Ask, Granted, Headroom, HeadroomAway, HeadroomState, Shortfall};
pub use key::{CounterId, Hold};
pub use limits::{Limits, RulesInForce};
pub use price::{Price, PriceError};
pub use quota::Quota;
pub use reservation::{Charge, Crossing, Reservation, Settled};
pub use rule::{Dimension, DimensionError, OnExhausted, Rule, SOFT_THRESHOLDS_MAX, When};
pub use rule_set::{RULES_MAX, RuleSet, RuleSetError};
pub use unit::{Amounts, QuantityError, Unit, UnitError};
pub use window::{Length, Window, WindowError};
