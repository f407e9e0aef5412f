//! Requests whose end is in doubt, over a raw socket: one answer, then a closed connection, and what is hidden behind
//! them never reaches the engine.

use crate::client::{CHAT, chat, connect, said_until_closed};
use crate::site::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A whole request the engine would get if it were taken for one.
fn hidden(site: &Site) -> String {
    let body = chat("chat-model", false);
    let (key, length) = (&site.key, body.len());
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The head of a request in order, but for `headers`.
fn head(site: &Site, headers: &str) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n{headers}\r\n\r\n",
        site.key
    )
}

/// Sends everything at once and returns everything that is said until the gateway closes.
async fn exchange(site: &Site, sent: impl AsRef<[u8]>) -> String {
    exchange_at(site.port(), sent).await
}

async fn exchange_at(port: u16, sent: impl AsRef<[u8]>) -> String {
    let mut stream = connect(port).await;
    stream.write_all(sent.as_ref()).await.unwrap();
    said_until_closed(&mut stream).await
}

fn answers(said: &str) -> usize {
    said.matches("HTTP/1.1 ").count() + said.matches("HTTP/1.0 ").count()
}

#[tokio::test]
async fn a_request_hidden_in_another_never_reaches_the_engine() {
    let mut site = Site::start().await;
    let hidden = hidden(&site);
    let length = hidden.len();
    let chunked = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    let ended = format!("0\r\n\r\n{hidden}");
    // What the headers say of the body, and what follows them.
    let cases: [(&str, &str); 24] = [
        // CL.TE and TE.CL, in both orders. RFC 9112, 6.1: chunked wins, and the connection closes.
        ("content-length: 1000\r\ntransfer-encoding: chunked", &ended),
        ("transfer-encoding: chunked\r\ncontent-length: 1000", &ended),
        ("transfer-encoding: chunked\r\ncontent-length: 4", &chunked),
        ("content-length: 4\r\ntransfer-encoding: chunked", &chunked),
        ("content-length: 0\r\ntransfer-encoding: chunked", &chunked),
        // Two lengths, or one that is none.
        ("content-length: 0\r\ncontent-length: 9", &hidden),
        ("content-length: 0, 9", &hidden),
        ("content-length: +0", &hidden),
        ("content-length: 0x0", &hidden),
        ("content-length: -1", &hidden),
        ("content-length: 99999999999999999999", &hidden),
        ("content-length:", &hidden),
        // A coding that some would overlook.
        ("transfer-encoding: chunked, identity", &ended),
        ("transfer-encoding: identity, chunked", &ended),
        ("transfer-encoding: gzip, chunked", &ended),
        ("transfer-encoding: identity\r\ncontent-length: 0", &hidden),
        ("transfer-encoding: identity\r\ntransfer-encoding: chunked", &ended),
        ("transfer-encoding: xchunked", &ended),
        ("transfer-encoding: \x0bchunked", &ended),
        // A header that some would take for another.
        ("content-length : 0", &hidden),
        ("transfer-encoding : chunked", &ended),
        ("x: y\r\n content-length: 0", &hidden),
        ("x: y\rcontent-length: 0", &hidden),
        ("x: y\0\r\ncontent-length: 0", &hidden),
    ];
    for (headers, rest) in cases {
        let said = exchange(&site, head(&site, headers) + rest).await;
        assert_eq!(answers(&said), 1, "{headers:?}: {said}");
        assert!(said.starts_with("HTTP/1.1 4"), "{headers:?}: {said}");
        assert!(site.engine.nothing_arrived(), "{headers:?}");
    }
}

