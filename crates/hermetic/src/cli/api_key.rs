//! `hermetic api-key`: who may ask, for what, and until when. Each change is a leaf of the ledger before it takes
//! effect.

mod span;
mod view;

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_clock::{Clock, UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_identity::{
    Grants, IssuedKey, KeyRequest, MetadataName, MetadataTextError, MetadataValue, ModelPattern, Owner,
    Scopes,
};
use hermetic_ids::{ClearanceName, GroupName, KeyId, ProjectName, SubjectName, TeamName, WorkflowName};
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::AppendError;
use hermetic_metadata::ApiKeyRow;
use span::{Expiry, Span};
use std::process::ExitCode;
use std::str::FromStr;
use view::{CreatedView, KeyView, RevokedView, RotatedView};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and show it, this once.
    Create(Box<CreateArguments>),
    /// List the keys there are and were, without their secrets.
    List,
    /// Make the successor of a key, and let the old one work a while longer.
    Rotate(RotateArguments),
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
    /// A surface the key is limited to, such as chat.completions; may be repeated. Any, by default.
    #[arg(long = "surface", value_name = "SURFACE", value_parser = surface)]
    surfaces: Vec<Surface>,
    /// A model the key is limited to, by name or as the beginning of one and `*`; may be repeated. Any, by default.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<ModelPattern>,
    /// A group the owner is in; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// What the owner is cleared to see.
    #[arg(long)]
    clearance: Option<ClearanceName>,
    /// Whatever else limits and reports may go by, such as cost-centre=42; may be repeated.
    #[arg(long = "metadata", value_name = "NAME=VALUE")]
    metadata: Vec<MetadataPair>,
    /// When the key stops working: a time such as 2027-01-31T00:00:00Z, or from now on, such as 90d, 12h, 30m.
    #[arg(long)]
    expires: Option<Expiry>,
    /// Who makes the key; `import.engineer` of the configuration, or this process's user id, by default.
    #[arg(long)]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RotateArguments {
    /// The id of the key to be succeeded, as listed: `key_…`.
    id: KeyId,
    /// How long the old key works beside the new one: `24h`; `0m` ends it at once.
    #[arg(long, default_value = "24h")]
    overlap: Span,
    /// When the new key stops working; the default is when the old one would have.
    #[arg(long)]
    expires: Option<Expiry>,
    /// Who rotates it; the default is that of `create`.
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

#[derive(Debug, Clone)]
struct MetadataPair {
    name: MetadataName,
    value: MetadataValue,
}

impl FromStr for MetadataPair {
    type Err = MetadataTextError;

    fn from_str(text: &str) -> Result<Self, MetadataTextError> {
        let (name, value) = text.split_once('=').ok_or(MetadataTextError::Value)?;
        Ok(Self { name: name.parse()?, value: value.parse()? })
    }
}

fn surface(name: &str) -> Result<Surface, String> {
    Surface::of_name(name).ok_or_else(|| {
        let known: Vec<&str> = Surface::ALL.into_iter().map(Surface::as_str).collect();
        format!("expected one of {}", known.join(", "))
    })
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
    #[error("expected a key that is still in force, found that {id} expired at {}", rfc3339(*.at))]
    ExpiredBefore { id: KeyId, at: UnixMillis },
    #[error("expected a key without a successor, found that {successor} succeeds {id}")]
    RotatedBefore { id: KeyId, successor: KeyId },
    #[error("the key {id} was changed by somebody else in this moment; nothing took effect")]
    ChangedMeanwhile { id: KeyId },
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
            Self::NoSuchKey { .. } | Self::ChangedMeanwhile { .. } => {
                Some("`hermetic api-key list` shows the keys".to_owned())
            }
            Self::RotatedBefore { successor, .. } => Some(format!("rotate {successor} instead")),
            Self::ExpiredBefore { .. } => Some("make a new key with `hermetic api-key create`".to_owned()),
            Self::Ledger(source) => source.hint(),
            Self::ExpiresInThePast { .. } | Self::RevokedBefore { .. } | Self::NoRandomness => None,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let clock = Clock::system();
    match &arguments.command {
        Command::Create(arguments) => create(arguments, &enclave, &clock, context)?,
        Command::List => list(&enclave, &clock, context)?,
        Command::Rotate(arguments) => rotate(arguments, &enclave, &clock, context)?,
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
    in_the_future(expires_unix_ms, now)?;
    let grants = arguments.grants();
    let by = enclave.by(arguments.by.as_ref());
    let random = hermetic_identity::draw().ok_or(ApiKeyError::NoRandomness)?;
    let (owner, extent) = (grants.owner.clone(), grants.extent());
    let request = KeyRequest { grants, expires_unix_ms, by: by.clone() };
    let issued = IssuedKey::new(request, random, now);
    let event = Event::ApiKeyCreated { key: issued.row.id, owner, expires_unix_ms, by, extent };
    let leaf = record(event, enclave, clock)?;
    enclave.metadata()?.insert_api_key(&issued.row)?;
    let created = CreatedView { key: issued.key.reveal(), about: KeyView::of(issued.row, now), leaf };
    // Under --quiet as well: it is the result, and there is no second chance to see it.
    context.out.result(&created, CreatedView::lines);
    Ok(())
}

impl CreateArguments {
    fn grants(&self) -> Grants {
        let owner = Owner {
            subject: self.subject.clone(),
            project: self.project.clone(),
            team: self.team.clone(),
            workflow: self.workflow.clone(),
        };
        Grants {
            groups: self.groups.clone(),
            clearance: self.clearance.clone(),
            scopes: Scopes { surfaces: self.surfaces.clone(), models: self.models.clone() },
            metadata: self.metadata.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect(),
            ..Grants::of(owner)
        }
    }
}

fn in_the_future(expires: Option<UnixMillis>, now: UnixMillis) -> Result<(), ApiKeyError> {
    expires.filter(|&at| at <= now).map_or(Ok(()), |at| Err(ApiKeyError::ExpiresInThePast { at }))
}

fn list(enclave: &Enclave, clock: &Clock, context: &Context) -> Result<(), Report> {
    let now = clock.unix_millis();
    let rows = enclave.metadata()?.api_keys()?;
    let keys: Vec<KeyView> = rows.into_iter().map(|row| KeyView::of(row, now)).collect();
    context.out.result(&keys, |keys| {
        if keys.is_empty() {
            return vec!["no keys; `hermetic api-key create` makes one".to_owned()];
        }
        keys.iter().flat_map(KeyView::lines).collect()
    });
    Ok(())
}

fn rotate(
    arguments: &RotateArguments,
    enclave: &Enclave,
    clock: &Clock,
    context: &Context,
) -> Result<(), Report> {
    let metadata = enclave.metadata()?;
    let now = clock.unix_millis();
    let id = arguments.id;
    let old = in_force(metadata.api_keys()?, id, now)?;
    if let Some(successor) = old.rotated_to {
        return Err(ApiKeyError::RotatedBefore { id, successor }.into());
    }
    let expires_unix_ms = arguments.expires.map(|expires| expires.after(now)).or(old.expires_unix_ms);
    in_the_future(expires_unix_ms, now)?;
    let overlap = now.saturating_add(arguments.overlap.millis);
    let overlap_until_unix_ms = old.expires_unix_ms.map_or(overlap, |expires| expires.min(overlap));
    let by = enclave.by(arguments.by.as_ref());
    let random = hermetic_identity::draw().ok_or(ApiKeyError::NoRandomness)?;
    let issued = IssuedKey::successor(&old, expires_unix_ms, by.clone(), random, now);
    let successor = issued.row.id;
    let event = Event::ApiKeyRotated { key: id, successor, overlap_until_unix_ms, expires_unix_ms, by };
    let leaf = record(event, enclave, clock)?;
    if !metadata.rotate_api_key(&id, &issued.row, overlap_until_unix_ms)? {
        return Err(ApiKeyError::ChangedMeanwhile { id }.into());
    }
    let created = CreatedView { key: issued.key.reveal(), about: KeyView::of(issued.row, now), leaf };
    let rotated = RotatedView { created, overlap_until: rfc3339(overlap_until_unix_ms) };
    context.out.result(&rotated, |rotated| {
        let mut lines = rotated.created.lines();
        lines.push(format!("  {id} works beside it until {}", rotated.overlap_until));
        lines
    });
    Ok(())
}

/// The key of this id, if it works.
fn in_force(rows: Vec<ApiKeyRow>, id: KeyId, now: UnixMillis) -> Result<ApiKeyRow, ApiKeyError> {
    let row = rows.into_iter().find(|row| row.id == id).ok_or(ApiKeyError::NoSuchKey { id })?;
    if let Some(at) = row.revoked_unix_ms {
        return Err(ApiKeyError::RevokedBefore { id, at });
    }
    match row.expires_unix_ms.filter(|&at| at <= now) {
        Some(at) => Err(ApiKeyError::ExpiredBefore { id, at }),
        None => Ok(row),
    }
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
