//! A gateway with everything around it but the engine's model.

use crate::client::Client;
use crate::engine::Engine;
use arc_swap::ArcSwap;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_content_store::{ContentKey, ContentStore};
use hermetic_digest::Digest;
use hermetic_gateway::{
    CommitmentSecret, Counting, Drained, Gateway, GatewayOptions, GatewayParts, Guarding, Limiting,
    ModelKind, Page, PageLookup, Plan, PlanRules, PlanState, PlannedTarget, Route, RouteState, RoutingTable,
    Running, Target,
};
use hermetic_identity::{
    CertificateRules, Grants, Identity, IssuedKey, KeyRequest, Keys, Owner, RANDOM_BYTES, ThrottleOptions,
};
use hermetic_keys::SigningKey;
use hermetic_ledger::record::{Event, IdentityRefused, Record};
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_metadata::Metadata;
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use hermetic_telemetry::Metrics;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const SECRET: [u8; 32] = [7; 32];

pub(crate) const POLICY: &str = r#"
@id("demo-may-infer") permit (principal in Project::"demo", action in Action::"infer", resource);
@id("nobody-may-use-the-secret-model") forbid (principal, action, resource) when { resource.name == "secret-model" };
"#;

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) metadata: Metadata,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) routes: Arc<ArcSwap<RoutingTable>>,
    pub(crate) running: Option<Running>,
    pub(crate) key: String,
    pub(crate) engine: Engine,
    pub(crate) limiting: Arc<Limiting>,
}

/// A thousand clients and their ends at the gateway are more open files than a shell allows at first.
pub(crate) fn raise_open_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
}

pub(crate) fn weights() -> Digest {
    Digest::of(b"weights")
}

pub(crate) fn planned(name: &str, target: &Arc<Target>) -> PlannedTarget {
    PlannedTarget { digest: Some(weights()), ..PlannedTarget::new(name, Arc::clone(target)) }
}

pub(crate) fn route(model: &str, kind: ModelKind, target: PlannedTarget) -> Route {
    Route {
        model: model.parse().unwrap(),
        kind,
        profile: Arc::default(),
        created: 1_795_000_000,
        plan: Plan::single(target),
        counting: Counting::default(),
    }
}

/// A virtual chat model.
pub(crate) fn virtual_model(model: &str, targets: Vec<PlannedTarget>, rules: PlanRules) -> Route {
    let state = Arc::new(PlanState::new(&rules));
    let plan = Plan::tiers(targets, rules, state).unwrap();
    Route {
        model: model.parse().unwrap(),
        kind: ModelKind::Chat,
        profile: Arc::default(),
        created: 1_795_000_000,
        plan,
        counting: Counting::default(),
    }
}

fn routes_to(target: &Arc<Target>) -> RoutingTable {
    let here = || planned("engine", target);
    let gone = Arc::new(Target::unix("/nonexistent/e.sock".into()));
    RoutingTable::new([
        route("chat-model", ModelKind::Chat, here()),
        route(
            "renamed",
            ModelKind::Chat,
            PlannedTarget { upstream_name: Some("org/renamed:8b".to_owned()), ..here() },
        ),
        route("embed-model", ModelKind::Embedding, here()),
        route("secret-model", ModelKind::Chat, here()),
        route("starting-model", ModelKind::Chat, PlannedTarget { state: RouteState::Starting, ..here() }),
        route("failed-model", ModelKind::Chat, PlannedTarget { state: RouteState::Failed, ..here() }),
        route("gone-model", ModelKind::Chat, planned("gone", &gone)),
    ])
}

