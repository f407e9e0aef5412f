//! Every limit of the format, with its reason. A reader refuses more; a writer never makes it.

/// Largest single document (manifest, config, custody, statement) in bytes: what OCI registries accept as a manifest,
/// so that a bundle can always be pushed to one.
pub const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Largest `index.json` in bytes: [`INDEX_ENTRIES_MAX`] descriptors of about a kilobyte.
pub const INDEX_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most entries of an image index: a release of thousands of artifacts, and no more than a person could ever review.
pub const INDEX_ENTRIES_MAX: usize = 8_192;

/// Most layers of one manifest: a sharded model with its documents; keeps a manifest below [`DOCUMENT_BYTES_MAX`].
pub const LAYERS_MAX: usize = 4_096;

/// Largest part table in bytes: 64 TiB in 16 MiB parts is four million chain values of 67 bytes.
pub const PART_TABLE_BYTES_MAX: u64 = 320 * 1024 * 1024;

/// Most blobs in one part table: every entry of the largest index with a handful of layers each.
pub const BLOBS_MAX: usize = 65_536;

/// Part size when nobody chose one: large enough that a part is a long sequential read, small enough that a resumed
/// import repeats less than a second of work per disk.
pub const PART_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// Smallest part: below it the table outweighs what it saves. Tests use it too.
pub const PART_BYTES_MIN: u64 = 4 * 1024;

/// Largest part: a part must fit a FAT32 file (below 4 GiB) when volumes arrive.
pub const PART_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Largest blob: SHA-256 counts bits in 64 bits, so 2^61 bytes; 16 TiB is far above any file and leaves arithmetic room.
pub const BLOB_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024 * 1024;

/// Most bytes of one free-text field: a paragraph, not a document.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// Most signatures in an envelope: more keys than any ceremony has people.
pub const SIGNATURES_MAX: usize = 64;

/// Largest TUF metadata file in bytes: one target and a handful of keys take a few kilobytes; delegations may grow it.
pub const METADATA_BYTES_MAX: u64 = 1024 * 1024;

/// Longest chain of root rotations a bundle may carry: a rotation a week for nineteen years.
pub const ROOTS_MAX: usize = 1_000;
