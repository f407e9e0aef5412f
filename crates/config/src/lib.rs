//! The one YAML schema of all four tiers: text in, every mistake at once with its line, a validated configuration out.
//!
//! What it is for: [`parse`] turns the text of a configuration file into a [`Config`] that cannot lie, or into a
//! [`ConfigError`] that lists *all* mistakes of the file with line and column. [`explain`], [`json_schema`] and
//! [`reference_markdown`] say the same things to people and editors, from the same doc comments.
//!
//! What it must not know: services, sockets, files. The caller reads the text; nothing here opens anything.
//!
//! The flow: `yaml` (text → tree with positions) → `walk` (tree against the schema) and `rules` (keys against each
//! other, tier invariants) → `settings` (tree → [`Config`]).
//!
//! Invariants: a key that is not in the schema is refused, never ignored; in the tiers `air-gapped` and `diode` every
//! endpoint named by a [`Config`] lies inside its [`EnclaveBoundary`]; `wire` types never leave this crate.

mod boundary;
mod diff;
mod formats;
mod mistake;
mod reference;
mod rules;
mod schema;
mod settings;
mod tree;
mod units;
mod walk;
mod wire;
mod yaml;

pub use boundary::{BoundaryEntry, BoundaryError, EnclaveBoundary};
pub use diff::{Change, Effect, changes};
pub use formats::HedgeDelay;
pub use mistake::{ConfigError, Mistake, Position};
pub use reference::{KeyReference, UnknownKey, explain, keys, reference_markdown};
pub use schema::json_schema;
pub use settings::targets::{
    HedgeSettings, RoutingSettings, TargetSettings, TargetSource, Timeouts, VirtualModel,
};
pub use settings::{
    BatchSettings, CertificateMatch, CertificateRule, Classification, Config, EndpointCounting,
    EngineSettings, Gateway, GatewayLimits, GatewayTls, Grants, GuardActions, GuardException, GuardRule,
    Guardrails, Identity, Import, Issuer, IssuerKeys, LedgerSettings, LimitsStore, Log, Model, ModelMarks,
    ModelSource, ModelTerms, Network, Policy, QueueSettings, ResponseSettings, Throttle,
};
pub use units::{ByteSize, HumanDuration, UnitError};
pub use wire::limits_store::OnLoss;
pub use wire::{
    Capture, ClientCertificates, CrlOverdue, Durability, Kind, LogFormat, LogLevel, Speaks, StickTo,
    SurfaceName, Tier, TokenAlgorithm, Tokenize,
};

use std::path::Path;

/// Longest configuration text in bytes: ten times the largest one anybody should have to read.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Reads and checks a configuration. `file` names it in messages; paths in it are relative to the folder of `file`.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let wrap = |mistakes| ConfigError::new(file, mistakes);
    let (tree, mut mistakes) = yaml::parse(text).map_err(|mistake| wrap(vec![mistake]))?;
    walk::walk(&tree, &mut mistakes);
    rules::check(&tree, &mut mistakes);
    if mistakes.is_empty() {
        let base = file.parent().unwrap_or(Path::new(""));
        match settings::convert(&tree, base) {
            Ok(config) => return Ok(config),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    mistakes.sort_by_key(|mistake| (mistake.at.line, mistake.at.column));
    Err(wrap(mistakes))
}

#[cfg(test)]
mod tests;
