//! The ledger on disk: write-ahead segments, group commit, tiles, recovery.
