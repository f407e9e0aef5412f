//! How many tokens a prompt is, by the model's own vocabulary, pre-tokenizer, special tokens and chat template.
//!
//! What it is for: limits and budgets reserve before the engine is asked, so the gateway must know what the engine will
//! count. [`Tokenizer`] is read from a GGUF header or from the files of a Hugging Face model and counts texts and
//! conversations; [`ChatTemplate`] puts a conversation into words, for this crate and for the embedded engine alike, so
//! that what is counted is what is computed; [`bytes_bound`] is what is left where no tokenizer is known.
//!
//! What it must not know: engines, disks, HTTP, the shapes of any API.
//!
//! Invariants:
//! - a count is exact or it is not given (exact: what llama.cpp makes of a GGUF, what Hugging Face's `tokenizers` makes of
//!   a `tokenizer.json`; the tests hold both against `tests/reference`): a vocabulary of a kind that is not done exactly
//!   here is refused with [`TokenizerError::Unsupported`], and the caller says that it fell back;
//! - nothing a caller sent is kept: the tables are made from the model file alone;
//! - any text is counted in time that grows with its length (a word of a megabyte included), and counting stops soon
//!   after a given cap is passed;
//! - control tokens come from the template alone: a message, a tool or a call that spells one is counted as the text it
//!   is.

mod bound;
mod bpe;
mod byte_text;
mod calls;
mod conversation;
mod error;
mod forged;
mod gguf;
mod hugging_face;
mod normal;
mod python_json;
mod reader;
mod special;
mod split;
mod template;
mod tokenizer;
mod unicode;
mod word_piece;

pub use bound::bytes_bound;
pub use calls::{CALL_ARGUMENTS, CALL_CLOSING, CALL_NAME, CALL_OPENING};
pub use conversation::{Conversation, FunctionCall, Message};
pub use error::{CountError, TokenizerError};
pub use hugging_face::HuggingFaceFiles;
pub use template::{ChatTemplate, Piece, Rendered, TemplateError};
pub use tokenizer::{Cap, Tokenizer};
