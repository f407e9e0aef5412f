//! What a caller cannot make the gateway hold.

use crate::client::{CHAT, chat, connect, metric, said_until_closed};
use crate::site::Site;
use hermetic_gateway::Pace;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_closed() {
    let site = Site::start_with(|options| options.header_timeout = Duration::from_millis(50)).await;
    let mut stream = connect(site.port()).await;
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    assert!(!said_until_closed(&mut stream).await.contains("200 OK"));
    let mut idle = connect(site.port()).await;
    assert_eq!(said_until_closed(&mut idle).await, "");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_answered_and_closed() {
    let site = Site::start_with(|options| options.body_timeout = Duration::from_millis(50)).await;
    let mut stream = connect(site.port()).await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        site.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = said_until_closed(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("E0805"), "{said}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_declared_or_not() {
    let mut site = Site::start_with(|options| options.body_bytes_max = 100).await;
    let mut client = site.client().await;
    let long = chat("chat-model", false).replace("hi", &"x".repeat(200));
    let answer = client.post(CHAT, long.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "E0804"));
    let mut stream = connect(site.port()).await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        site.key
    );
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    stream.write_all((head + &chunk).as_bytes()).await.unwrap();
    let said = said_until_closed(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("E0804"), "{said}");
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn heads_with_too_much_in_them_are_refused() {
    let site = Site::start_with(|options| options.headers_max = 10).await;
    let many: String = (0..50).map(|i| format!("x-{i}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(64 << 10));
    for headers in [many, long] {
        let mut stream = connect(site.port()).await;
        let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        // The gateway may close before all of it is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let said = said_until_closed(&mut stream).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_and_closed_however_long_it_may_take() {
    let site = Site::start_with(|options| {
        options.body_timeout = Duration::from_secs(3_600);
        options.body_pace = Some(Pace { bytes: 10, within: Duration::from_millis(50) });
    })
    .await;
    let mut stream = connect(site.port()).await;
    stream.write_all(head(&site, "content-length: 100").as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let said = said_until_closed(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("E0805") && said.contains("without pause"),
        "{said}"
    );
}

/// The head of a chat request on a connection of its own.
fn head(site: &Site, header: &str) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n{header}\r\n\r\n",
        site.key
    )
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_while_all_are_busy_and_the_others_go_on() {
    let mut site = Site::start_with(|options| options.connections_max = 1).await;
    let mut first = site.client().await;
    let (answer, ()) = tokio::join!(first.post(CHAT, chat("chat-model", false)), async {
        let received = site.engine.next().await;
        let said = said_until_closed(&mut connect(site.port()).await).await;
        assert!(said.starts_with("HTTP/1.1 503") && said.contains("E0819"), "{said}");
        received.answer(200, "application/json", "{}");
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_connection_that_has_been_idle_longest_makes_room_for_a_new_one() {
    let site = Site::start_with(|options| options.connections_max = 2).await;
    let mut early = connect(site.port()).await;
    let mut other = site.client().await;
    assert_eq!(other.get("/healthz").await.status, 200);
    // Neither the one that sends nothing nor one in the middle of its head holds its place.
    let mut third = site.client().await;
    assert_eq!(third.get("/healthz").await.status, 200);
    assert_eq!(said_until_closed(&mut early).await, "");
    assert_eq!(other.get("/healthz").await.status, 200);
    assert_eq!(third.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_gets_them_back() {
    let site = Site::start_with(|options| options.connections_per_address_max = 1).await;
    let mut first = site.client().await;
    assert_eq!(first.get("/healthz").await.status, 200);
    let said = said_until_closed(&mut connect(site.port()).await).await;
    assert!(said.starts_with("HTTP/1.1 429 Too Many Requests") && said.contains("E0842"), "{said}");
    assert_eq!(first.get("/healthz").await.status, 200);
    first.hang_up();
    loop {
        let mut stream = connect(site.port()).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        if said_until_closed(&mut stream).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn a_plain_answer_nobody_takes_is_let_go() {
    let mut site = Site::start_with(|options| options.client_stall_timeout = Duration::from_millis(50)).await;
    let mut stream = connect(site.port()).await;
    let body = chat("chat-model", false);
    stream
        .write_all((head(&site, &format!("content-length: {}", body.len())) + &body).as_bytes())
        .await
        .unwrap();
    // More than the sockets of both sides hold.
    site.engine.next().await.answer(200, "application/json", "x".repeat(24 << 20));
    let mut other = site.client().await;
    // The answer is there, and then gone, though its client is still connected and reads nothing.
    while metric(&mut other, "hermetic_request_memory_bytes").await < 24 << 20 {}
    while metric(&mut other, "hermetic_request_memory_bytes").await > 0 {}
    while metric(&mut other, "hermetic_connections").await > 1 {}
    drop(stream);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending_a_large_body() {
    let site = Site::start_with(|options| options.body_bytes_max = 8 << 20).await;
    // More than the sockets of both sides hold, so that the client cannot be done before it is refused.
    let large = vec![b'x'; 24 << 20];
    for (key, length, status) in [("sk-none", 8 << 20, "401"), (site.key.as_str(), large.len(), "413")] {
        let mut stream = connect(site.port()).await;
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Writes all of it before it reads anything, as simple clients do.
        stream.write_all(&large[..length]).await.unwrap();
        let said = said_until_closed(&mut stream).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
    }
}

#[tokio::test]
async fn an_answer_over_the_cap_is_not_held() {
    let mut site = Site::start_with(|options| options.answer_bytes_max = 100).await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "x".repeat(101));
    });
    assert_eq!((answer.status, answer.code().as_str()), (502, "E0817"));
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_given_up() {
    let mut site = Site::start_with(|options| options.engine_timeout = Duration::from_millis(50)).await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.given_up().await;
    });
    assert_eq!((answer.status, answer.code().as_str()), (504, "E0816"));
}

#[tokio::test]
async fn a_connection_to_the_engine_is_used_again_unless_the_engine_closes_it() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    for (content_type, connections) in
        [("application/json", 1), ("application/json", 1), ("close", 1), ("close", 2)]
    {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
            site.engine.next().await.answer(200, content_type, "{}");
        });
        assert_eq!(answer.status, 200);
        let metrics = client.get("/metrics").await;
        let line = format!("hermetic_upstream_connections_total {connections}");
        assert!(String::from_utf8_lossy(&metrics.body).contains(&line), "{line}");
    }
}
