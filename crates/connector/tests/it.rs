//! The connector against real sockets on this machine.

use hermetic_connector::{AllowList, ConnectError, Connector};
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};

fn loopback() -> Connector {
    Connector::new(AllowList::loopback())
}

#[tokio::test]
async fn a_loopback_listener_is_reached_and_counted_with_nodelay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connector = loopback();
    let stream = connector.tcp("127.0.0.1", port).await.unwrap();
    assert!(stream.nodelay().unwrap());
    let report = connector.report();
    assert_eq!(report.destinations.len(), 1);
    assert_eq!(report.destinations[0].connected, 1);
    assert_eq!(report.refused(), 0);
}

#[tokio::test]
async fn an_allowed_name_is_resolved_and_its_addresses_checked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    loopback().tcp("localhost", port).await.unwrap();
    let no_networks = Connector::new(AllowList::new(Vec::new(), vec!["localhost".parse().unwrap()]));
    let error = no_networks.tcp("localhost", port).await.unwrap_err();
    assert!(matches!(error, ConnectError::ResolvedOutside { .. }), "{error}");
}

#[tokio::test]
async fn destinations_outside_are_refused_before_any_socket_and_counted() {
    let connector = loopback();
    for outside in
        ["192.0.2.1", "::ffff:192.0.2.1", "[2001:db8::1]", "example.invalid", "0x7f.1", "1.2.3", "a b", ""]
    {
        let error = connector.tcp(outside, 443).await.unwrap_err();
        assert!(error.is_refusal(), "{outside}: {error}");
    }
    assert_eq!(connector.report().refused(), 8);
}

#[tokio::test]
async fn a_unix_socket_is_reached_both_ways_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let connector = loopback();
    connector.unix(&path).await.unwrap();
    connector.unix_blocking(&path).unwrap();
    let error = connector.unix(Path::new("/nonexistent/worker.sock")).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/worker.sock"));
    let counts = connector.report().destinations;
    assert_eq!(counts.iter().map(|c| (c.connected, c.failed)).collect::<Vec<_>>(), [(0, 1), (2, 0)]);
}

#[tokio::test]
async fn a_closed_port_is_a_failure_not_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let connector = loopback();
    let error = connector.tcp("127.0.0.1", port).await.unwrap_err();
    assert!(matches!(error, ConnectError::Dial { .. }), "{error}");
    assert!(!error.is_refusal());
    assert_eq!(connector.report().destinations[0].failed, 1);
}
