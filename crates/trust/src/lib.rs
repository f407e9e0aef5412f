//! TUF roles and thresholds, DSSE statements, the monotonic floor; mints VerifiedRelease.
