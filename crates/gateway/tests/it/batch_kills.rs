//! `kill -9` in the middle of a batch: each line has one result, every attempt is settled once, and what is written is what
//! was settled.
//!
//! The gateway runs in a process of its own (this test binary again), the engine and the client in this one.

use crate::batches::{echo, lines, open, policies, said};
use crate::client::Client;
use crate::engine::Engine;
use crate::kills::open_ledger;
use crate::site::{SECRET, issue_key, planned, route};
use arc_swap::ArcSwap;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_gateway::{
    BatchOptions, CommitmentSecret, Gateway, GatewayOptions, GatewayParts, Guarding, Limiting, ModelKind,
    PageLookup, RoutingTable, Salt, Target, commit, recover,
};
use hermetic_identity::{Identity, Keys};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Event, Outcome, Record, RequestSettled};
use hermetic_metadata::Metadata;
use hermetic_telemetry::Metrics;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const PLACE: &str = "HERMETIC_BATCH_TEST_PLACE";
const NOW: u64 = 1_795_000_000_000;
const IN_FLIGHT: usize = 4;

/// Played by the process that is killed: it goes on with what is there, and drains when its input says so.
#[test]
fn killed_runner() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let clock = Clock::manual(NOW);
    let ledger = open_ledger(&place);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    let metadata = Metadata::open(&place.join("metadata.sqlite")).unwrap();
    recover(&ledger, place.join("counters.json"), &commitments, &clock, &metadata).unwrap();
    let options = BatchOptions { in_flight_per_batch: IN_FLIGHT, ..BatchOptions::default() };
    let target = Arc::new(Target::unix(place.join("engine.sock")));
    let running = Gateway::new(GatewayParts {
        options: GatewayOptions::new("127.0.0.1:0".parse().unwrap()),
        identity: Identity::of_keys(
            Keys::open(metadata.clone(), clock.clone(), Duration::from_secs(10)).unwrap(),
        ),
        tls: None,
        authorizer: policies(),
        routes: Arc::new(ArcSwap::from_pointee(RoutingTable::new([route(
            "chat-model",
            ModelKind::Chat,
            planned("engine", &target),
        )]))),
        limiting: Arc::new(Limiting::none()),
        guarding: Arc::new(Guarding::new(CommitmentSecret::from_bytes(&SECRET))),
        ledger: ledger.clone(),
        connector: Connector::new(AllowList::loopback()),
        clock,
        metrics: Arc::new(Metrics::new()),
        commitments,
        capture: None,
        batches: Some(open(&place, metadata, options)),
        responses: None,
        pages: PageLookup::none(),
    })
    .start()
    .unwrap();
    // The test harness has begun a line of its own.
    println!("\nport {}", running.address().port());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    assert_eq!(running.drain().cut, 0);
    ledger.close();
}

/// The process, and the port it listens on.
struct Runner {
    child: Child,
    port: u16,
    /// Held open: the process says more at its end.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Runner {
    fn start(place: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "batch_kills::killed_runner", "--nocapture", "--test-threads=1"])
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| Some(line.unwrap().strip_prefix("port ")?.parse().unwrap()));
        Self { child, port: port.unwrap(), _said: lines }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Off the thread that answers for the engine.
    async fn drain(mut self) {
        self.child.stdin.take().unwrap().write_all(b"x").unwrap();
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        assert!(ended.success());
    }
}

/// A folder with a ledger to be, a key, and an engine.
struct Place {
    folder: tempfile::TempDir,
    key: String,
    engine: Engine,
    /// How often each line was asked.
    asked: HashMap<String, usize>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("ledger")).unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let metadata = Metadata::open(&folder.path().join("metadata.sqlite")).unwrap();
        let key = issue_key(&metadata, "alice", "demo", NOW);
        let engine = Engine::on_unix(&folder.path().join("engine.sock"));
        Self { folder, key, engine, asked: HashMap::new() }
    }

    /// Answers this many requests.
    async fn answer(&mut self, requests: usize) {
        for _ in 0..requests {
            let received = self.engine.next().await;
            let asked: Value = serde_json::from_slice(&received.body).unwrap();
            let line = asked["messages"][0]["content"].as_str().unwrap().to_owned();
            *self.asked.entry(line).or_default() += 1;
            echo(received);
        }
    }

    /// Answers whatever comes until the test is done with what it does beside.
    async fn beside<T>(&mut self, test: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = test => done,
            () = self.answer(usize::MAX) => unreachable!(),
        }
    }
}

