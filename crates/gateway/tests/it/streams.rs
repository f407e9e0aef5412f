//! Streams: handed on event by event, held back at the end, ended in order whoever breaks off.

use crate::client::{CHAT, chat, piece, whole};
use crate::site::Site;
use hermetic_ledger::record::{Event, Outcome};

const FIRST: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"he\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

pub(crate) fn settled(records: &[Event]) -> &hermetic_ledger::record::RequestSettled {
    match records.last() {
        Some(Event::RequestSettled(settled)) => settled,
        other => panic!("expected a settled request, found {other:?}"),
    }
}

#[tokio::test]
async fn the_first_byte_leaves_after_the_admitting_record_and_the_last_after_the_settling_one() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    assert_eq!(response.headers()["x-hermetic-admitted"], "0");
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(piece(&mut response).await.unwrap(), FIRST);
    assert_eq!(site.durable(), 1, "admitted and durable, not settled");
    engine.send([LAST, USAGE, DONE].concat());
    assert_eq!(piece(&mut response).await.unwrap(), LAST);
    assert_eq!(piece(&mut response).await.unwrap(), DONE, "the usage report we asked for is ours");
    assert_eq!(site.durable(), 2, "settled and durable");
    drop(engine);
    assert!(piece(&mut response).await.is_none());
    let records = site.records_after_drain().await;
    let settled = settled(&records);
    assert_eq!((settled.outcome, settled.status, settled.admitted), (Outcome::Completed, 200, 0));
    assert_eq!((settled.usage.input_tokens, settled.usage.output_tokens), (Some(5), Some(2)));
    assert_eq!(settled.finish_reason.as_deref(), Some("stop"));
    assert_eq!(settled.answer_bytes, [FIRST, LAST, DONE].concat().len() as u64);
}

#[tokio::test]
async fn a_stream_is_byte_for_byte_the_engines_when_the_caller_asks_for_usage() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let sent = r#"{"stream":true, "stream_options":{"include_usage":true},"model":"chat-model","messages":[{"role":"user","content":"hi"}],"temperature":1.0e0}"#;
    let answered = [": comment\n\n", FIRST, "event: x\rdata: y\r\r", LAST, USAGE, DONE].concat();
    let request = client.request(CHAT, sent);
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        assert_eq!(received.body, sent);
        let engine = received.stream();
        answered.as_bytes().chunks(7).for_each(|chunk| engine.send(chunk.to_vec()));
    });
    assert_eq!(whole(response).await.body, answered);
}

#[tokio::test]
async fn the_engine_is_asked_for_usage_when_the_caller_is_not_interested() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        let body = String::from_utf8(received.body.to_vec()).unwrap();
        assert_eq!(
            body,
            chat("chat-model", true).replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1)
        );
        received.stream().send([FIRST, LAST, USAGE, DONE].concat());
    });
    assert_eq!(whole(response).await.body, [FIRST, LAST, DONE].concat());
}

#[tokio::test]
async fn a_client_that_hangs_up_in_a_stream_ends_the_engines_work_and_is_settled_as_left() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    piece(&mut response).await.unwrap();
    client.hang_up();
    drop(response);
    engine.given_up().await;
    let records = site.records_after_drain().await;
    assert_eq!(records.len(), 2);
    assert_eq!(settled(&records).outcome, Outcome::ClientLeft);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_answer_ends_the_engines_work_and_is_settled_as_left() {
    let mut site = Site::start().await;
    for stream in [false, true] {
        let mut client = site.client().await;
        let request = client.request(CHAT, chat("chat-model", stream));
        let mut sending = tokio::task::JoinSet::new();
        sending.spawn(async move {
            let _ = client.send(request).await;
        });
        let received = site.engine.next().await;
        // The client's tasks and its socket go with it.
        sending.shutdown().await;
        received.given_up().await;
    }
    let records = site.records_after_drain().await;
    let left = records.iter().filter(
        |r| matches!(r, Event::RequestSettled(s) if s.outcome == Outcome::ClientLeft && s.status == 499),
    );
    assert_eq!((records.len(), left.count()), (4, 2), "{records:?}");
}

#[tokio::test]
async fn an_engine_that_dies_in_a_stream_gives_an_error_event_and_is_settled_as_failed() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    assert_eq!(piece(&mut response).await.unwrap(), FIRST);
    engine.break_off();
    let event = piece(&mut response).await.unwrap();
    let error: serde_json::Value = serde_json::from_slice(event.strip_prefix(b"data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "E0815");
    assert!(piece(&mut response).await.is_none(), "no [DONE] after an error");
    let records = site.records_after_drain().await;
    assert_eq!(settled(&records).outcome, Outcome::EngineFailed);
}

#[tokio::test]
async fn a_stream_that_just_stops_is_not_taken_for_complete() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        site.engine.next().await.stream().send(FIRST);
    });
    let body = whole(response).await.body;
    assert!(String::from_utf8_lossy(&body).contains("\"code\":\"E0815\""), "{body:?}");
    assert_eq!(settled(&site.records_after_drain().await).outcome, Outcome::EngineFailed);
}

#[tokio::test]
async fn a_silent_engine_is_covered_by_comments_that_are_no_part_of_the_answer() {
    let mut site =
        Site::start_with(|options| options.keep_alive_interval = std::time::Duration::from_millis(20)).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, engine) =
        tokio::join!(client.send(request), async { site.engine.next().await.stream() });
    assert_eq!(piece(&mut response).await.unwrap(), ": keep-alive\n\n");
    engine.send([LAST, DONE].concat());
    let rest = whole(response).await.body;
    assert!(rest.ends_with([LAST, DONE].concat().as_bytes()));
    drop(engine);
    assert_eq!(settled(&site.records_after_drain().await).answer_bytes, [LAST, DONE].concat().len() as u64);
}

#[tokio::test]
async fn a_drain_lets_a_stream_end_and_refuses_new_connections() {
    let mut site = Site::start().await;
    let port = site.port();
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    piece(&mut response).await.unwrap();
    let drained = site.start_drain();
    // The listener is gone once a connection is refused; until then one is accepted and closed.
    let connector = hermetic_connector::Connector::new(hermetic_connector::AllowList::loopback());
    while connector.tcp("127.0.0.1", port).await.is_ok() {
        tokio::task::yield_now().await;
    }
    engine.send([LAST, DONE].concat());
    drop(engine);
    assert_eq!(whole(response).await.body, [LAST, DONE].concat());
    assert_eq!(drained.await.unwrap(), hermetic_gateway::Drained { cut: 0, lost: 0 });
    assert_eq!(settled(&site.records()).outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_stream_that_outlives_the_grace_is_cut_told_so_and_settled() {
    let mut site = Site::start_with(|options| options.drain_grace = std::time::Duration::ZERO).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (mut response, _engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    piece(&mut response).await.unwrap();
    let drained = site.start_drain();
    let rest = whole(response).await.body;
    assert!(String::from_utf8_lossy(&rest).contains("E0818"), "{rest:?}");
    let drained = drained.await.unwrap();
    assert!(drained.cut > 0 && drained.lost == 0, "{drained:?}");
    assert_eq!(settled(&site.records()).outcome, Outcome::EngineFailed);
}
