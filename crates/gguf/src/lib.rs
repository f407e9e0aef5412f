//! GGUF: the file format of llama.cpp, read under caps and written byte for byte the same every time.
//!
//! What it is for: [`Header::read`] looks into a model file that somebody else made (architecture, context, tensors)
//! without trusting a single length in it; [`write_gguf`] writes one; [`convert_bert`] turns a sentence encoder as the
//! hub publishes it (safetensors, vocabulary, configuration) into the file the embedded engine loads.
//!
//! What it must not know: where files live (it takes readers and writers), inference, OCI, time.
//!
//! Invariants:
//! - no count or length from a file is believed before it is compared with [`Limits`] and with the bytes that came;
//! - reading any bytes ends in a value or a typed error, never a panic, and never allocates more than a small multiple
//!   of what was read;
//! - the same input converts to the same bytes: no clock, no randomness, no map without an order.

mod bert;
mod read;
mod safetensors;
mod value;
mod write;

pub use bert::{BertSource, ConversionReport, ConvertError, Pooling, convert_bert};
pub use read::{Header, Limits, ReadError, TensorInfo};
pub use safetensors::SafetensorsError;
pub use value::{Array, TensorType, Value};
pub use write::{TensorData, WriteError, write_gguf};
