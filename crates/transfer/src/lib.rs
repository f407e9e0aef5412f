//! Export and import runs: collect, assemble, sign; verify, copy, seal.