/// Kills the process so often, spread over the whole of the batch, and looks at every book afterwards.
async fn survives(total: usize, kills: usize) {
    let mut place = Place::new();
    let root = place.folder.path().to_owned();
    let mut runner = Runner::start(&root);
    let mut client = Client::connect(runner.port, &place.key).await;
    let batch = client.batch_of(&lines((0..total).map(|n| format!("line-{n}")))).await;
    // The first kill comes while the input is looked at, the others every so many answers, the last ones when all are given.
    for kill in 0..kills {
        if kill > 0 {
            let until = kill * total / (kills - 1);
            let missing = until.saturating_sub(place.asked.len());
            let waiting = Duration::from_secs(60);
            // The last lines may have been answered before a kill, and then nobody asks again.
            let _ = tokio::time::timeout(
                if kill + 1 == kills { Duration::from_millis(50) } else { waiting },
                place.answer(missing),
            )
            .await;
        }
        runner.kill();
        runner = Runner::start(&root);
    }
    let mut client = Client::connect(runner.port, &place.key).await;
    let ended = place.beside(client.ended(&batch)).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(
        ended["request_counts"],
        serde_json::json!({ "total": total, "completed": total, "failed": 0 })
    );
    let results = client.results(&ended["output_file_id"]).await;
    runner.drain().await;
    let interrupted = check(&root, total, &results);
    let again: usize = place.asked.values().map(|asked| asked - 1).sum();
    println!("{total} lines, {kills} kills: {again} asked again, {interrupted} attempts interrupted");
    assert!(again <= kills * IN_FLIGHT, "{again} lines were asked again");
    assert!(!root.join("batches/journals").join(&batch).exists());
}

/// Every book against every other. Returns how many attempts were interrupted.
fn check(root: &Path, total: usize, results: &[(String, Value)]) -> usize {
    let names: HashSet<&str> = results.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((results.len(), names.len()), (total, total), "each line once");
    assert!(results.iter().all(|(id, result)| said(result) == id), "each its own answer");
    let ledger = open_ledger(root);
    let commitments = CommitmentSecret::from_bytes(&SECRET);
    let metadata = Metadata::open(&root.join("metadata.sqlite")).unwrap();
    recover(&ledger, root.join("counters.json"), &commitments, &Clock::manual(NOW), &metadata).unwrap();
    let (mut line_of, mut settled): (HashMap<RequestId, u64>, HashMap<RequestId, Vec<RequestSettled>>) =
        Default::default();
    let mut ends = 0;
    for index in 0..ledger.checkpoint().unwrap() {
        match Record::decode(&ledger.read(index).unwrap()).unwrap().event {
            Event::RequestAdmitted(admitted) => {
                assert!(line_of.insert(admitted.request, admitted.batch.unwrap().line).is_none());
            }
            Event::RequestSettled(event) => settled.entry(event.request).or_default().push(event),
            Event::BatchEnded(end) => ends += usize::from(end.completed == total as u64),
            _ => {}
        }
    }
    ledger.close();
    assert!(ends >= 1);
    assert_eq!(line_of.len(), settled.len(), "every attempt is settled");
    assert!(settled.values().all(|settled| settled.len() == 1), "and once");
    let mut completed: HashMap<u64, &RequestSettled> = HashMap::new();
    for (request, events) in &settled {
        if events[0].outcome == Outcome::Completed {
            let before = completed.insert(line_of[request], &events[0]);
            assert!(before.is_none(), "line {} was answered twice", line_of[request]);
        }
    }
    for (number, (_, result)) in (1..).zip(results) {
        let event = completed[&number];
        assert_eq!(result["response"]["request_id"], event.request.to_string());
        let body = serde_json::to_string(&result["response"]["body"]).unwrap();
        assert_eq!(event.answer_bytes, body.len() as u64);
        assert_eq!(event.answer, commit(&commitments.salt(event.request, Salt::Answer), body.as_bytes()));
    }
    settled.values().filter(|events| events[0].outcome == Outcome::Interrupted).count()
}

#[tokio::test]
async fn a_batch_survives_kills_with_each_line_answered_once_and_settled_once() {
    survives(300, 7).await;
}

#[tokio::test]
#[ignore = "minutes; `make test-all` runs it"]
async fn ten_thousand_lines_survive_kills_with_each_line_answered_once_and_settled_once() {
    survives(10_000, 25).await;
}

#[tokio::test]
async fn a_drain_ends_what_is_in_flight_and_the_next_start_goes_on() {
    let mut place = Place::new();
    let root = place.folder.path().to_owned();
    let runner = Runner::start(&root);
    let mut client = Client::connect(runner.port, &place.key).await;
    let batch = client.batch_of(&lines((0..60).map(|n| format!("line-{n}")))).await;
    place.answer(20).await;
    drop(client);
    place.beside(runner.drain()).await;
    let before: usize = place.asked.values().sum();
    assert!(before < 60, "it was to stop before the end");
    let runner = Runner::start(&root);
    let mut client = Client::connect(runner.port, &place.key).await;
    let ended = place.beside(client.ended(&batch)).await;
    let results = client.results(&ended["output_file_id"]).await;
    runner.drain().await;
    assert_eq!(check(&root, 60, &results), 0, "nothing was cut");
    assert!(place.asked.values().all(|asked| *asked == 1), "and nothing was asked twice");
}
