//! What a bundle is: its layout, release statement, part table, ModelPack manifests and custody documents.
//!
//! What it is for: every document that crosses the gap has its one type here, used by the side that writes it and by
//! the side that reads it. What it must not know: where bytes come from (no file, no socket, no clock), who may sign,
//! what an enclave already has.
//!
//! Invariants:
//! - a value of a document's type has been validated: parsing is the only way in from bytes, and building runs the same
//!   validation;
//! - writing is deterministic: the same values give the same bytes, so that a release can be reproduced;
//! - our own documents refuse unknown fields; OCI documents keep to the OCI rule and ignore them, because their bytes
//!   are named by digest and never rewritten;
//! - every limit is a constant in [`limits`] with its reason.

pub mod contents;
pub mod custody;
pub mod document;
pub mod dsse;
pub mod layout;
pub mod limits;
pub mod model_pack;
pub mod oci;
pub mod part_table;
pub mod statement;
pub mod utc;

pub use contents::{Contents, ContentsError, ModelContents};
pub use custody::Custody;
pub use document::DocumentError;
pub use hermetic_ids::ModelKind;
pub use layout::Hint;
pub use model_pack::ModelManifest;
pub use oci::{Descriptor, ImageIndex, ImageManifest, MediaType};
pub use part_table::{BlobParts, ChainBuilder, Part, PartTable};
pub use statement::{Release, ReleaseArtifact, Statement};
pub use utc::UtcTime;
