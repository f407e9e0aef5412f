//! The ledger on disk: write-ahead segments, group commit, tiles, checkpoints, recovery, forwarding.
//!
//! What it is for: [`Ledger`], the one thing the rest of Hermetic appends to, and [`Snapshot`], the one thing it reads
//! from, also from other processes while the ledger is being written. What it must not know: what records mean.
//!
//! The way of a record (one screen each: `writer.rs`, `publisher.rs`):
//!
//! ```text
//! submit (caller: serialise, hash) → queue → writer: frame, one write, one fdatasync per batch → acknowledge
//!                                                └─> publisher: tiles, entry bundles, every interval a checkpoint
//! ```
//!
//! Invariants:
//! - a record is acknowledged only after `fdatasync` returned for the frame it stands in; order of indices is order of
//!   submission, so a place in line is an index, and whoever has one acknowledged knows that all before it are durable;
//! - a failed write or sync is final: nothing is retried on a file whose state the kernel no longer vouches for, and
//!   every later append is refused until the process starts again and recovery has looked at the disk;
//! - size and root are kept in `last-signed` before a signature over them is made, and a tree that is smaller or
//!   different is never signed;
//! - write-ahead segments go only when everything in them is in tiles that are durable and signed for;
//! - one process writes (`ledger/lock`); others hand it their records over `ledger/append.sock`.

mod check;
mod edge;
mod error;
mod forward;
mod frame;
mod handover;
mod last_signed;
mod layout;
mod ledger;
mod local;
mod options;
mod pending;
mod publisher;
mod queue;
mod recover;
mod segment;
mod shared;
mod snapshot;
mod tile_files;
mod watch;
mod window;
mod writer;

pub use check::{CheckReport, Finding, check};
pub use error::{AppendError, OpenError, ReadError};
pub use ledger::Ledger;
pub use options::LedgerOptions;
pub use pending::{Appended, PendingAppend};
pub use shared::Health;
pub use snapshot::Snapshot;
pub use watch::CheckpointWatch;
pub use window::Window;
