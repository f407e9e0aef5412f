//! The gateway that is measured, as `hermetic serve` puts it together, with one key, one policy and one engine.

use anyhow::Context as _;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_digest::Digest;
use hermetic_gateway::{
    CommitmentSecret, Counting, Gateway, GatewayOptions, GatewayParts, ModelKind, PageLookup, Plan,
    PlannedTarget, Route, RoutingTable, Target,
};
use hermetic_identity::{Grants, Identity, IssuedKey, KeyRequest, Keys, Owner};
use hermetic_keys::SigningKey;
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_metadata::Metadata;
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use hermetic_telemetry::Metrics;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    engine_port: u16,
    /// Where the ledger and the rows are kept.
    #[arg(long)]
    state: PathBuf,
}

/// Serves until its input ends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let place = tempfile::Builder::new().prefix("state-").tempdir_in(&arguments.state)?;
    let clock = Clock::system();
    let connector = Connector::new(AllowList::loopback());
    let ledger = open_ledger(place.path(), &clock, &connector)?;
    let metadata = Metadata::open(&place.path().join("metadata.sqlite"))?;
    let key = issue_key(&metadata, &clock)?;
    let policy = include_str!("../../../../bench/gateway/policy.cedar").to_owned();
    let policies =
        Policies::load(&[PolicyFile { name: "policy.cedar".to_owned(), text: policy }], &Levels::default())?;
    let gateway = Gateway::new(GatewayParts {
        options: GatewayOptions::new("127.0.0.1:0".parse()?),
        identity: Identity::of_keys(Keys::open(metadata, clock.clone(), Duration::from_secs(10))?),
        tls: None,
        authorizer: Arc::new(Authorizer::new(policies)),
        routes: Arc::new(Arc::new(routes(arguments.engine_port)?).into()),
        limiting: Arc::new(hermetic_gateway::Limiting::none()),
        ledger: ledger.clone(),
        connector,
        clock,
        metrics: Arc::new(Metrics::new()),
        commitments: CommitmentSecret::from_bytes(&[7; 32]),
        capture: None,
        pages: PageLookup::none(),
    });
    let running = gateway.start()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {key}", running.address().port())?;
    out.flush()?;
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    running.drain();
    ledger.close();
    Ok(())
}

fn open_ledger(place: &Path, clock: &Clock, connector: &Connector) -> anyhow::Result<Ledger> {
    let dir = place.join("ledger");
    hermetic_bounded_io::create_folders(&dir, hermetic_bounded_io::Mode::Private)?;
    let signing = Arc::new(SigningKey::generate()?);
    let options = LedgerOptions::new(dir, "bench.example/ledger", signing, clock.clone(), connector.clone());
    Ok(Ledger::open(options)?)
}

fn issue_key(metadata: &Metadata, clock: &Clock) -> anyhow::Result<String> {
    let owner = Owner {
        subject: "load".parse()?,
        project: "bench".parse()?,
        team: "bench".parse()?,
        workflow: "bench".parse()?,
    };
    let random = hermetic_identity::draw().context("no random bytes")?;
    let request = KeyRequest { grants: Grants::of(owner), expires_unix_ms: None, by: "bench".to_owned() };
    let issued = IssuedKey::new(request, random, clock.unix_millis());
    metadata.insert_api_key(&issued.row)?;
    Ok(issued.key.reveal())
}

fn routes(engine_port: u16) -> anyhow::Result<RoutingTable> {
    let target = Target::tcp("127.0.0.1", engine_port, "").context("not a target")?;
    Ok(RoutingTable::new([Route {
        model: "bench".parse()?,
        kind: ModelKind::Chat,
        profile: Arc::default(),
        created: 0,
        plan: Plan::single(PlannedTarget {
            digest: Some(Digest::of(b"bench")),
            ..PlannedTarget::new("bench", Arc::new(target))
        }),
        counting: Counting::default(),
    }]))
}
