//! The only door through which a socket leaves this process.
