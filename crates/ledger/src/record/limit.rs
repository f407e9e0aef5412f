//! What limits hold, charge and refuse.

use hermetic_ids::RequestId;
use serde::{Deserialize, Serialize};

/// What is held on one counter: the most the request may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHold {
    pub rule: String,
    /// `tokens`, `requests`, …: in the smallest part of the unit (money in millionths, time in milliseconds).
    pub unit: String,
    /// `hour`, `hour/sliding`; `now` for what is counted while it lasts.
    pub window: String,
    /// The counter among those of the rule: `project=demo,model=chat`; empty for the whole site.
    pub scope: String,
    /// The slot of the window, counted from 1970.
    pub slot: u64,
    pub amount: u64,
}

/// What one counter was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitCharge {
    pub rule: String,
    pub amount: u64,
}

/// The limit that turned a request away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRefusal {
    pub rule: String,
    pub unit: String,
    pub window: String,
    pub scope: String,
    pub limit: u64,
    /// Charged and held when the request came.
    pub taken: u64,
    pub asked: u64,
}

/// A soft threshold that was crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitThreshold {
    /// The request that crossed it, and what that request holds.
    pub request: RequestId,
    pub hold: LimitHold,
    /// Thousandths of the limit.
    pub threshold: u16,
    /// How many of the rule's thresholds are crossed by now.
    pub crossed: u8,
    pub taken: u64,
    pub limit: u64,
}
