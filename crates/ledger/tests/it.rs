//! The pure ledger against an independent implementation, and against every change of every byte.

mod it {
    pub(crate) mod flips;
    pub(crate) mod oracle;
    pub(crate) mod support;
}
