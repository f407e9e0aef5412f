//! API keys: shown once, hashed at rest, scoped, expiring.
