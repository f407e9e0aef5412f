//! Signing keys on disk.
