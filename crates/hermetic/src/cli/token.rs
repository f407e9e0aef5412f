//! `hermetic token`: tokens that are refused although they verify. Each revocation is a leaf of the ledger before it
//! takes effect.

use super::Context;
use super::enclave::Enclave;
use clap::Subcommand;
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_ledger::record::{Event, Record};
use hermetic_ledger_store::AppendError;
use hermetic_metadata::{RevokedToken, RevokedTokenRow};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take a token, or all of a subject, out of force within a second.
    Revoke(RevokeArguments),
    /// List what was revoked.
    List,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct RevokeArguments {
    /// The issuer, as tokens name it in `iss`.
    #[arg(long)]
    issuer: String,
    #[command(flatten)]
    what: What,
    /// Who revokes it; `import.engineer` of the configuration, or this process's user id, by default.
    #[arg(long)]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The id of one token (`jti`), as its records name it.
    #[arg(long)]
    id: Option<String>,
    /// Whoever the issuer calls this (`sub`): every token of theirs, also those issued later.
    #[arg(long)]
    subject: Option<String>,
}

/// Why nothing took effect.
#[derive(Debug, thiserror::Error)]
enum TokenRevokeError {
    #[error("expected an issuer that is configured under `identity.issuers`, found `{found}`")]
    UnknownIssuer { found: String },
    #[error("the ledger did not take the record of the revocation; nothing took effect")]
    Ledger(#[source] AppendError),
}

impl Diagnose for TokenRevokeError {
    fn code(&self) -> Code {
        Code::new("E0907")
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownIssuer { .. } => {
                Some("write the issuer exactly as the configuration does".to_owned())
            }
            Self::Ledger(source) => source.hint(),
        }
    }
}

/// A revocation as it is shown.
#[derive(Debug, serde::Serialize)]
struct RevokedView {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    revoked: String,
    revoked_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
}

impl RevokedView {
    fn of(row: RevokedTokenRow, leaf: Option<u64>) -> Self {
        let (id, subject) = match row.token {
            RevokedToken::Id(id) => (Some(id), None),
            RevokedToken::Subject(subject) => (None, Some(subject)),
        };
        let revoked = rfc3339(row.revoked_unix_ms);
        Self { issuer: row.issuer, id, subject, revoked, revoked_by: row.revoked_by, leaf }
    }

    fn line(&self) -> String {
        let what = match (&self.id, &self.subject) {
            (Some(id), _) => format!("token {id}"),
            (None, subject) => format!("all tokens of {}", subject.as_deref().unwrap_or_default()),
        };
        format!("{}  {what}  {}  by {}", self.issuer, self.revoked, self.revoked_by)
    }
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    match &arguments.command {
        Command::Revoke(arguments) => revoke(arguments, &enclave, context)?,
        Command::List => list(&enclave, context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(arguments: &RevokeArguments, enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let issuer = arguments.issuer.clone();
    if !enclave.config.identity.issuers.iter().any(|one| one.issuer == issuer) {
        return Err(TokenRevokeError::UnknownIssuer { found: issuer.chars().take(200).collect() }.into());
    }
    let clock = Clock::system();
    let by = enclave.by(arguments.by.as_ref());
    let (id, subject) = (arguments.what.id.clone(), arguments.what.subject.clone());
    let event = Event::TokenRevoked {
        issuer: issuer.clone(),
        id: id.clone(),
        subject: subject.clone(),
        by: by.clone(),
    };
    let ledger = enclave.ledger(&clock, &enclave.connector())?;
    let record = Record::new(clock.unix_millis(), event);
    let leaf = ledger.append_blocking(&record).map_err(TokenRevokeError::Ledger)?.index;
    let token = match (id, subject) {
        (Some(id), _) => RevokedToken::Id(id),
        (None, subject) => RevokedToken::Subject(subject.unwrap_or_default()),
    };
    let row = RevokedTokenRow { issuer, token, revoked_unix_ms: clock.unix_millis(), revoked_by: by };
    // That it was revoked before changes nothing: it is revoked.
    enclave.metadata()?.revoke_token(&row)?;
    context.out.result(&RevokedView::of(row, Some(leaf)), |revoked| {
        vec![revoked.line(), format!("  recorded as leaf {leaf}; it stops working within a second")]
    });
    Ok(())
}

fn list(enclave: &Enclave, context: &Context) -> Result<(), Report> {
    let rows = enclave.metadata()?.revoked_tokens()?;
    let revoked: Vec<RevokedView> = rows.into_iter().map(|row| RevokedView::of(row, None)).collect();
    context.out.result(&revoked, |revoked| {
        if revoked.is_empty() {
            return vec!["no tokens were revoked".to_owned()];
        }
        revoked.iter().map(RevokedView::line).collect()
    });
    Ok(())
}
