//! Requests beyond what an engine takes wait in turn, fair between projects, for a bounded time and in bounded number.

use crate::client::{Answer, CHAT, Client, chat, metric};
use crate::engine::Received;
use crate::site::Site;
use hermetic_gateway::{GatewayOptions, ModelQueue};
use std::time::Duration;
use tokio::task::JoinHandle;

const WAITING: &str = "hermetic_queue_waiting";

fn one_at_a_time(options: &mut GatewayOptions) {
    options.queue.models.insert("chat-model".parse().unwrap(), ModelQueue { concurrency: 1 });
}

/// A request on a connection of its own.
async fn ask(site: &Site, key: &str, priority: Option<&str>) -> JoinHandle<Answer> {
    let mut client = site.client_with(key).await;
    let mut request = client.request(CHAT, chat("chat-model", false));
    if let Some(priority) = priority {
        request.headers_mut().insert("x-hermetic-priority", priority.parse().unwrap());
    }
    tokio::task::spawn_local(async move { crate::client::whole(client.send(request).await).await })
}

async fn until_waiting(client: &mut Client, count: i64) {
    while metric(client, WAITING).await != count {}
}

fn answer(received: Received) {
    received.answer(200, "application/json", "{}");
}

/// Of which project a request that reached the engine is: read from the ledger once all is settled.
fn projects(site: &Site) -> Vec<String> {
    use hermetic_ledger::record::Event;
    let admitted = site.records().into_iter().filter_map(|event| match event {
        Event::RequestAdmitted(admitted) => Some(admitted.owner.project.to_string()),
        _ => None,
    });
    admitted.collect()
}

async fn known(site: &Site, project: &str) -> String {
    let key = site.issue_key("bob", project, None);
    // Until the gateway has looked at the database, a key just made is unknown to it.
    let mut client = site.client_with(&key).await;
    while client.get("/v1/models").await.status != 200 {}
    key
}

#[tokio::test]
async fn a_flood_of_one_project_does_not_hold_up_another() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut site = Site::start_open(one_at_a_time).await;
            let other = known(&site, "other").await;
            let mut watch = site.client().await;
            let mut asked = vec![ask(&site, &site.key, None).await];
            let first = site.engine.next().await;
            for waiting in 1..=4 {
                asked.push(ask(&site, &site.key, None).await);
                until_waiting(&mut watch, waiting).await;
            }
            asked.push(ask(&site, &other, None).await);
            until_waiting(&mut watch, 5).await;
            assert!(site.engine.nothing_arrived(), "one at a time");
            answer(first);
            for _ in 0..5 {
                answer(site.engine.next().await);
            }
            for asked in asked {
                assert_eq!(asked.await.unwrap().status, 200);
            }
            site.records_after_drain().await;
            let order = projects(&site);
            let turn = order.iter().position(|project| project == "other").unwrap();
            assert!(turn <= 2, "passed by the one being answered and one more: {order:?}");
        })
        .await;
}

#[tokio::test]
async fn a_model_that_is_not_named_has_a_lane_where_all_have_one_and_it_can_be_widened() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut site =
                Site::start_with(|options| options.queue.others = Some(ModelQueue { concurrency: 1 })).await;
            let mut watch = site.client().await;
            let asked = ask(&site, &site.key, None).await;
            let first = site.engine.next().await;
            let waits = ask(&site, &site.key, None).await;
            until_waiting(&mut watch, 1).await;
            let mut options = GatewayOptions::new("127.0.0.1:0".parse().unwrap());
            options.queue.models.insert("chat-model".parse().unwrap(), ModelQueue { concurrency: 2 });
            site.running.as_ref().unwrap().adjust().options(options);
            answer(site.engine.next().await);
            answer(first);
            assert_eq!((asked.await.unwrap().status, waits.await.unwrap().status), (200, 200));
        })
        .await;
}

#[tokio::test]
async fn batch_waits_for_interactive() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut site = Site::start_open(one_at_a_time).await;
            let other = known(&site, "other").await;
            let mut watch = site.client().await;
            let mut asked = vec![ask(&site, &site.key, None).await];
            let first = site.engine.next().await;
            for (waiting, (key, priority)) in
                [(&site.key, Some("batch")), (&site.key, Some("batch")), (&other, None)]
                    .into_iter()
                    .enumerate()
            {
                asked.push(ask(&site, key, priority).await);
                until_waiting(&mut watch, waiting as i64 + 1).await;
            }
            answer(first);
            for _ in 0..3 {
                answer(site.engine.next().await);
            }
            for asked in asked {
                assert_eq!(asked.await.unwrap().status, 200);
            }
            site.records_after_drain().await;
            assert_eq!(projects(&site), ["demo", "other", "demo", "demo"]);
        })
        .await;
}

#[tokio::test]
async fn one_who_hangs_up_while_it_waits_leaves_nothing_behind() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut site = Site::start_with(one_at_a_time).await;
            let mut watch = site.client().await;
            let asked = ask(&site, &site.key, None).await;
            let first = site.engine.next().await;
            let gone = ask(&site, &site.key, None).await;
            until_waiting(&mut watch, 1).await;
            gone.abort();
            until_waiting(&mut watch, 0).await;
            answer(first);
            assert_eq!(asked.await.unwrap().status, 200);
            let again = ask(&site, &site.key, None).await;
            answer(site.engine.next().await);
            assert_eq!(again.await.unwrap().status, 200);
            assert_eq!(site.records_after_drain().await.len(), 4, "two requests, each admitted and settled");
        })
        .await;
}

#[tokio::test]
async fn who_finds_no_place_or_waits_too_long_is_told_when_to_come_back() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut site = Site::start_with(|options| {
                one_at_a_time(options);
                options.queue.places = 1;
                options.queue.wait_max = Duration::from_millis(200);
            })
            .await;
            let mut watch = site.client().await;
            let asked = ask(&site, &site.key, None).await;
            let first = site.engine.next().await;
            let waits = ask(&site, &site.key, None).await;
            until_waiting(&mut watch, 1).await;
            let full = ask(&site, &site.key, None).await.await.unwrap();
            // Either the place was still taken, or its holder had been sent away a moment before and this one waited too.
            assert!(matches!((full.status, full.code().as_str()), (429, "E0846") | (503, "E0847")));
            let late = waits.await.unwrap();
            assert_eq!((late.status, late.code().as_str()), (503, "E0847"));
            assert_eq!(late.headers["retry-after"], "1");
            answer(first);
            assert_eq!(asked.await.unwrap().status, 200);
        })
        .await;
}

#[tokio::test]
async fn a_drain_answers_who_waits_and_a_cut_sends_them_away() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for cut in [false, true] {
                let mut site = Site::start_with(one_at_a_time).await;
                let mut watch = site.client().await;
                let adjust = site.running.as_ref().unwrap().adjust();
                let asked = ask(&site, &site.key, None).await;
                let first = site.engine.next().await;
                let waits = ask(&site, &site.key, None).await;
                until_waiting(&mut watch, 1).await;
                drop(watch);
                let drain = site.start_drain();
                if cut {
                    adjust.cut();
                    first.given_up().await;
                    assert_eq!(waits.await.unwrap().code(), "E0818");
                    assert_eq!(asked.await.unwrap().code(), "E0818");
                } else {
                    answer(first);
                    answer(site.engine.next().await);
                    assert_eq!((asked.await.unwrap().status, waits.await.unwrap().status), (200, 200));
                }
                assert_eq!(drain.await.unwrap().lost, 0);
                // What was admitted is settled; what only waited left nothing.
                assert_eq!(site.records().len(), if cut { 2 } else { 4 });
            }
        })
        .await;
}