#[tokio::test]
async fn chunks_that_are_not_well_formed_end_the_connection() {
    let mut site = Site::start().await;
    let hidden = hidden(&site);
    for chunks in [
        "fffffffffffffffff\r\n",
        "-1\r\n",
        "0x5\r\n12345\r\n",
        "5 5\r\n12345\r\n",
        "zz\r\n",
        "\r\n",
        // An extension that hides the end of its line from some.
        "0;a=\n\r\n\r\n",
        // A chunk longer than it says.
        "1\r\n12\r\n",
        // Trailers without end.
        "0\r\nx y\r\n",
    ] {
        let said = exchange(&site, head(&site, "transfer-encoding: chunked") + chunks + &hidden).await;
        assert_eq!(answers(&said), 1, "{chunks:?}: {said}");
        assert!(said.starts_with("HTTP/1.1 4"), "{chunks:?}: {said}");
        assert!(site.engine.nothing_arrived(), "{chunks:?}");
    }
    let endless = format!("0\r\n{}", "x: y\r\n".repeat(10_000));
    let said = exchange(&site, head(&site, "transfer-encoding: chunked") + &endless).await;
    assert!(answers(&said) <= 1 && !said.contains(" 200 "), "{said}");
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn extensions_and_trailers_of_a_good_body_say_nothing() {
    let mut site = Site::start().await;
    let body = chat("chat-model", false);
    let half = body.len() / 2;
    let chunks = format!(
        "{half:x};ext=\"1\"\r\n{}\r\n{:X}\r\n{}\r\n0\r\ncontent-length: 5\r\nauthorization: Bearer other\r\n\r\n",
        &body[..half],
        body.len() - half,
        &body[half..]
    );
    let sent = head(&site, "transfer-encoding: chunked\r\nconnection: close") + &chunks;
    let port = site.port();
    let engine = &mut site.engine;
    let (said, ()) = tokio::join!(exchange_at(port, sent), async {
        let received = engine.next().await;
        assert_eq!(received.body, body);
        received.answer(200, "application/json", "{}");
    });
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_read_as_a_request() {
    let mut site = Site::start().await;
    let hidden = hidden(&site);
    let length = hidden.len();
    for head in [
        format!("POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"),
        format!("GET {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"),
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ),
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        ),
    ] {
        let mut stream = connect(site.port()).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // The refusal comes before the body is sent.
        let mut said = vec![0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert!(said.starts_with(b"HTTP/1.1 4"), "{said:?}");
        // The gateway may have closed already.
        let _ = stream.write_all(hidden.as_bytes()).await;
        assert_eq!(answers(&said_until_closed(&mut stream).await), 0, "{head}");
        assert!(site.engine.nothing_arrived(), "{head}");
    }
}

#[tokio::test]
async fn more_than_one_host_is_refused() {
    let mut site = Site::start().await;
    let said = exchange(&site, head(&site, "host: other\r\ncontent-length: 0") + &hidden(&site)).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("E0845"), "{said}");
    assert_eq!(answers(&said), 1);
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_and_hides_nothing() {
    // RFC 9112, 2.2: a recipient may take a line feed alone for the end of a line. What stands behind it is a header like
    // any other, so a body it declares is a body and not a second request.
    let mut site = Site::start().await;
    let hidden = hidden(&site);
    let sent = head(&site, &format!("x: y\ncontent-length: {}\r\nconnection: close", hidden.len())) + &hidden;
    let said = exchange(&site, sent).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("E0806"), "{said}");
    assert_eq!(answers(&said), 1);
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn request_lines_that_are_none_are_refused_and_other_forms_are_paths() {
    let mut site = Site::start().await;
    let rest = head(&site, "content-length: 2\r\nconnection: close");
    let (_, rest) = rest.split_once("\r\n").unwrap();
    for (line, status, code) in [
        // Absolute form: RFC 9112, 3.2.2, a server must accept it; the path decides.
        ("POST http://elsewhere.example/v1/chat/completions HTTP/1.1", "400", "E0809"),
        ("POST http://elsewhere.example/ HTTP/1.1", "404", "E0801"),
        ("CONNECT elsewhere.example:443 HTTP/1.1", "404", "E0801"),
        ("OPTIONS * HTTP/1.1", "404", "E0801"),
        ("POST /v1/chat/completions/../completions HTTP/1.1", "404", "E0801"),
        ("POST /v1/chat%2fcompletions HTTP/1.1", "404", "E0801"),
        ("POST //v1/chat/completions HTTP/1.1", "404", "E0801"),
        ("POST elsewhere.example:443 HTTP/1.1", "4", ""),
        ("POST /v1/\0 HTTP/1.1", "400", ""),
        ("POST /v1/ x HTTP/1.1", "400", ""),
        ("POST /v1/chat/completions HTTP/2.0", "400", ""),
        ("POST /v1/chat/completions HTTP/1.1.1", "400", ""),
        ("POST /v1/chat/completions", "400", ""),
        ("P\u{d6}ST /v1/chat/completions HTTP/1.1", "400", ""),
    ] {
        let said = exchange(&site, format!("{line}\r\n{rest}{{}}")).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{line:?}: {said}");
        assert!(said.contains(code), "{line:?}: {said}");
        assert_eq!(answers(&said), 1, "{line:?}: {said}");
    }
    let long = format!("POST /{} HTTP/1.1\r\n{rest}", "x".repeat(64 << 10));
    let said = exchange(&site, long).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn an_old_client_gets_one_answer_unless_it_asks_for_more() {
    let site = Site::start().await;
    let said = exchange(&site, "GET /healthz HTTP/1.0\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(said.matches("ok\n").count(), 1, "{said}");
    let kept = "GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let said = exchange(&site, format!("{kept}GET /healthz HTTP/1.0\r\n\r\n")).await;
    assert_eq!(said.matches("ok\n").count(), 2, "{said}");
    // RFC 9112, 6.1: no transfer codings in HTTP/1.0.
    let said = exchange(
        &site,
        format!("POST {CHAT} HTTP/1.0\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{kept}"),
    )
    .await;
    assert_eq!(answers(&said), 1, "{said}");
    assert!(!said.contains("ok\n"), "{said}");
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let site = Site::start().await;
    let rest = "HTTP/1.1\r\nhost: x\r\n";
    let said = exchange(
        &site,
        format!("GET /healthz {rest}\r\nGET /nothing {rest}\r\nGET /manual {rest}connection: close\r\n\r\n"),
    )
    .await;
    let at = |needle: &str| said.find(needle).unwrap_or_else(|| panic!("no {needle} in {said}"));
    assert!(at("ok\n") < at("E0801") && at("E0801") < at("<h1>"), "{said}");
    assert_eq!(answers(&said), 3);
}
