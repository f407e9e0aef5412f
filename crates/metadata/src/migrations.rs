//! The schema, as the steps that lead to it. A step that has shipped is never edited: the next one changes it.

use crate::MetadataError;
use rusqlite::{Connection, TransactionBehavior};

/// In order; the database's `user_version` counts how many have been applied.
const STEPS: &[&str] = &[SUPPLY, API_KEYS, CREDENTIALS, BATCHES, RESPONSES];

const SUPPLY: &str = "
CREATE TABLE generation (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO generation VALUES (1, 1);

CREATE TABLE floor (id INTEGER PRIMARY KEY CHECK (id = 1), unix_ms INTEGER NOT NULL) STRICT;

-- One row per release statement whose import was begun.
CREATE TABLE imports (
    statement TEXT PRIMARY KEY,
    release TEXT NOT NULL,
    counter INTEGER NOT NULL,
    engineer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('copying', 'imported')),
    started_unix_ms INTEGER NOT NULL,
    finished_unix_ms INTEGER
) STRICT;

-- Parts that are on this disk, synced and checked, of blobs that are not sealed yet. A row is believed only under the
-- part table it was checked against.
CREATE TABLE incoming_parts (
    blob TEXT NOT NULL,
    part_table TEXT NOT NULL,
    part INTEGER NOT NULL,
    PRIMARY KEY (blob, part_table, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    version TEXT PRIMARY KEY,
    statement TEXT NOT NULL UNIQUE,
    counter INTEGER NOT NULL UNIQUE,
    created_unix_ms INTEGER NOT NULL,
    imported_unix_ms INTEGER NOT NULL,
    engineer TEXT NOT NULL,
    root_version INTEGER NOT NULL,
    signers TEXT NOT NULL,
    leaf INTEGER NOT NULL
) STRICT;

CREATE TABLE release_blobs (
    release TEXT NOT NULL REFERENCES releases (version),
    blob TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (release, blob)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    release TEXT NOT NULL REFERENCES releases (version),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    manifest TEXT NOT NULL,
    manifest_bytes INTEGER NOT NULL,
    custody TEXT NOT NULL,
    PRIMARY KEY (release, name)
) STRICT;

CREATE TABLE artifact_files (
    release TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    blob TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (release, name, path),
    FOREIGN KEY (release, name) REFERENCES artifacts (release, name)
) STRICT;

-- Who holds, and held, which label. `until_unix_ms` is null while held; `ended_by` says how it was lost.
CREATE TABLE label_tenures (
    id INTEGER PRIMARY KEY,
    label TEXT NOT NULL,
    release TEXT NOT NULL REFERENCES releases (version),
    since_unix_ms INTEGER NOT NULL,
    until_unix_ms INTEGER,
    ended_by TEXT,
    given_by TEXT NOT NULL,
    leaf INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX label_holder ON label_tenures (label) WHERE until_unix_ms IS NULL;
";

const API_KEYS: &str = "
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    project TEXT NOT NULL,
    team TEXT NOT NULL,
    workflow TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_unix_ms INTEGER,
    revoked_unix_ms INTEGER,
    revoked_by TEXT
) STRICT;
";

const CREDENTIALS: &str = "
-- JSON: what a key is limited to and what else is known of its owner.
ALTER TABLE api_keys ADD COLUMN surfaces TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN clearance TEXT;
ALTER TABLE api_keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_keys ADD COLUMN rotated_from TEXT REFERENCES api_keys (id);
ALTER TABLE api_keys ADD COLUMN rotated_to TEXT REFERENCES api_keys (id);
ALTER TABLE api_keys ADD COLUMN last_used_unix_ms INTEGER;

-- Tokens that are refused although they verify: by their id, or all that name a subject.
CREATE TABLE revoked_tokens (
    issuer TEXT NOT NULL,
    by_what TEXT NOT NULL CHECK (by_what IN ('id', 'subject')),
    value TEXT NOT NULL,
    revoked_unix_ms INTEGER NOT NULL,
    revoked_by TEXT NOT NULL,
    PRIMARY KEY (issuer, by_what, value)
) STRICT, WITHOUT ROWID;
";

const BATCHES: &str = "
-- Files as callers see them. What is in them lies sealed beside the database.
CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX files_of_project ON files (project, seq);
CREATE INDEX files_by_end ON files (expires_unix_ms);

-- `document` is JSON: the batch as its state machine has it. `holder` is JSON: on whose behalf its lines are asked.
-- `ended_unix_ms` is null while it has not ended.
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    input TEXT NOT NULL,
    document TEXT NOT NULL,
    holder TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    ended_unix_ms INTEGER
) STRICT;
CREATE INDEX batches_of_project ON batches (project, seq);
CREATE INDEX batches_that_run ON batches (seq) WHERE ended_unix_ms IS NULL;
";

const RESPONSES: &str = "
-- Stored responses: whose, and which one each goes on from. What they say lies sealed beside the database.
CREATE TABLE responses (
    id TEXT NOT NULL PRIMARY KEY,
    project TEXT NOT NULL,
    subject TEXT NOT NULL,
    previous TEXT,
    bytes INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX responses_by_end ON responses (expires_unix_ms);
";

/// Applies the steps this database has not seen, each in its own transaction.
pub(crate) fn apply(connection: &mut Connection) -> Result<(), MetadataError> {
    let wrap = |action| move |source| MetadataError::Query { action, source };
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    loop {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap("lock for migration"))?;
        // Read under the write lock: two processes that start together must not both apply a step.
        let found: u32 = transaction
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(wrap("read the schema version"))?;
        if found > known {
            return Err(MetadataError::NewerSchema { known, found });
        }
        let Some(step) = STEPS.get(found as usize) else {
            return Ok(());
        };
        transaction.execute_batch(step).map_err(wrap("apply a migration"))?;
        transaction.pragma_update(None, "user_version", found + 1).map_err(wrap("record a migration"))?;
        transaction.commit().map_err(wrap("commit a migration"))?;
    }
}
