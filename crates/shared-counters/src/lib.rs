//! Caps shared between replicas: slices of each counter, leased in Redis or Valkey.
//!
//! What it is for: [`SharedCounters`] is the [`hermetic_limits::Headroom`] of a gateway that is one of several. The
//! replicas agree in one place on who holds how much of a counter's cap in which slot of its window; each then counts by
//! itself under what it holds, and asks for more before that is used up. What it must not know: requests, HTTP, what a
//! counter counts, the ledger.
//!
//! Invariants:
//! - of every counter and every window: the leases of all replicas together ≤ the cap. Each change is one Lua script,
//!   which nothing runs beside;
//! - what a lease is worth is said in absolute numbers, so that a question whose answer was lost can be asked again;
//! - a replica that dies keeps what it held; when it comes back under the same id it gets it back, less what its own
//!   records say it used; else it falls free with the window;
//! - a server that lost its data, or may have (it was restarted, it was emptied), grants nothing in a window that was open
//!   then until *all* replicas have said again what they hold;
//! - a server that may forget by itself (one that evicts) is refused at once;
//! - the connection is made by `hermetic-connector` and by nothing else; the password reaches no log line and no error.

mod connection;
mod desk;
mod error;
mod key;
mod lease;
mod options;
mod resp;
mod script;
mod shared;

pub use error::StoreError;
pub use options::{OnLoss, Secret, SharedOptions};
pub use shared::{Replica, SharedCounters};
