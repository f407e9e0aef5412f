//! `kill -9` while responses are being kept: what was told to its end as stored is there, and what is there is on record.
//!
//! The gateway runs in a process of its own (this test binary again), the engine and the clients in this one.

use crate::answering::{Manner, Usage, answer_all};
use crate::client::Client;
use crate::engine::Engine;
use crate::kills::open_ledger;
use crate::site::{SECRET, issue_key, planned, route};
use crate::stored::{KEPT, RESPONSES, open, policies};
use arc_swap::ArcSwap;
use bytes::Bytes;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_gateway::{
    CommitmentSecret, Gateway, GatewayOptions, GatewayParts, Guarding, Limiting, ModelKind, PageLookup,
    RoutingTable, Target, recover,
};
use hermetic_identity::{Identity, Keys};
use hermetic_ledger::record::{Event, Outcome, Record};
use hermetic_metadata::Metadata;
use hermetic_telemetry::Metrics;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const PLACE: &str = "HERMETIC_STORED_TEST_PLACE";
const NOW: u64 = 1_795_000_000_000;
const ROUNDS: usize = 6;
const CLIENTS: usize = 40;
const OUTPUT: u64 = 10;

/// Played by the process that is killed: a gateway that begins where the records end, and serves for ever.
#[test]
fn killed_gateway() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let clock = Clock::manual(NOW);
    let ledger = open_ledger(&place);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    let metadata = Metadata::open(&place.join("metadata.sqlite")).unwrap();
    recover(&ledger, place.join("counters.json"), &commitments, &clock, &metadata).unwrap();
    let target = Arc::new(Target::unix(place.join("engine.sock")));
    let keys = Keys::open(metadata.clone(), clock.clone(), Duration::from_secs(10)).unwrap();
    let running = Gateway::new(GatewayParts {
        options: GatewayOptions::new("127.0.0.1:0".parse().unwrap()),
        identity: Identity::of_keys(keys),
        tls: None,
        authorizer: policies(),
        routes: Arc::new(ArcSwap::from_pointee(RoutingTable::new([route(
            "chat-model",
            ModelKind::Chat,
            planned("engine", &target),
        )]))),
        limiting: Arc::new(Limiting::none()),
        guarding: Arc::new(Guarding::new(CommitmentSecret::from_bytes(&SECRET))),
        ledger,
        connector: Connector::new(AllowList::loopback()),
        clock,
        metrics: Arc::new(Metrics::new()),
        commitments,
        capture: None,
        batches: None,
        responses: Some(open(&place, metadata, KEPT())),
        pages: PageLookup::none(),
    })
    .start()
    .unwrap();
    // The test harness has begun a line of its own.
    println!("\nport {}", running.address().port());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

fn start(place: &Path) -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stored_kills::killed_gateway", "--nocapture", "--test-threads=1"])
        .env(PLACE, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().strip_prefix("port ").map(|port| port.parse().unwrap()));
    (child, port.unwrap())
}

/// One request, on from an earlier response where there is one; the response its end told, `None` when the gateway died on it.
async fn ask(port: u16, key: String, stream: bool, previous: Option<String>) -> Option<Value> {
    let io = TokioIo::new(crate::client::connect(port).await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let body = json!({"model": "chat-model", "input": "hi", "stream": stream, "max_output_tokens": OUTPUT, "previous_response_id": previous});
    let request = Request::post(RESPONSES)
        .header("host", "gateway")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    let body = response.into_body().collect().await.ok()?.to_bytes();
    if !stream {
        return serde_json::from_slice(&body).ok();
    }
    let text = std::str::from_utf8(&body).ok()?;
    let last = text.trim_end().lines().last()?.strip_prefix("data: ")?;
    Some(serde_json::from_str::<Value>(last).ok()?["response"].clone())
}

/// Many at once; the process is killed when so many have their answer, in the middle of the others. Returns what was told to its
/// end as stored.
async fn round(place: &Path, key: &str, engine: &mut Engine, known: &HashSet<String>) -> Vec<String> {
    let (mut child, port) = start(place);
    let manner = Manner::new(Usage::Honest, Some(OUTPUT));
    let mut clients = JoinSet::new();
    let mut earlier = known.iter().cloned();
    for i in 0..CLIENTS {
        clients.spawn(ask(port, key.to_owned(), i % 2 == 0, earlier.next()));
    }
    let killing = async {
        let mut told = Vec::new();
        manner.gate.add_permits(CLIENTS);
        while let Some(answer) = clients.join_next().await {
            if let Ok(Some(response)) = answer {
                assert_eq!(response["store"], true, "{response}");
                told.push(response["id"].as_str().unwrap().to_owned());
            }
            if told.len() == CLIENTS / 5 {
                child.kill().unwrap();
            }
        }
        child.kill().unwrap();
        told
    };
    let told = tokio::select! {
        told = killing => told,
        () = answer_all(engine, &manner) => unreachable!(),
    };
    child.wait().unwrap();
    told
}

/// What settling records say is stored, each by a request that was answered.
fn on_record(place: &Path, metadata: &Metadata) -> BTreeSet<String> {
    let ledger = open_ledger(place);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    recover(&ledger, place.join("counters.json"), &commitments, &Clock::manual(NOW), metadata).unwrap();
    let mut stored = BTreeSet::new();
    for index in 0..ledger.checkpoint().unwrap() {
        let event = Record::decode(&ledger.read(index).unwrap()).unwrap().event;
        if let Event::RequestSettled(settled) = event
            && let Some(kept) = settled.stored
        {
            assert_eq!(settled.outcome, Outcome::Completed);
            assert_eq!(kept.response.as_bytes(), settled.request.as_bytes());
            stored.insert(kept.response.to_string());
        }
    }
    ledger.close();
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_what_was_told_as_stored_is_there_and_what_is_there_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    std::fs::create_dir(place.join("ledger")).unwrap();
    std::fs::create_dir(place.join("keys")).unwrap();
    let metadata = Metadata::open(&place.join("metadata.sqlite")).unwrap();
    let key = issue_key(&metadata, "alice", "demo", NOW);
    let mut engine = Engine::on_unix(&place.join("engine.sock"));
    let mut told: HashSet<String> = HashSet::new();
    for _ in 0..ROUNDS {
        let more = round(place, &key, &mut engine, &told).await;
        told.extend(more);
    }
    let recorded = on_record(place, &metadata);
    open(place, metadata.clone(), KEPT());
    let rows: BTreeSet<String> = metadata.response_ids().unwrap().iter().map(ToString::to_string).collect();
    let named = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let files: BTreeSet<String> =
        std::fs::read_dir(place.join("responses/kept")).unwrap().map(named).collect();
    assert!(told.iter().all(|id| rows.contains(id)));
    assert_eq!(rows, recorded);
    assert_eq!(files, rows);
    println!("{} told to their end, {} kept, over {ROUNDS} kills", told.len(), rows.len());
    // Each can be read, and gone on from.
    let (mut child, port) = start(place);
    let mut client = Client::connect(port, &key).await;
    for id in &rows {
        let shown = client.get(&format!("{RESPONSES}/{id}")).await;
        assert_eq!((shown.status, &shown.json()["id"]), (200, &json!(id)));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
