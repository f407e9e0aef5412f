//! What callers asked and were told, kept for the check against OpenAI's description (`make conformance`). Shared by the
//! test clients of several crates. Nothing is written unless `HERMETIC_EXCHANGES` names a folder.

use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

/// Longer ones say nothing about the API that a shorter one does not; tests of limits send hundreds of them.
const BYTES_MAX: usize = 1 << 18;

static FOLDER: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os("HERMETIC_EXCHANGES"));
/// Held while a line is written.
static WRITING: Mutex<()> = Mutex::new(());

/// One request and its answer, as far as it was read; kept when it is dropped.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Not the gateway said it, but an engine that says what its test wants it to.
    pub(crate) scripted: bool,
    /// The gateway's id of the request: tells what an engine said for which caller. Empty where it is of no use.
    pub(crate) request: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) told: Vec<u8>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(folder) = FOLDER.as_ref() else { return };
        // Tests that wait for a service to be ready ask its probes ten thousands of times.
        if !self.path.contains("/v1/") || self.sent.len() + self.told.len() > BYTES_MAX {
            return;
        }
        // Framing tests send what is no text; no JSON API has anything to say of those.
        let (Ok(sent), Ok(told)) = (str::from_utf8(&self.sent), str::from_utf8(&self.told)) else { return };
        let line = json!({
            "scripted": self.scripted, "request": self.request, "method": self.method, "path": self.path,
            "sent": sent, "status": self.status, "told": told,
        });
        keep(Path::new(folder), line.to_string());
    }
}

fn keep(folder: &Path, line: String) {
    // A test that failed elsewhere while it held the lock has poisoned it; that failure is the one to see.
    let Ok(_writing) = WRITING.lock() else { return };
    let name = format!("{}-{}.jsonl", env!("CARGO_PKG_NAME"), std::process::id());
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap();
    writeln!(file, "{line}").unwrap();
}
