//! Rows in SQLite behind the seam PostgreSQL will use.
