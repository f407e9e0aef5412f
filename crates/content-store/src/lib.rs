//! Prompts and answers on disk, sealed: one file a request, or files of any length.
//!
//! What it is for: where `ledger.capture: encrypted` keeps content. [`ContentStore::put`] makes the content of a
//! request durable, [`ContentStore::get`] opens it again. [`SealedWriter`] and [`SealedReader`] keep what is longer than
//! a request in the same way. What it must not know: what a prompt or an answer means, the
//! ledger, who may read what.
//!
//! Invariants:
//! - after [`ContentStore::put`] has returned, the content survives a power cut, whole; if it fails, there is none;
//! - each file has a key of its own, used for its two halves and nothing else, and kept in it wrapped under the
//!   content key: without the content key no file opens, and deleting a file is the end of what it held;
//! - a half opens only as that half of that request with that header: what was changed, swapped or renamed is refused;
//! - no error and no `Debug` shows content or a key.

mod error;
mod file;
mod seal;
mod sealed;
mod store;

pub use error::ContentError;
pub use file::{Content, Kept};
pub use seal::ContentKey;
pub use sealed::{Place, SealedReader, SealedWriter};
pub use store::ContentStore;
