//! Engines in subprocesses, and the face they show the gateway.
