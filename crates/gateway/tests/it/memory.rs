//! One budget of memory for everything requests make the gateway hold.

use crate::client::{CHAT, chat, connect, metric, said_until_closed};
use crate::site::Site;
use hermetic_ledger::record::{Event, Outcome};
use tokio::io::AsyncWriteExt;

const HELD: &str = "hermetic_request_memory_bytes";

/// A chat request whose body has so many bytes.
fn sized(bytes: usize) -> String {
    let least = chat("chat-model", false);
    least.replace("hi", &"x".repeat(bytes - least.len() + 2))
}

fn head(site: &Site, length: usize) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        site.key
    )
}

#[tokio::test]
async fn a_body_that_does_not_fit_beside_the_others_is_told_to_come_back_and_small_ones_are_answered() {
    let mut site = Site::start_with(|options| options.memory_bytes_max = 1 << 20).await;
    // Declared and not sent: its memory is taken all the same.
    let mut large = connect(site.port()).await;
    large.write_all(head(&site, 200 << 10).as_bytes()).await.unwrap();
    let mut client = site.client().await;
    while metric(&mut client, HELD).await < 400 << 10 {}
    let refused = client.post(CHAT, sized(100 << 10)).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "E0840"));
    assert_eq!(
        (&refused.headers["retry-after"], &refused.headers["x-should-retry"]),
        (&"1".parse().unwrap(), &"true".parse().unwrap())
    );
    let mut client = site.client().await;
    let (small, ()) = tokio::join!(client.post(CHAT, sized(1 << 10)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(small.status, 200);
    // The large one is sent after all, answered, and gives its memory back.
    large.write_all(sized(200 << 10).as_bytes()).await.unwrap();
    site.engine.next().await.answer(200, "application/json", "{}");
    assert!(said_until_closed(&mut large).await.starts_with("HTTP/1.1 200"));
    while metric(&mut client, HELD).await > 0 {}
    let (again, ()) = tokio::join!(client.post(CHAT, sized(100 << 10)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(again.status, 200);
}

#[tokio::test]
async fn a_body_that_could_never_be_held_is_refused_for_good() {
    let mut site = Site::start_with(|options| options.memory_bytes_max = 1 << 20).await;
    let mut client = site.client().await;
    let refused = client.post(CHAT, sized(400 << 10)).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0841"));
    assert_eq!(refused.headers["x-should-retry"], "false");
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn an_answer_there_is_no_memory_for_is_settled_as_withheld() {
    let mut site = Site::start_with(|options| options.memory_bytes_max = 1 << 20).await;
    let mut client = site.client().await;
    let (refused, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "x".repeat(2 << 20));
    });
    assert_eq!((refused.status, refused.code().as_str()), (503, "E0840"));
    let Some(Event::RequestSettled(settled)) = site.records_after_drain().await.pop() else {
        panic!("the last record is the settling one")
    };
    assert_eq!((settled.outcome, settled.status), (Outcome::Withheld, 503));
}

#[tokio::test]
async fn a_stream_faster_than_its_client_waits_for_it_instead_of_taking_more_memory() {
    let mut site = Site::start_with(|options| options.memory_bytes_max = 1 << 20).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let event =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(200 << 10));
    let events = 60;
    let (response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        for _ in 0..events {
            engine.send(event.clone());
        }
        engine.send("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        engine
    });
    let mut other = site.client().await;
    assert!(metric(&mut other, HELD).await <= 1 << 20);
    let answer = crate::client::whole(response).await;
    drop(engine);
    assert!(answer.body.ends_with(b"data: [DONE]\n\n"));
    assert!(answer.body.len() > events * event.len());
    while metric(&mut other, HELD).await > 0 {}
}