impl Site {
    /// An engine on a Unix socket.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut GatewayOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let engine = Engine::on_unix(&path);
        Self::assemble(folder, engine, Target::unix(path), |parts| adjust(&mut parts.options))
    }

    /// [`Site::start_with`], and a policy that lets every project in.
    pub(crate) async fn start_open(adjust: impl FnOnce(&mut GatewayOptions)) -> Self {
        Self::start_parts(|parts| {
            let all = "@id(\"all-may-infer\") permit (principal, action in Action::\"infer\", resource);";
            let policy = PolicyFile { name: "all.cedar".to_owned(), text: all.to_owned() };
            parts.authorizer =
                Arc::new(Authorizer::new(Policies::load(&[policy], &Levels::default()).unwrap()));
            adjust(&mut parts.options);
        })
        .await
    }

    /// An engine on a Unix socket, and parts as the test wants them.
    pub(crate) async fn start_parts(adjust: impl FnOnce(&mut GatewayParts)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let engine = Engine::on_unix(&path);
        Self::assemble(folder, engine, Target::unix(path), adjust)
    }

    /// An engine on a Unix socket, and content kept in `content/`.
    pub(crate) async fn start_capturing(adjust: impl FnOnce(&mut GatewayOptions)) -> (Self, ContentStore) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let engine = Engine::on_unix(&path);
        let key = ContentKey::from_bytes(&[8; 32]);
        let store = ContentStore::open(&folder.path().join("content"), key).unwrap();
        let site = Self::assemble(folder, engine, Target::unix(path), |parts| {
            parts.capture = Some(store.clone());
            adjust(&mut parts.options);
        });
        (site, store)
    }

    /// Whatever else tells who asks, and TLS, as `adjust` puts them in; its folder is the site's.
    pub(crate) async fn start_adjusted(adjust: impl FnOnce(&mut GatewayParts, &Metadata, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let engine = Engine::on_unix(&path);
        let own = folder.path().to_owned();
        let metadata = Metadata::open(&own.join("metadata.sqlite")).unwrap();
        Self::assemble(folder, engine, Target::unix(path), |parts| adjust(parts, &metadata, &own))
    }

    /// An engine on a TCP port.
    pub(crate) async fn start_tcp() -> Self {
        let (engine, port) = Engine::on_tcp().await;
        Self::assemble(
            tempfile::tempdir().unwrap(),
            engine,
            Target::tcp("127.0.0.1", port, "/base").unwrap(),
            |_| {},
        )
    }

    fn assemble(
        folder: tempfile::TempDir,
        engine: Engine,
        target: Target,
        adjust: impl FnOnce(&mut GatewayParts),
    ) -> Self {
        let clock = Clock::manual(1_795_000_000_000);
        let connector = Connector::new(AllowList::loopback());
        let metadata = Metadata::open(&folder.path().join("metadata.sqlite")).unwrap();
        let dir = folder.path().join("ledger");
        std::fs::create_dir(&dir).unwrap();
        let signing = Arc::new(SigningKey::generate().unwrap());
        let ledger = Ledger::open(LedgerOptions::new(
            dir,
            "test.example/ledger",
            signing,
            Clock::system(),
            connector.clone(),
        ))
        .unwrap();
        let policy = PolicyFile { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
        let policies = Policies::load(&[policy], &Levels::default()).unwrap();
        let mut site = Self {
            authorizer: Arc::new(Authorizer::new(policies)),
            clock: clock.clone(),
            ledger: ledger.clone(),
            metadata: metadata.clone(),
            routes: Arc::new(ArcSwap::from_pointee(routes_to(&Arc::new(target)))),
            running: None,
            key: String::new(),
            limiting: Arc::new(Limiting::none()),
            engine,
            folder,
        };
        site.key = site.issue_key("alice", "demo", None);
        let mut parts = GatewayParts {
            options: GatewayOptions::new("127.0.0.1:0".parse().unwrap()),
            identity: Identity::new(
                Keys::open(metadata, clock.clone(), Duration::from_secs(10)).unwrap(),
                None,
                CertificateRules::default(),
                // Tests ask again and again until a key is known.
                ThrottleOptions {
                    exempt: vec!["127.0.0.0/8".parse().unwrap()],
                    ..ThrottleOptions::default()
                },
            ),
            tls: None,
            authorizer: Arc::clone(&site.authorizer),
            routes: Arc::clone(&site.routes),
            limiting: Arc::new(Limiting::none()),
            guarding: Arc::new(Guarding::new(CommitmentSecret::from_bytes(&SECRET))),
            ledger,
            connector,
            clock,
            metrics: Arc::new(Metrics::new()),
            commitments: CommitmentSecret::from_bytes(&SECRET),
            capture: None,
            batches: None,
            responses: None,
            pages: PageLookup::new(|path| {
                (path == "/manual")
                    .then(|| Page { content_type: "text/html", body: bytes::Bytes::from_static(b"<h1>") })
            }),
        };
        adjust(&mut parts);
        site.limiting = Arc::clone(&parts.limiting);
        site.running = Some(Gateway::new(parts).start().unwrap());
        site
    }

    pub(crate) fn issue_key(&self, subject: &str, project: &str, expires_unix_ms: Option<u64>) -> String {
        issue(&self.metadata, (subject, project), expires_unix_ms, self.clock.unix_millis())
    }

    /// Another engine on a Unix socket, and the target it is.
    pub(crate) fn another_engine(&self, name: &str) -> (Engine, Arc<Target>) {
        let path = self.folder.path().join(format!("{name}.sock"));
        (Engine::on_unix(&path), Arc::new(Target::unix(path)))
    }

    /// Adds a model to those that are served.
    pub(crate) fn serve(&self, route: Route) {
        let table = self.routes.load();
        let routes = table.routes().map(|known| Route::clone(known)).chain([route]);
        self.routes.store(Arc::new(RoutingTable::new(routes)));
    }

    /// Today, as content folders are named.
    pub(crate) fn day(&self) -> String {
        hermetic_clock::rfc3339(self.clock.unix_millis())[..10].to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.running.as_ref().unwrap().address().port()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.port(), &self.key).await
    }

    pub(crate) async fn client_with(&self, key: &str) -> Client {
        Client::connect(self.port(), key).await
    }

    /// Starts the drain; the handle resolves when all is settled.
    pub(crate) fn start_drain(&mut self) -> tokio::task::JoinHandle<Drained> {
        let running = self.running.take().unwrap();
        tokio::task::spawn_blocking(move || running.drain())
    }

    /// Drains, and returns every record in order.
    pub(crate) async fn records_after_drain(&mut self) -> Vec<Event> {
        let drained = self.start_drain().await.unwrap();
        assert_eq!(drained.lost, 0);
        self.records()
    }

    /// Drains, and returns what is on record about callers that were not let in.
    pub(crate) async fn refused_identities(&mut self) -> Vec<IdentityRefused> {
        let refused = |event| match event {
            Event::IdentityRefused(refused) => Some(refused),
            _ => None,
        };
        self.records_after_drain().await.into_iter().filter_map(refused).collect()
    }

    /// Records that are durable: the writer signs for them behind everything it was handed before.
    pub(crate) fn durable(&self) -> u64 {
        self.ledger.checkpoint().unwrap()
    }

    pub(crate) fn records(&self) -> Vec<Event> {
        (0..self.durable())
            .map(|index| serde_json::from_slice::<Record>(&self.ledger.read(index).unwrap()).unwrap().event)
            .collect()
    }
}

/// A key in a database of the test's own.
pub(crate) fn issue_key(metadata: &Metadata, subject: &str, project: &str, now: u64) -> String {
    issue(metadata, (subject, project), None, now)
}

fn issue(
    metadata: &Metadata,
    (subject, project): (&str, &str),
    expires_unix_ms: Option<u64>,
    now: u64,
) -> String {
    let owner = Owner {
        subject: subject.parse().unwrap(),
        project: project.parse().unwrap(),
        team: "eng".parse().unwrap(),
        workflow: "docs".parse().unwrap(),
    };
    let mut random = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    let request = KeyRequest { grants: Grants::of(owner), expires_unix_ms, by: "root".to_owned() };
    let issued = IssuedKey::new(request, random, now);
    metadata.insert_api_key(&issued.row).unwrap();
    issued.key.reveal()
}
