//! Wire types of each API surface, server-sent events, minimal edits of JSON bytes.
