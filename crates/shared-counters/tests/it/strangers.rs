//! Servers that must not be used, and who must not use one.

use crate::redis::{Server, needs_server};
use crate::server::{MONTH, Node, options, rule};
use hermetic_limits::{HeadroomState, Unit};
use hermetic_shared_counters::{Secret, SharedOptions};

fn rules() -> Vec<hermetic_limits::Rule> {
    vec![rule(10, Unit::Requests, MONTH)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_password_opens_and_no_other_does() {
    needs_server!();
    let server =
        Server::start(&["--user", "gateway", "on", ">pass-word", "~*", "+@all", "--user", "default", "off"]);
    let with = |password: &str, replica: &str| SharedOptions {
        user: Some("gateway".to_owned()),
        password: Some(Secret::new(password.as_bytes().to_vec())),
        ..options(&server, replica, 1)
    };
    let right = Node::start(with("pass-word", "a"), rules());
    right.stands(HeadroomState::Connected).await;
    let _ = right.reserve(0).await.unwrap();
    let wrong = Node::start(with("guess", "b"), rules());
    let none = Node::start(options(&server, "c", 1), rules());
    // Asked while nobody could have connected yet or ever will: refused either way.
    assert!(wrong.reserve(0).await.is_err() && none.reserve(0).await.is_err());
    assert!(!format!("{:?}", with("guess", "b")).contains("guess"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_under_the_same_id_waits_until_the_first_is_dead() {
    needs_server!();
    let server = Server::start(&[]);
    let first = Node::start(options(&server, "a", 1), rules());
    first.stands(HeadroomState::Connected).await;
    let second = Node::start(options(&server, "a", 1), rules());
    assert!(second.reserve(0).await.is_err());
    first.die().await;
    second.stands(HeadroomState::Connected).await;
    let _ = second.reserve(0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_in_good_order_gives_back_and_need_not_be_waited_for() {
    needs_server!();
    let server = Server::start(&[]);
    let first = Node::start(options(&server, "a", 1), rules());
    first.stands(HeadroomState::Connected).await;
    let _ = first.reserve(0).await.unwrap().refund();
    first.stop().await;
    assert_eq!(server.command(&["HLEN", "hermetic:instances"]), ":0\r\n");
    assert_eq!(server.command(&["SCARD", "hermetic:mine:a"]), ":0\r\n");
}
