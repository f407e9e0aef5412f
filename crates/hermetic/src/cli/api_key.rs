//! `hermetic api-key`: who may ask, and until when. Each change is a leaf of the ledger before it takes effect.

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_clock::{Clock, UnixMillis, parse_rfc3339, rfc3339};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_identity::{IssuedKey, KeyRequest, Owner};
use hermetic_ids::{KeyId, ProjectName, SubjectName, TeamName, WorkflowName};
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::AppendError;
use hermetic_metadata::ApiKeyRow;
use std::process::ExitCode;
use std::str::FromStr;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and show it, this once.
    Create(CreateArguments),
    /// List the keys there are and were, without their secrets.
    List,
    /// Take a key out of force, within a second.
    Revoke(RevokeArguments),
}

#[derive(Debug, clap::Args)]
struct CreateArguments {
    /// Who asks: a person or a service.
    #[arg(long)]
    subject: SubjectName,
    /// Who answers for it.
    #[arg(long)]
    project: ProjectName,
    #[arg(long)]
    team: TeamName,
    /// What the requests are for.
    #[arg(long)]
    workflow: WorkflowName,
    /// When the key stops working: a time such as 2027-01-31T00:00:00Z, or from now on, such as 90d, 12h, 30m.
    #[arg(long)]
    expires: Option<Expiry>,
    /// Who makes the key; `import.engineer` of the configuration, or this process's user id, by default.
    #[arg(long)]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RevokeArguments {
    /// The key's id, as listed: `key_…`.
    id: KeyId,
    /// Who revokes it; the default is that of `create`.
    #[arg(long)]
    by: Option<String>,
}

/// When a key stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    At(UnixMillis),
    In { millis: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("expected a time such as 2027-01-31T00:00:00Z, or a span such as 90d, 12h or 30m")]
struct ExpiryError;

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        if let Some(at) = parse_rfc3339(text) {
            return Ok(Self::At(at));
        }
        let units = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000)];
        let (count, unit) = units
            .into_iter()
            .find_map(|(suffix, ms)| Some((text.strip_suffix(suffix)?, ms)))
            .ok_or(ExpiryError)?;
        let count: u64 = count.parse().map_err(|_| ExpiryError)?;
        count.checked_mul(unit).map(|millis| Self::In { millis }).ok_or(ExpiryError)
    }
}

impl Expiry {
    fn after(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::In { millis } => now.saturating_add(millis),
        }
    }
}

/// Why nothing took effect.
#[derive(Debug, thiserror::Error)]
enum ApiKeyError {
    #[error("expected a key to expire in the future, found {}", rfc3339(*.at))]
    ExpiresInThePast { at: UnixMillis },
    #[error("expected the id of a key there is, found {id}")]
    NoSuchKey { id: KeyId },
    #[error("the key {id} was revoked before, at {}", rfc3339(*.at))]
    RevokedBefore { id: KeyId, at: UnixMillis },
    #[error("the system gives no random bytes")]
    NoRandomness,
    #[error("the ledger did not take the record of the change; nothing took effect")]
    Ledger(#[source] AppendError),
}

impl Diagnose for ApiKeyError {
    fn code(&self) -> Code {
        Code::new("E0907")
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchKey { .. } => Some("`hermetic api-key list` shows the ids".to_owned()),
            Self::Ledger(source) => source.hint(),
            Self::ExpiresInThePast { .. } | Self::RevokedBefore { .. } | Self::NoRandomness => None,
        }
    }
}

/// A key as it is shown.
#[derive(Debug, serde::Serialize)]
struct KeyView {
    id: KeyId,
    subject: SubjectName,
    project: ProjectName,
    team: TeamName,
    workflow: WorkflowName,
    state: &'static str,
    created: String,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_by: Option<String>,
}

/// A key just made, with its secret.
#[derive(Debug, serde::Serialize)]
struct CreatedView {
    key: String,
    #[serde(flatten)]
    about: KeyView,
    leaf: u64,
}

