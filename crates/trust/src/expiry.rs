//! Expiry without a trusted clock.
//!
//! The clock of an air-gapped machine drifts, is set by hand, and is the first thing an insider would turn back. So a
//! date is judged against the *floor*: the latest moment there is proof of. The floor is raised by times under
//! signatures verified here; the build time of this binary and the last ledger entry raise it for one judgement without
//! being stored, so that a clock that once stood in the future heals with the next entry instead of bricking imports.
//!
//! - floor past the date: provably expired, refused;
//! - only the wall clock past the date: stale, allowed, said so;
//! - wall clock before the floor: the clock is wrong, said so, the floor counts.

use crate::{Role, TrustError};
use hermetic_clock::{UnixMillis, rfc3339};
use std::fmt;

/// The latest moment there is proof of, and what the machine's clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    proven: UnixMillis,
    wall: UnixMillis,
}

impl Floor {
    /// `proofs` are moments known to have passed; `wall` is the machine's clock, which proves nothing.
    pub fn new(proofs: impl IntoIterator<Item = UnixMillis>, wall: UnixMillis) -> Self {
        Self { proven: proofs.into_iter().max().unwrap_or(0), wall }
    }

    pub fn proven_unix_ms(&self) -> UnixMillis {
        self.proven
    }

    /// The floor once one more moment is proven.
    #[must_use]
    pub fn raised_to(self, proof: UnixMillis) -> Self {
        Self { proven: self.proven.max(proof), ..self }
    }
}

/// What a person should know about a release that is allowed nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "warning", rename_all = "kebab-case")]
pub enum Warning {
    /// By the wall clock alone the role has expired.
    Stale { role: Role, expired_unix_ms: UnixMillis, wall_unix_ms: UnixMillis },
    /// The wall clock stands before a moment that has provably passed.
    ClockBehind { wall_unix_ms: UnixMillis, floor_unix_ms: UnixMillis },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { role, expired_unix_ms, wall_unix_ms } => write!(
                f,
                "{role} metadata expired on {} if this machine's clock ({}) is right; nothing proves that it is",
                rfc3339(*expired_unix_ms),
                rfc3339(*wall_unix_ms)
            ),
            Self::ClockBehind { wall_unix_ms, floor_unix_ms } => write!(
                f,
                "this machine's clock says {}, but it is provably {} or later; the clock is wrong",
                rfc3339(*wall_unix_ms),
                rfc3339(*floor_unix_ms)
            ),
        }
    }
}

/// Judges the expiry dates of verified metadata.
pub fn judge(expiries: &[(Role, UnixMillis)], floor: Floor) -> Result<Vec<Warning>, TrustError> {
    let Floor { proven, wall } = floor;
    // The earliest date first: it names the role that a person has to renew.
    let mut sorted = expiries.to_vec();
    sorted.sort_by_key(|(role, expires)| (*expires, *role));
    if let Some(&(role, expired_unix_ms)) = sorted.iter().find(|(_, expires)| proven > *expires) {
        return Err(TrustError::Expired { role, expired_unix_ms, floor_unix_ms: proven });
    }
    let mut warnings = Vec::new();
    if wall < proven {
        warnings.push(Warning::ClockBehind { wall_unix_ms: wall, floor_unix_ms: proven });
    }
    warnings.extend(
        sorted.iter().filter(|(_, expires)| wall > *expires).map(|&(role, expired_unix_ms)| Warning::Stale {
            role,
            expired_unix_ms,
            wall_unix_ms: wall,
        }),
    );
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_the_role_that_expired_first() {
        let expiries = [(Role::Root, 100), (Role::Timestamp, 50), (Role::Targets, 60)];
        let error = judge(&expiries, Floor::new([70], 0)).unwrap_err();
        assert!(matches!(
            error,
            TrustError::Expired { role: Role::Timestamp, expired_unix_ms: 50, floor_unix_ms: 70 }
        ));
    }

    proptest! {
        #[test]
        fn the_wall_clock_alone_never_refuses(expires in 0u64..1000, proven in 0u64..1000, wall in 0u64..1_000_000) {
            let result = judge(&[(Role::Timestamp, expires)], Floor::new([proven], wall));
            prop_assert_eq!(result.is_err(), proven > expires);
            if let Ok(warnings) = result {
                let stale = warnings.iter().any(|w| matches!(w, Warning::Stale { .. }));
                let behind = warnings.iter().any(|w| matches!(w, Warning::ClockBehind { .. }));
                prop_assert_eq!((stale, behind), (wall > expires, wall < proven));
            }
        }

        #[test]
        fn a_higher_floor_never_turns_a_refusal_into_an_acceptance(expires in 0u64..1000, low in 0u64..1000, more in 0u64..1000) {
            let refused = judge(&[(Role::Root, expires)], Floor::new([low], 0)).is_err();
            let raised = judge(&[(Role::Root, expires)], Floor::new([low], 0).raised_to(low + more)).is_err();
            prop_assert!(!refused || raised);
        }
    }
}
