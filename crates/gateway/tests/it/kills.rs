//! `kill -9` in the middle of many requests: what is left of a budget is neither forgotten nor charged twice.
//!
//! The gateway runs in a process of its own (this test binary again), the engine and the clients in this one, so that
//! both outlive it.

use crate::answering::{Manner, Usage, answer_all};
use crate::client::{CHAT, connect};
use crate::engine::Engine;
use crate::site::{POLICY, SECRET, issue_key, planned, route};
use arc_swap::ArcSwap;
use bytes::Bytes;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_gateway::{
    CommitmentSecret, Gateway, GatewayOptions, GatewayParts, Guarding, Limiting, LimitsOnRecord, ModelKind,
    PageLookup, RoutingTable, Target, recover,
};
use hermetic_identity::{Identity, Keys};
use hermetic_keys::SigningKey;
use hermetic_ledger::record::{Event, Outcome, Record};
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_limits::{OnExhausted, Rule, RuleSet, Unit, When};
use hermetic_metadata::Metadata;
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use hermetic_telemetry::Metrics;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

const PLACE: &str = "HERMETIC_GATEWAY_TEST_PLACE";
/// The same moment in every process, so that the window is the same.
const NOW: u64 = 1_795_000_000_000;
const ROUNDS: usize = 6;
const CLIENTS: usize = 60;
/// Answers given before the process is killed.
const ANSWERS: usize = 7;
const OUTPUT: u64 = 10;
const REQUESTS_CAP: u64 = 150;
const TOKENS_CAP: u64 = 45_000;

fn rules() -> RuleSet {
    let rule = |name: &str, unit, cap| Rule {
        name: name.into(),
        when: When::default(),
        per: vec!["project".parse().unwrap()],
        cap,
        unit,
        window: "month".parse().unwrap(),
        soft: vec![500],
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: false,
        currency: None,
    };
    RuleSet::new(vec![
        rule("requests", Unit::Requests, REQUESTS_CAP),
        rule("tokens", Unit::Tokens, TOKENS_CAP),
    ])
    .unwrap()
}

pub(crate) fn open_ledger(place: &Path) -> Ledger {
    let key = Arc::new(SigningKey::load_or_generate(&place.join("keys/ledger.pem")).unwrap());
    let connector = Connector::new(AllowList::loopback());
    let mut options =
        LedgerOptions::new(place.join("ledger"), "test.example/ledger", key, Clock::system(), connector);
    options.last_signed = place.join("keys/last-signed");
    Ledger::open(options).unwrap()
}

/// Played by the process that is killed: a gateway that begins where the records end, and serves for ever.
#[test]
fn killed_gateway() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let clock = Clock::manual(NOW);
    let ledger = open_ledger(&place);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    let metadata = Metadata::open(&place.join("metadata.sqlite")).unwrap();
    let mut on_record =
        recover(&ledger, place.join("counters.json"), &commitments, &clock, &metadata).unwrap();
    let limiting = Arc::new(Limiting::new(rules(), HashMap::new(), 1_000));
    limiting.restore(on_record.fold());
    let target = Arc::new(Target::unix(place.join("engine.sock")));
    let policy = PolicyFile { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
    let running = Gateway::new(GatewayParts {
        options: GatewayOptions::new("127.0.0.1:0".parse().unwrap()),
        identity: Identity::of_keys(Keys::open(metadata, clock.clone(), Duration::from_secs(10)).unwrap()),
        tls: None,
        authorizer: Arc::new(Authorizer::new(Policies::load(&[policy], &Levels::default()).unwrap())),
        routes: Arc::new(ArcSwap::from_pointee(RoutingTable::new([route(
            "chat-model",
            ModelKind::Chat,
            planned("engine", &target),
        )]))),
        limiting,
        guarding: Arc::new(Guarding::new(CommitmentSecret::from_bytes(&SECRET))),
        ledger: ledger.clone(),
        connector: Connector::new(AllowList::loopback()),
        clock,
        metrics: Arc::new(Metrics::new()),
        commitments,
        capture: None,
        batches: None,
        responses: None,
        pages: PageLookup::none(),
    })
    .start()
    .unwrap();
    // The test harness has begun a line of its own.
    println!("\nport {}", running.address().port());
    std::io::stdout().flush().unwrap();
    // Each byte: write the counters down, so that the kill comes before, after and in between.
    for _ in std::io::stdin().bytes() {
        on_record.follow(&ledger).unwrap();
    }
}

fn start(place: &Path) -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::killed_gateway", "--nocapture", "--test-threads=1"])
        .env(PLACE, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().strip_prefix("port ").map(|port| port.parse().unwrap()));
    (child, port.unwrap())
}

/// One request; `None` when the gateway died on it.
async fn ask(port: u16, key: String, stream: bool) -> Option<(u16, Bytes)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connect(port).await)).await.ok()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let body = format!(
        r#"{{"model":"chat-model","messages":[{{"role":"user","content":"hi"}}],"stream":{stream},"max_tokens":{OUTPUT}}}"#
    );
    let request = Request::post(CHAT)
        .header("host", "gateway")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.into_body().collect().await.ok()?.to_bytes()))
}

