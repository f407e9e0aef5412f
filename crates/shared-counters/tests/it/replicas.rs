//! Two replicas, one budget.

use crate::redis::{Server, needs_server};
use crate::server::{MONTH, Node, Refused, last_lease, options, rule};
use hermetic_ids::RequestId;
use hermetic_limits::{Amounts, Fold, HeadroomState, Hold, Length, Reservation, Unit, Window};
use std::sync::Arc;
use tokio::task::JoinSet;

fn used(tokens: u64) -> Amounts {
    Amounts { requests: 1, input_tokens: tokens, ..Amounts::default() }
}

/// So many requests at once, alternating between the replicas; what each was given.
async fn storm(nodes: &[Arc<Node>], requests: usize, amount: u64) -> Vec<Result<Reservation, Refused>> {
    let mut tasks = JoinSet::new();
    for number in 0..requests {
        let node = Arc::clone(&nodes[number % nodes.len()]);
        tasks.spawn(async move { node.reserve(amount).await });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_two_replicas_never_pass_the_cap() {
    needs_server!();
    let server = Server::start(&[]);
    for (round, window) in [MONTH, Window::Sliding(Length::Month)].into_iter().enumerate() {
        let rules = || vec![rule(1_000, Unit::InputTokens, window)];
        let options = |replica| hermetic_shared_counters::SharedOptions {
            namespace: format!("round{round}"),
            ..options(&server, replica, 2)
        };
        let nodes = [Node::start(options("a"), rules()), Node::start(options("b"), rules())].map(Arc::new);
        for node in &nodes {
            node.stands(HeadroomState::Connected).await;
        }
        let results = storm(&nodes, 1_000, 100).await;
        assert!(results.iter().all(|result| !matches!(result, Err(Refused::Away))));
        let held: Vec<Reservation> = results.into_iter().filter_map(Result::ok).collect();
        // All of the budget, and no more.
        assert_eq!(held.len(), 10);
        assert_eq!(nodes[0].spent() + nodes[1].spent(), 1_000);
        // Half is used of what was held; the rest can be had again, at either replica.
        held.into_iter().for_each(|reservation| drop(reservation.settle(&used(50))));
        let spent = || nodes[0].spent() + nodes[1].spent();
        for node in nodes.iter().cycle().take_while(|_| spent() < 1_000) {
            // Refused now and then, for the other holds what is left; then that one is told.
            if let Ok(reservation) = node.reserve(50).await {
                let _ = reservation.settle(&used(50));
            }
            tokio::task::yield_now().await;
        }
        for node in &nodes {
            assert_eq!(node.reserve(1).await.unwrap_err(), Refused::Exhausted);
        }
        assert_eq!(spent(), 1_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_does_not_need_the_other_gets() {
    needs_server!();
    let server = Server::start(&[]);
    let rules = || vec![rule(1_000, Unit::InputTokens, MONTH)];
    let (a, b) =
        (Node::start(options(&server, "a", 2), rules()), Node::start(options(&server, "b", 2), rules()));
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    // A slice larger than what is used of it.
    let _ = a.reserve(10).await.unwrap().settle(&used(10));
    let mut at_b = 0;
    // Refused at first, for the other holds it; then the other is told.
    while at_b < 99 {
        if let Ok(reservation) = b.reserve(10).await {
            let _ = reservation.settle(&used(10));
            at_b += 1;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(b.reserve(10).await.unwrap_err(), Refused::Exhausted);
    assert_eq!((a.spent(), b.spent()), (10, 990));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_died_keeps_its_lease_and_gets_it_back() {
    needs_server!();
    let server = Server::start(&[]);
    let rules = || vec![rule(1_000, Unit::InputTokens, MONTH)];
    let (a, b) =
        (Node::start(options(&server, "a", 2), rules()), Node::start(options(&server, "b", 2), rules()));
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    let reservation = a.reserve(600).await.unwrap();
    let holds: Vec<Hold> = reservation.holds();
    std::mem::forget(reservation);
    a.die().await;
    // Nobody knows what the dead one used, so it is taken to have used all it held.
    assert_eq!(b.reserve(500).await.unwrap_err(), Refused::Exhausted);
    let at_b = b.reserve(300).await.unwrap();
    // It comes back, and its ledger says that it used 200 of the 600.
    let mut fold = Fold::default();
    fold.admitted(RequestId::from_bytes([1; 16]), holds);
    fold.settled(RequestId::from_bytes([1; 16]), &[200]);
    let a = Node::start_from(options(&server, "a", 2), rules(), &fold);
    a.stands(HeadroomState::Connected).await;
    // The other has asked ahead for a little of what was left, and gives it back when it is told.
    let more = loop {
        match a.reserve(500).await {
            Ok(more) => break more,
            Err(refused) => assert_eq!(refused, Refused::Exhausted),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(a.spent() + b.spent(), 1_000);
    assert_eq!(b.reserve(1).await.unwrap_err(), Refused::Exhausted);
    drop((more, at_b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_nothing_is_served_or_what_is_leased() {
    needs_server!();
    let mut server = Server::start(&[]);
    let rules = || vec![rule(10_000, Unit::InputTokens, MONTH)];
    let closed = Node::start(options(&server, "closed", 2), rules());
    let last = Node::start(last_lease(options(&server, "last", 2)), rules());
    for node in [&closed, &last] {
        node.stands(HeadroomState::Connected).await;
        let _ = node.reserve(10).await.unwrap().settle(&used(10));
    }
    server.kill();
    closed.stands(HeadroomState::Away).await;
    last.stands(HeadroomState::Away).await;
    assert_eq!(closed.reserve(1).await.unwrap_err(), Refused::Away);
    // The slice is larger than what was used of it, and ends.
    let _ = last.reserve(10).await.unwrap().settle(&used(10));
    assert_eq!(last.reserve(9_000).await.unwrap_err(), Refused::Away);
    // It comes back with nothing, and both tell it what they hold.
    server.start_again();
    closed.stands(HeadroomState::Connected).await;
    last.stands(HeadroomState::Connected).await;
    let _ = closed.reserve(1).await.unwrap().settle(&used(1));
    let nodes = [Arc::new(closed), Arc::new(last)];
    for result in storm(&nodes, 2_000, 10).await {
        let _ = result.map(|reservation| reservation.settle(&used(10)));
    }
    let spent = nodes[0].spent() + nodes[1].spent();
    assert!(spent <= 10_000, "{spent}");
    assert!(nodes[0].metrics.render().contains("hermetic_shared_counters_losses_total 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_emptied_grants_nothing_until_all_have_spoken() {
    needs_server!();
    let mut server = Server::start(&[]);
    let rules = || vec![rule(1_000, Unit::InputTokens, MONTH)];
    let (a, b) =
        (Node::start(options(&server, "a", 2), rules()), Node::start(options(&server, "b", 2), rules()));
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    let at_a = a.reserve(900).await.unwrap();
    let holds = at_a.holds();
    std::mem::forget(at_a);
    a.die().await;
    // The server forgets, and the one that holds most is not there to say so.
    server.kill();
    b.stands(HeadroomState::Away).await;
    server.start_again();
    b.stands(HeadroomState::Incomplete).await;
    assert_eq!(b.reserve(100).await.unwrap_err(), Refused::Away);
    let mut fold = Fold::default();
    fold.admitted(RequestId::from_bytes([1; 16]), holds);
    let a = Node::start_from(options(&server, "a", 2), rules(), &fold);
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    assert_eq!(b.reserve(101).await.unwrap_err(), Refused::Exhausted);
    let rest = b.reserve(100).await.unwrap();
    assert_eq!(a.spent() + b.spent(), 1_000);
    drop(rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_under_the_replicas_is_noticed_and_everything_said_again() {
    needs_server!();
    let server = Server::start(&[]);
    let rules = || vec![rule(10_000, Unit::InputTokens, MONTH)];
    let (a, b) =
        (Node::start(options(&server, "a", 2), rules()), Node::start(options(&server, "b", 2), rules()));
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    let nodes = [Arc::new(a), Arc::new(b)];
    let mut held = Vec::new();
    for _ in 0..5 {
        held.extend(storm(&nodes, 100, 30).await.into_iter().filter_map(Result::ok));
        assert_eq!(server.command(&["FLUSHALL"]), "+OK\r\n");
    }
    for node in &nodes {
        node.stands(HeadroomState::Connected).await;
    }
    held.extend(storm(&nodes, 500, 30).await.into_iter().filter_map(Result::ok));
    let spent = nodes[0].spent() + nodes[1].spent();
    assert_eq!(spent, held.len() as u64 * 30);
    assert!(spent <= 10_000, "{spent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_counted_together() {
    needs_server!();
    let server = Server::start(&[]);
    let rules = || vec![rule(7, Unit::Concurrent, Window::Now)];
    let (a, b) =
        (Node::start(options(&server, "a", 2), rules()), Node::start(options(&server, "b", 2), rules()));
    a.stands(HeadroomState::Connected).await;
    b.stands(HeadroomState::Connected).await;
    let nodes = [Arc::new(a), Arc::new(b)];
    let held: Vec<_> = storm(&nodes, 100, 0).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(held.len(), 7);
    held.into_iter().for_each(|reservation| drop(reservation.refund()));
    assert_eq!(nodes[0].spent() + nodes[1].spent(), 0);
}
