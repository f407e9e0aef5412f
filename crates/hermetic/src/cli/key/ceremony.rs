//! `hermetic key ceremony`: make keys, sign a root, say what goes where.

use crate::cli::Context;
use hermetic_bundle::UtcTime;
use hermetic_clock::Clock;
use hermetic_diagnostics::Report;
use hermetic_transfer::export::ceremony::{Ceremony, CeremonyOrder, RoleOrder, SUMMARY_FILE, hold_ceremony};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder to make; it must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Root keys: they change keys, and nothing else.
    #[arg(long, default_value_t = 3)]
    root_keys: u32,
    /// How many root keys must sign.
    #[arg(long, default_value_t = 2)]
    root_threshold: u32,
    /// Targets keys: they sign releases.
    #[arg(long, default_value_t = 2)]
    targets_keys: u32,
    /// How many targets keys must sign a release.
    #[arg(long, default_value_t = 2)]
    targets_threshold: u32,
    /// Snapshot keys; one must sign.
    #[arg(long, default_value_t = 1)]
    snapshot_keys: u32,
    /// Timestamp keys; one must sign.
    #[arg(long, default_value_t = 1)]
    timestamp_keys: u32,
    /// How long the root holds.
    #[arg(long, default_value_t = 2_922, value_name = "DAYS")]
    expires_after_days: u32,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let role = |keys, threshold| RoleOrder { keys, threshold };
    let order = CeremonyOrder {
        out: arguments.out.clone(),
        now: now(),
        expires_after_days: arguments.expires_after_days,
        root: role(arguments.root_keys, arguments.root_threshold),
        targets: role(arguments.targets_keys, arguments.targets_threshold),
        snapshot: role(arguments.snapshot_keys, 1),
        timestamp: role(arguments.timestamp_keys, 1),
    };
    let ceremony = hold_ceremony(&order)?;
    context.out.result(&ceremony, lines);
    Ok(ExitCode::SUCCESS)
}

/// The machine's time; a clock beyond the year 9999 counts as the last moment a document may carry.
pub(crate) fn now() -> UtcTime {
    let millis = Clock::system().unix_millis();
    UtcTime::from_unix_millis(millis).unwrap_or_else(|_| UtcTime::EPOCH.plus_days(u32::MAX))
}

fn lines(ceremony: &Ceremony) -> Vec<String> {
    let folder = ceremony.folder.display();
    let mut lines = vec![
        format!("root version {} signed, holds until {}", ceremony.root_version, ceremony.expires),
        format!("root digest  {}", ceremony.root_digest),
        String::new(),
    ];
    for ring in &ceremony.roles {
        lines.push(format!(
            "{:<10} {} of {} must sign; keep {}",
            ring.role.to_string(),
            ring.threshold,
            ring.keys.len(),
            ring.keep
        ));
        lines.extend(ring.keys.iter().map(|key| format!("  {:<16} {}", key.file, key.key_id)));
    }
    lines.extend([
        String::new(),
        format!("1. Move the root-*.pem files off this machine now, each to another person; erase them in {folder}."),
        format!("2. Give {folder}/{} to every enclave by another way than the bundles' disk,", ceremony.root_file),
        "   and its digest by a third (a letter, a phone call): `hermetic trust pin` asks for both.".to_owned(),
        format!("3. Build with `hermetic bundle build --keys {folder} …`. {SUMMARY_FILE} repeats this list."),
    ]);
    lines
}
