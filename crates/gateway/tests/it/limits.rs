//! What a caller cannot make the gateway hold.

use crate::client::{CHAT, chat, connect};
use crate::site::Site;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Everything the gateway says until it closes the connection.
async fn said_until_closed(stream: &mut tokio::net::TcpStream) -> String {
    let mut said = Vec::new();
    // A reset instead of a close is as closed.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

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
async fn one_connection_too_many_is_told_so_and_the_others_go_on() {
    let mut site = Site::start_with(|options| options.connections_max = 1).await;
    let mut first = site.client().await;
    assert_eq!(first.get("/healthz").await.status, 200);
    let said = said_until_closed(&mut connect(site.port()).await).await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("E0819"), "{said}");
    let (answer, ()) = tokio::join!(first.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(answer.status, 200);
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
