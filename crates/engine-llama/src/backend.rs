//! llama.cpp's process-wide state: started once, its log sent to tracing.

use crate::error::LoadError;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::{LlamaCppError, LogOptions, send_logs_to_tracing};
use std::sync::Mutex;

static STARTED: Mutex<Option<&'static LlamaBackend>> = Mutex::new(None);

/// The library, started on first use and kept for the life of the process: stopping it while a model is loaded is
/// undefined.
pub(crate) fn started() -> Result<&'static LlamaBackend, LoadError> {
    let mut started =
        STARTED.lock().map_err(|_| LoadError::Backend(LlamaCppError::BackendAlreadyInitialized))?;
    if let Some(backend) = *started {
        return Ok(backend);
    }
    // Before the start: it prints to stderr otherwise.
    send_logs_to_tracing(LogOptions::default());
    let backend: &'static LlamaBackend =
        Box::leak(Box::new(LlamaBackend::init().map_err(LoadError::Backend)?));
    *started = Some(backend);
    Ok(backend)
}