/// Many at once, some answered; then the process is killed. Returns how many answers arrived whole.
async fn round(number: usize, place: &Path, key: &str, engine: &mut Engine) -> usize {
    let (mut child, port) = start(place);
    let manner = Manner::new(Usage::Honest, Some(OUTPUT));
    let mut clients = JoinSet::new();
    for i in 0..CLIENTS {
        clients.spawn(ask(port, key.to_owned(), i % 2 == 0));
    }
    let gate = Arc::clone(&manner.gate);
    let killing = async {
        let mut whole = 0;
        let mut killed = false;
        gate.add_permits(ANSWERS);
        while let Some(answer) = clients.join_next().await {
            whole += usize::from(matches!(answer, Ok(Some((200, _)))));
            if whole == ANSWERS && !killed {
                if number % 2 == 0 {
                    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
                }
                child.kill().unwrap();
                killed = true;
            }
        }
        if !killed {
            child.kill().unwrap();
        }
        whole
    };
    let whole = tokio::select! {
        whole = killing => whole,
        () = answer_all(engine, &manner) => unreachable!(),
    };
    child.wait().unwrap();
    assert!(manner.sent.load(Ordering::SeqCst) > 0 || whole == 0);
    whole
}

#[tokio::test]
async fn a_budget_survives_kills_without_forgetting_and_without_charging_twice() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    std::fs::create_dir(place.join("ledger")).unwrap();
    std::fs::create_dir(place.join("keys")).unwrap();
    let metadata = Metadata::open(&place.join("metadata.sqlite")).unwrap();
    let key = issue_key(&metadata, "alice", "demo", NOW);
    let mut engine = Engine::on_unix(&place.join("engine.sock"));
    let mut whole = 0;
    for number in 0..ROUNDS {
        whole += round(number, place, &key, &mut engine).await;
    }
    // The last process left requests open as well; the next start settles them.
    let ledger = open_ledger(place);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    let clock = Clock::manual(NOW);
    let on_record = recover(&ledger, place.join("counters.json"), &commitments, &clock, &metadata).unwrap();
    assert_eq!(on_record.fold().open().count(), 0);
    let records = read(&ledger);
    check(&records, whole);
    // Reading everything from the beginning says the same as going on from what was written down.
    let mut again = LimitsOnRecord::open(place.join("nowhere.json"), ledger.size());
    again.advance(&ledger.snapshot().unwrap()).unwrap();
    let amounts = |fold: &hermetic_limits::Fold| {
        fold.amounts().map(|(id, slot, charged, held)| (id.clone(), slot, charged, held)).collect::<Vec<_>>()
    };
    assert_eq!(amounts(again.fold()), amounts(on_record.fold()));
    let charged: BTreeMap<String, u64> =
        on_record.fold().amounts().map(|(id, _, charged, _)| (id.rule.to_string(), charged)).collect();
    assert_eq!(charged, sums(&records));
}

fn read(ledger: &Ledger) -> Vec<Event> {
    let size = ledger.checkpoint().unwrap();
    (0..size).map(|index| Record::decode(&ledger.read(index).unwrap()).unwrap().event).collect()
}

fn sums(records: &[Event]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for event in records {
        if let Event::RequestSettled(settled) = event {
            for charge in &settled.charges {
                *sums.entry(charge.rule.clone()).or_default() += charge.amount;
            }
        }
    }
    sums
}

fn check(records: &[Event], whole: usize) {
    let mut admitted = HashMap::new();
    let mut settled: HashMap<_, Vec<_>> = HashMap::new();
    for event in records {
        match event {
            Event::RequestAdmitted(event) => assert!(admitted.insert(event.request, event).is_none()),
            Event::RequestSettled(event) => settled.entry(event.request).or_default().push(event),
            _ => {}
        }
    }
    assert_eq!(admitted.len(), settled.len());
    assert!(settled.values().all(|settled| settled.len() == 1), "settled once each");
    let interrupted = settled.values().filter(|settled| settled[0].outcome == Outcome::Interrupted);
    for settled in interrupted.clone() {
        let held: Vec<u64> = admitted[&settled[0].request].limits.iter().map(|hold| hold.amount).collect();
        let charged: Vec<u64> = settled[0].charges.iter().map(|charge| charge.amount).collect();
        assert_eq!(charged, held, "charged what it held");
    }
    assert!(interrupted.count() > 0, "no kill hit a request");
    let completed = settled.values().filter(|settled| settled[0].outcome == Outcome::Completed).count();
    assert!(completed >= whole, "{whole} answers arrived whole, {completed} are on record");
    let sums = sums(records);
    assert!(sums["requests"] <= REQUESTS_CAP && sums["tokens"] <= TOKENS_CAP, "{sums:?}");
}
