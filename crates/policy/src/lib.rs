//! Subjects, Cedar authorization; mints Permit.
