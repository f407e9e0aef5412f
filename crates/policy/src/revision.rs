//! Which state of the policy folder a decision rests on: its digest and, where it is a Git working tree, its commit.

use hermetic_digest::Digest;

/// One state of the policy folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Of the files as they are read ([`crate::folder_digest`]).
    pub digest: Digest,
    /// Where the folder lies in a Git working tree.
    pub commit: Option<Commit>,
}

/// The commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// In hexadecimal digits, as Git prints it.
    pub id: String,
    pub agreement: Agreement,
}

/// Whether the policy files on disk are those of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Each is, and none is missing.
    Clean,
    /// At least one is not.
    Dirty,
    /// The commit's own list of files could not be read.
    Unverified,
}

impl Agreement {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Dirty => "dirty",
            Self::Unverified => "unverified",
        }
    }
}
