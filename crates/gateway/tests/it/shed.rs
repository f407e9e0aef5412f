//! Load that is turned away at the front, before it costs anything.

use crate::client::{CHAT, chat, connect, said_until_closed};
use crate::site::Site;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn one_request_too_many_is_told_so_before_its_body_is_read_and_probes_are_answered() {
    let mut site = Site::start_with(|options| options.requests_max = 1).await;
    let mut client = site.client().await;
    let (first, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        let received = site.engine.next().await;
        let mut second = connect(site.port()).await;
        // The body it promises never comes.
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
        );
        second.write_all(head.as_bytes()).await.unwrap();
        let said = said_until_closed(&mut second).await;
        assert!(
            said.starts_with("HTTP/1.1 503") && said.contains("E0843") && said.contains("retry-after: 1"),
            "{said}"
        );
        let mut probe = site.client().await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(probe.get(path).await.status, 200, "{path}");
        }
        received.answer(200, "application/json", "{}");
    });
    assert_eq!(first.status, 200);
    let (again, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(again.status, 200);
}

#[tokio::test]
async fn a_loop_that_is_behind_turns_new_requests_away_and_answers_probes() {
    let mut site = Site::start_with(|options| options.lag_max = Duration::from_secs(1)).await;
    let mut client = site.client_with("sk-none").await;
    // The clock jumps while the loop waits for its next turn: to the loop it came round that late.
    loop {
        site.clock.advance(Duration::from_secs(3_600));
        let answer = client.post(CHAT, chat("chat-model", false)).await;
        if answer.code() == "E0844" {
            assert_eq!((answer.status, &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let mut probe = site.client().await;
    assert_eq!(probe.get("/healthz").await.status, 200);
    assert_eq!(probe.get("/metrics").await.status, 200);
    // When it comes round in time again, requests are answered again.
    loop {
        let mut client = site.client_with("sk-none").await;
        if client.post(CHAT, chat("chat-model", false)).await.status == 401 {
            break;
        }
    }
    assert!(site.engine.nothing_arrived());
}
