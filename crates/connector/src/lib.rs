//! The only door through which a socket leaves this process.
//!
//! What it is for: [`Connector`] dials TCP and Unix sockets, after asking the [`AllowList`] made from the
//! configuration. What it must not know: what is said over a socket.
//!
//! Invariants:
//! - nothing else in the workspace may connect or resolve a name (clippy.toml refuses it);
//! - a name is resolved only when it lies inside an allowed DNS suffix, so that a name outside never reaches a
//!   resolver, where the question alone would leave the enclave;
//! - *every* address a name resolves to must lie inside the allowed networks, and the addresses that were checked are
//!   the ones dialled: a resolver that answers differently the second time is never asked a second time;
//! - every attempt, dialled or refused, is counted and can be shown ([`Connector::report`]).

mod allow_list;
mod connect;
mod dialled;
mod error;

pub use allow_list::{AllowList, DnsSuffix, DnsSuffixError};
pub use connect::Connector;
pub use dialled::{DESTINATIONS_MAX, DestinationCount, DialReport};
pub use error::ConnectError;
