//! Content is kept only where that is configured, before the record that says so, and no answer leaves without it.

use crate::client::{CHAT, chat, piece, whole};
use crate::site::{SECRET, Site};
use hermetic_content_store::ContentStore;
use hermetic_gateway::{CommitmentSecret, Salt, commit};
use hermetic_ledger::record::{Commitment, Event, Outcome, RequestAdmitted, RequestSettled};

const FIRST: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"he\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ANSWER: &str = r#"{"choices":[{"finish_reason":"length"}],"secret":"answer"}"#;

async fn both_records(site: &mut Site) -> (RequestAdmitted, RequestSettled) {
    match site.records_after_drain().await.as_slice() {
        [Event::RequestAdmitted(admitted), Event::RequestSettled(settled)] => {
            (admitted.clone(), settled.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn committed(settled: &RequestSettled, content: &[u8]) -> Commitment {
    commit(&CommitmentSecret::from_bytes(&SECRET).salt(settled.request, Salt::Answer), content)
}

/// What lies in the folder of the site's day: the content of one request each.
fn files(site: &Site) -> Vec<String> {
    let day = site.folder.path().join("content").join(site.day());
    let Ok(entries) = std::fs::read_dir(day) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Makes the folder of today one that cannot be written to, also by root.
fn obstruct(site: &Site) {
    std::os::unix::fs::symlink("/nonexistent/folder", site.folder.path().join("content").join(site.day()))
        .unwrap();
}

fn kept(site: &Site, store: &ContentStore, settled: &RequestSettled) -> hermetic_content_store::Kept {
    store.get(settled.request, site.clock.unix_millis()).unwrap()
}

#[tokio::test]
async fn a_plain_answer_comes_with_its_content_kept_and_the_record_says_so() {
    let (mut site, store) = Site::start_capturing(|_| {}).await;
    let mut client = site.client().await;
    let sent = chat("chat-model", false);
    let (answer, ()) = tokio::join!(client.post(CHAT, sent.clone()), async {
        site.engine.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.body, ANSWER);
    assert_eq!(files(&site), [answer.headers["x-request-id"].to_str().unwrap()]);
    let (_, settled) = both_records(&mut site).await;
    assert!(settled.content_kept);
    let kept = kept(&site, &store, &settled);
    assert!(!kept.is_cut_off());
    assert_eq!((kept.prompt.as_slice(), kept.answer.as_slice()), (sent.as_bytes(), ANSWER.as_bytes()));
    assert_eq!(committed(&settled, &kept.answer), settled.answer);
}

#[tokio::test]
async fn of_a_stream_is_kept_what_was_handed_on_to_its_last_byte() {
    let (mut site, store) = Site::start_capturing(|_| {}).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send([FIRST, LAST, DONE].concat());
    });
    let body = whole(response).await.body;
    let (_, settled) = both_records(&mut site).await;
    let kept = kept(&site, &store, &settled);
    assert_eq!(kept.answer, body);
    assert_eq!((settled.content_kept, committed(&settled, &body)), (true, settled.answer));
}

#[tokio::test]
async fn a_stream_over_the_limit_is_kept_to_the_limit_and_committed_to_in_full() {
    let (mut site, store) = Site::start_capturing(|options| options.answer_bytes_max = 100).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send([FIRST, FIRST, FIRST, LAST, DONE].concat());
    });
    let body = whole(response).await.body;
    let (_, settled) = both_records(&mut site).await;
    let kept = kept(&site, &store, &settled);
    assert!(kept.is_cut_off());
    assert_eq!((kept.answer.as_slice(), kept.answer_total), (&body[..100], body.len() as u64));
    assert_eq!((settled.answer_bytes, settled.answer), (body.len() as u64, committed(&settled, &body)));
}

#[tokio::test]
async fn a_plain_answer_whose_content_cannot_be_kept_is_withheld() {
    let (mut site, _store) = Site::start_capturing(|_| {}).await;
    obstruct(&site);
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!((answer.status, answer.code().as_str()), (503, "E0620"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("nonexistent"), "callers learn no paths");
    let (_, settled) = both_records(&mut site).await;
    assert_eq!((settled.outcome, settled.status, settled.content_kept), (Outcome::Withheld, 503, false));
    assert_eq!((settled.answer_bytes, settled.answer), (0, committed(&settled, b"")), "nothing was given");
}

#[tokio::test]
async fn a_stream_whose_content_cannot_be_kept_does_not_end_well() {
    let (mut site, _store) = Site::start_capturing(|_| {}).await;
    obstruct(&site);
    let mut client = site.client().await;
    let request = client.request(CHAT, chat("chat-model", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send([FIRST, LAST, DONE].concat());
    });
    let rest = String::from_utf8(whole(response).await.body.to_vec()).unwrap();
    assert!(rest.contains("E0620") && !rest.contains("[DONE]"), "{rest}");
    let (_, settled) = both_records(&mut site).await;
    assert_eq!((settled.outcome, settled.status, settled.content_kept), (Outcome::Withheld, 200, false));
    assert_eq!(settled.answer, committed(&settled, [FIRST, LAST].concat().as_bytes()), "what was given");
}

#[tokio::test]
async fn the_prompt_is_kept_also_when_its_client_leaves() {
    let (mut site, store) = Site::start_capturing(|_| {}).await;
    let mut client = site.client().await;
    let sent = chat("chat-model", true);
    let request = client.request(CHAT, sent.clone());
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(FIRST);
        engine
    });
    piece(&mut response).await.unwrap();
    drop(response);
    client.hang_up();
    engine.given_up().await;
    let (_, settled) = both_records(&mut site).await;
    assert_eq!((settled.outcome, settled.content_kept), (Outcome::ClientLeft, true));
    let kept = kept(&site, &store, &settled);
    assert_eq!((kept.prompt.as_slice(), kept.answer.as_slice()), (sent.as_bytes(), FIRST.as_bytes()));
}

#[tokio::test]
async fn without_capture_there_is_no_content_anywhere() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    let (_, settled) = both_records(&mut site).await;
    assert!(!settled.content_kept);
    assert!(!site.folder.path().join("content").exists());
    let last = site.ledger.read(1).unwrap();
    assert!(!String::from_utf8_lossy(&last).contains("content"), "the record is as it always was");
}
