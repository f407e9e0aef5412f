//! Where the counters are and how the replica deals with them, with the reason for each default.

use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// A password. It is not shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What happens while the server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Requests that count under a shared cap are refused.
    FailClosed,
    /// They are served from what is leased already, and refused when that is used up.
    LastLease,
}

/// One replica's part in the shared counters. [`SharedOptions::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct SharedOptions {
    pub host: String,
    pub port: u16,
    pub database: u32,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Put before every key, so that several enclaves can share a server.
    pub namespace: String,
    /// Who this is, for as long as its state folder lives.
    pub replica: String,
    /// How many replicas there are: so many must have said what they hold before a server that lost its data is believed.
    pub replicas: u32,
    pub on_loss: OnLoss,
    /// Time for one answer. Default 1 s: inside an enclave an answer takes a millisecond or does not come.
    pub answer_within: Duration,
    /// Between two signs of life. Default 1 s: it is how soon an absence is noticed that no request runs into.
    pub heartbeat: Duration,
    /// A replica that gave no sign of life for this long may be replaced by another under the same id. Default 4 s: three
    /// signs lost in a row.
    pub presumed_dead_after: Duration,
    /// A lease nobody needed for this long goes back. Default 5 s: asking again costs a millisecond.
    pub idle_after: Duration,
    /// Between two looks for counters that will soon need more. Default 20 ms.
    pub look_ahead: Duration,
    /// Between two attempts to reach the server. Default 500 ms.
    pub retry_every: Duration,
}

impl SharedOptions {
    pub fn new(host: &str, port: u16, replica: &str, replicas: u32) -> Self {
        Self {
            host: host.to_owned(),
            port,
            database: 0,
            user: None,
            password: None,
            namespace: "hermetic".to_owned(),
            replica: replica.to_owned(),
            replicas,
            on_loss: OnLoss::FailClosed,
            answer_within: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            presumed_dead_after: Duration::from_secs(4),
            idle_after: Duration::from_secs(5),
            look_ahead: Duration::from_millis(20),
            retry_every: Duration::from_millis(500),
        }
    }
}
