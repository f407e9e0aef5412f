//! How a request ends, and whether its response is there then: streams, failures, and what lies on the disk.

use crate::client::{Answer, piece, whole};
use crate::stored::{
    KEPT, RESPONSES, after, another, ask, at, chat_answer, id, open, request, says, settled, site,
};
use hermetic_gateway::{CommitmentSecret, recover};
use hermetic_ledger::record::Outcome;
use serde_json::{Value, json};
use std::path::Path;

fn streaming(input: &str) -> Value {
    json!({"model": "chat-model", "input": input, "stream": true})
}

fn chunk(delta: Value, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 7, "model": "chat-model", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

/// Types and responses of the events that have one.
fn responses(body: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
    let of = |event: Value| {
        event.get("response").map(|response| (event["type"].as_str().unwrap().to_owned(), response.clone()))
    };
    events.filter_map(of).collect()
}

fn path_of(response: &Value) -> String {
    format!("{RESPONSES}/{}", response["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_streams_response_is_kept_before_its_end_is_told() {
    let mut site = site().await;
    let (mut client, mut other) = (site.client().await, site.client().await);
    let sent = client.request(RESPONSES, streaming("one").to_string());
    let (mut response, engine) = tokio::join!(client.send(sent), async { site.engine.next().await.stream() });
    engine.send(chunk(json!({"content": "first"}), None));
    let mut told = Vec::new();
    while !told.windows(5).any(|window| window == b"first") {
        told.extend(piece(&mut response).await.unwrap());
    }
    let (kind, begun) = responses(&told).remove(0);
    assert_eq!((kind.as_str(), &begun["store"]), ("response.created", &json!(true)));
    // What is not whole is not there, and nobody goes on from it.
    assert_eq!(other.get(&path_of(&begun)).await.code(), "E0870");
    engine.send(chunk(json!({}), Some("stop")) + "data: [DONE]\n\n");
    told.extend(whole(response).await.body);
    let (kind, ended) = responses(&told).pop().unwrap();
    assert_eq!(
        (kind.as_str(), &ended["store"], &ended["id"]),
        ("response.completed", &json!(true), &begun["id"])
    );
    assert_eq!(other.get(&path_of(&ended)).await.json(), ended);
    let on =
        json!({"model": "chat-model", "input": "two", "previous_response_id": ended["id"], "stream": true});
    let sent = client.request(RESPONSES, on.to_string());
    let (response, asked) = tokio::join!(client.send(sent), async {
        let received = site.engine.next().await;
        let asked: Value = serde_json::from_slice(&received.body).unwrap();
        received.stream().send(chunk(json!({"content": "second"}), Some("stop")) + "data: [DONE]\n\n");
        asked
    });
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
    let (_, second) = responses(&whole(response).await.body).pop().unwrap();
    assert_eq!(second["previous_response_id"], ended["id"]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_nothing_and_says_so() {
    let mut site = site().await;
    let mut client = site.client().await;
    let sent = client.request(RESPONSES, streaming("one").to_string());
    let (mut response, engine) = tokio::join!(client.send(sent), async { site.engine.next().await.stream() });
    engine.send(chunk(json!({"content": "fir"}), None));
    let mut told = piece(&mut response).await.unwrap().to_vec();
    engine.break_off();
    told.extend(whole(response).await.body);
    let (kind, failed) = responses(&told).pop().unwrap();
    assert_eq!((kind.as_str(), &failed["store"]), ("response.failed", &json!(false)));
    assert_eq!(client.get(&path_of(&failed)).await.status, 404);
    let on = json!({"model": "chat-model", "input": "two", "previous_response_id": failed["id"]});
    assert_eq!(client.post(RESPONSES, on.to_string()).await.code(), "previous_response_not_found");
    let records = site.records_after_drain().await;
    assert_eq!((settled(&records)[0].outcome, settled(&records)[0].stored), (Outcome::EngineFailed, None));
}

#[tokio::test]
async fn who_leaves_before_the_end_leaves_nothing_behind() {
    let mut site = site().await;
    let mut client = site.client().await;
    let sent = client.request(RESPONSES, streaming("one").to_string());
    let (mut response, engine) = tokio::join!(client.send(sent), async { site.engine.next().await.stream() });
    engine.send(chunk(json!({"content": "first"}), None));
    piece(&mut response).await.unwrap();
    drop(response);
    client.hang_up();
    engine.given_up().await;
    let records = site.records_after_drain().await;
    assert_eq!((settled(&records)[0].outcome, settled(&records)[0].stored), (Outcome::ClientLeft, None));
    assert!(site.metadata.response_ids().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_kept_as_incomplete_and_one_that_failed_is_not() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(RESPONSES, request("one").to_string()), async {
        site.engine.next().await.answer(200, "application/json", chat_answer(&says("fir"), "length"));
    });
    assert_eq!((&answer.json()["status"], &answer.json()["store"]), (&json!("incomplete"), &json!(true)));
    let (_, asked) = ask(&mut site, &mut client, after(&answer, "go on"), &says("st")).await;
    assert_eq!(asked["messages"][1]["content"], "fir");
    let (failed, ()) = tokio::join!(client.post(RESPONSES, request("one").to_string()), async {
        site.engine.next().await.answer(200, "application/json", chat_answer(&says("fir"), "error"));
    });
    assert_eq!((&failed.json()["status"], &failed.json()["store"]), (&json!("failed"), &json!(false)));
    assert_eq!(client.get(&at(&failed)).await.status, 404);
    let (refused, ()) = tokio::join!(client.post(RESPONSES, request("one").to_string()), async {
        site.engine.next().await.answer(400, "application/json", r#"{"error":{"message":"no"}}"#);
    });
    assert_eq!(refused.status, 400);
    assert_eq!(site.metadata.response_ids().unwrap().len(), 2);
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn nothing_on_the_disk_shows_what_was_said() {
    let mut site = site().await;
    let mut client = site.client().await;
    let sent = json!({"model": "chat-model", "input": "QUESTIONMARKER", "instructions": "ORDERMARKER", "metadata": {"case": "NOTEMARKER"}});
    let reasoned =
        json!({"role": "assistant", "reasoning_content": "THOUGHTMARKER", "content": "ANSWERMARKER"});
    let (first, _) = ask(&mut site, &mut client, sent, &reasoned).await;
    ask(&mut site, &mut client, after(&first, "SECONDMARKER"), &says("LASTMARKER")).await;
    site.records_after_drain().await;
    let files = files(site.folder.path());
    let of_responses =
        files.iter().filter(|file| file.starts_with(site.folder.path().join("responses"))).count();
    assert_eq!(of_responses, 2);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        // What policy decided by, and records say, is metadata of the request.
        let markers =
            ["QUESTIONMARKER", "ORDERMARKER", "THOUGHTMARKER", "ANSWERMARKER", "SECONDMARKER", "LASTMARKER"];
        for marker in markers {
            assert!(
                !bytes.windows(marker.len()).any(|window| window == marker.as_bytes()),
                "{marker} in {file:?}"
            );
        }
    }
}

#[tokio::test]
async fn contents_that_were_torn_or_changed_are_told_by_nobody() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let file = site.folder.path().join("responses/kept").join(id(&answer));
    let whole = std::fs::read(&file).unwrap();
    let changed = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed
    };
    for bytes in [
        whole[..whole.len() - 1].to_vec(),
        whole[..20].to_vec(),
        changed(whole.len() / 2),
        changed(whole.len() - 40),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let shown = client.get(&at(&answer)).await;
        assert_eq!((shown.status, shown.code().as_str()), (503, "E0621"));
        let on = client.post(RESPONSES, after(&answer, "two").to_string()).await;
        assert_eq!((on.status, on.code().as_str()), (503, "E0621"));
    }
    std::fs::write(&file, whole).unwrap();
    assert_eq!(client.get(&at(&answer)).await.body, answer.body);
}

#[tokio::test]
async fn the_contents_of_one_owner_never_open_as_those_of_another() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    // Somebody who can write to the database makes the response theirs.
    let row = {
        let (project, subject) = ("demo".parse().unwrap(), "alice".parse().unwrap());
        site.metadata.response_chain((&project, &subject), id(&answer).parse().unwrap(), 1).unwrap().remove(0)
    };
    site.metadata.delete_response(row.id).unwrap();
    let theirs = hermetic_metadata::ResponseRow { subject: "mallory".parse().unwrap(), ..row };
    site.metadata.insert_response(&theirs).unwrap();
    let mut mallory = another(&site, "mallory", "demo").await;
    let shown = mallory.get(&at(&answer)).await;
    assert_eq!((shown.status, shown.code().as_str()), (503, "E0876"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_withheld() {
    let mut site = site().await;
    let mut client = site.client().await;
    let incoming = site.folder.path().join("responses/incoming");
    std::fs::remove_dir(&incoming).unwrap();
    let (answer, ()) = tokio::join!(client.post(RESPONSES, request("one").to_string()), async {
        site.engine.next().await.answer(200, "application/json", chat_answer(&says("SECRET"), "stop"));
    });
    assert_eq!((answer.status, answer.code().as_str()), (503, "E0620"));
    let sent = client.request(RESPONSES, streaming("one").to_string());
    let (response, ()) = tokio::join!(client.send(sent), async {
        let engine = site.engine.next().await.stream();
        engine.send(chunk(json!({"content": "first"}), Some("stop")) + "data: [DONE]\n\n");
    });
    let told: Answer = whole(response).await;
    assert!(!String::from_utf8_lossy(&told.body).contains("response.completed"));
    std::fs::create_dir(&incoming).unwrap();
    ask(&mut site, &mut client, request("again"), &says("first")).await;
    let records = site.records_after_drain().await;
    let outcomes: Vec<Outcome> = settled(&records).iter().map(|settled| settled.outcome).collect();
    assert_eq!(outcomes, [Outcome::Withheld, Outcome::Withheld, Outcome::Completed]);
}

#[tokio::test]
async fn a_start_removes_what_belongs_to_nobody_and_what_an_interrupted_request_left() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let (second, _) = ask(&mut site, &mut client, after(&first, "two"), &says("second")).await;
    site.start_drain().await.unwrap();
    let kept = site.folder.path().join("responses/kept");
    // Killed while it was written, and killed between contents and row.
    std::fs::write(site.folder.path().join("responses/incoming/resp_x"), b"half").unwrap();
    std::fs::copy(kept.join(id(&first)), kept.join(format!("resp_{}", "7".repeat(32)))).unwrap();
    // Killed between row and settling record: so the ledger ends with the admitting record of the second.
    let place = tempfile::tempdir().unwrap();
    for folder in ["ledger", "keys"] {
        std::fs::create_dir(place.path().join(folder)).unwrap();
    }
    let ledger = crate::kills::open_ledger(place.path());
    for event in site.records() {
        let of_second = |event: &hermetic_ledger::record::Event| match event {
            hermetic_ledger::record::Event::RequestSettled(settled) => {
                settled.stored.is_some_and(|stored| stored.response.to_string() == id(&second))
            }
            _ => false,
        };
        if !of_second(&event) {
            ledger.append_blocking(&hermetic_ledger::record::Record::new(1, event)).unwrap();
        }
    }
    let commitments = CommitmentSecret::from_bytes(&crate::site::SECRET);
    recover(&ledger, place.path().join("counters.json"), &commitments, &site.clock, &site.metadata).unwrap();
    open(site.folder.path(), site.metadata.clone(), KEPT());
    let left: Vec<String> = files(&site.folder.path().join("responses"))
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(left, [id(&first)]);
}