/// A key just revoked.
#[derive(Debug, serde::Serialize)]
struct RevokedView {
    id: KeyId,
    leaf: u64,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let clock = Clock::system();
    match &arguments.command {
        Command::Create(arguments) => create(arguments, &enclave, &clock, context)?,
        Command::List => list(&enclave, &clock, context)?,
        Command::Revoke(arguments) => revoke(arguments, &enclave, &clock, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(
    arguments: &CreateArguments,
    enclave: &Enclave,
    clock: &Clock,
    context: &Context,
) -> Result<(), Report> {
    let now = clock.unix_millis();
    let expires_unix_ms = arguments.expires.map(|expires| expires.after(now));
    if let Some(at) = expires_unix_ms.filter(|&at| at <= now) {
        return Err(ApiKeyError::ExpiresInThePast { at }.into());
    }
    let owner = Owner {
        subject: arguments.subject.clone(),
        project: arguments.project.clone(),
        team: arguments.team.clone(),
        workflow: arguments.workflow.clone(),
    };
    let by = enclave.by(arguments.by.as_ref());
    let random = hermetic_identity::draw().ok_or(ApiKeyError::NoRandomness)?;
    let request = KeyRequest { owner: owner.clone(), expires_unix_ms, by: by.clone() };
    let issued = IssuedKey::new(request, random, now);
    let event = Event::ApiKeyCreated { key: issued.row.id, owner, expires_unix_ms, by };
    let leaf = record(event, enclave, clock)?;
    enclave.metadata()?.insert_api_key(&issued.row)?;
    let created = CreatedView { key: issued.key.reveal(), about: view(issued.row, now), leaf };
    // Under --quiet as well: it is the result, and there is no second chance to see it.
    context.out.result(&created, |created| {
        let about = &created.about;
        vec![
            created.key.clone(),
            format!("  id       {}", about.id),
            format!("  for      {} ({} / {} / {})", about.subject, about.project, about.team, about.workflow),
            format!("  expires  {}", about.expires.as_deref().unwrap_or("never")),
            format!("  recorded as leaf {leaf}; the key is shown this once and kept nowhere"),
        ]
    });
    Ok(())
}

fn list(enclave: &Enclave, clock: &Clock, context: &Context) -> Result<(), Report> {
    let now = clock.unix_millis();
    let keys: Vec<KeyView> = enclave.metadata()?.api_keys()?.into_iter().map(|row| view(row, now)).collect();
    context.out.result(&keys, |keys| {
        if keys.is_empty() {
            return vec!["no keys; `hermetic api-key create` makes one".to_owned()];
        }
        let line = |key: &KeyView| {
            let KeyView { id, subject, project, team, workflow, state, expires, .. } = key;
            let until = expires.as_deref().unwrap_or("never expires");
            format!("{id}  {state:<8} {subject}  {project} / {team} / {workflow}  {until}")
        };
        keys.iter().map(line).collect()
    });
    Ok(())
}

fn revoke(
    arguments: &RevokeArguments,
    enclave: &Enclave,
    clock: &Clock,
    context: &Context,
) -> Result<(), Report> {
    let metadata = enclave.metadata()?;
    let id = arguments.id;
    let known = metadata.api_keys()?.into_iter().find(|row| row.id == id);
    match known.map(|row| row.revoked_unix_ms) {
        None => return Err(ApiKeyError::NoSuchKey { id }.into()),
        Some(Some(at)) => return Err(ApiKeyError::RevokedBefore { id, at }.into()),
        Some(None) => {}
    }
    let by = enclave.by(arguments.by.as_ref());
    let leaf = record(Event::ApiKeyRevoked { key: id, by: by.clone() }, enclave, clock)?;
    // Whether we or another operator revoked it in this moment: it is revoked.
    metadata.revoke_api_key(&id, clock.unix_millis(), &by)?;
    context.out.result(&RevokedView { id, leaf }, |revoked| {
        vec![format!(
            "{} is revoked, recorded as leaf {}; it stops working within a second",
            revoked.id, revoked.leaf
        )]
    });
    Ok(())
}

/// The leaf comes first: a key the ledger does not know of never works.
fn record(event: Event, enclave: &Enclave, clock: &Clock) -> Result<u64, Report> {
    let ledger = enclave.ledger(clock, &enclave.connector())?;
    let record = Record { v: 1, at_unix_ms: clock.unix_millis(), event };
    Ok(ledger.append_blocking(&record).map_err(ApiKeyError::Ledger)?.index)
}

fn view(row: ApiKeyRow, now: UnixMillis) -> KeyView {
    let state = match (row.revoked_unix_ms, row.expires_unix_ms) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        (None, _) => "in force",
    };
    KeyView {
        id: row.id,
        subject: row.subject,
        project: row.project,
        team: row.team,
        workflow: row.workflow,
        state,
        created: rfc3339(row.created_unix_ms),
        created_by: row.created_by,
        expires: row.expires_unix_ms.map(rfc3339),
        revoked: row.revoked_unix_ms.map(rfc3339),
        revoked_by: row.revoked_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_a_span_and_nothing_else() {
        assert_eq!("90d".parse::<Expiry>().unwrap().after(5), 90 * 86_400_000 + 5);
        assert_eq!("2026-11-23T02:00:00.123Z".parse::<Expiry>().unwrap(), Expiry::At(1_795_399_200_123));
        for bad in ["", "d", "-1d", "1.5h", "90", "tomorrow", "99999999999999999999d", "9999999999999999d"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
    }
}
