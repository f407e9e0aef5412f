//! Batches of requests: their states, their lines, and what is said of them in OpenAI's words.
//!
//! What it is for: [`Batch`] is the state machine of one batch, [`Line`] one request of its input, [`ResultLine`] one
//! line of its output; [`LineSplitter`] finds lines in pieces of a file. What it must not know: HTTP, disks, the
//! ledger, how a request is answered, a clock of its own. Time is handed in.
//!
//! Invariants (`batch/tests.rs` and `line.rs` state them as properties):
//! - a state changes only as [`Batch`] allows, and one that has ended changes no more;
//! - lines that were answered and lines that failed are never more than there are, and when a batch has ended by itself
//!   they are all of them;
//! - a line is found the same however the file is cut into pieces, and one that is too long is never held.

mod batch;
mod create;
mod line;
mod result;
mod split;
mod wire;

pub use batch::{Batch, Counts, Draft, Mistake, Status, Usage, WrongStatus};
pub use create::{Create, CreateMistake, EXPIRES_AFTER, window_millis};
pub use line::{Line, LineMistake, Seen};
pub use result::{ResultLine, usage_of};
pub use split::{LineSplitter, Split};
pub use wire::{BatchObject, DeletedFile, FileObject, Page};
