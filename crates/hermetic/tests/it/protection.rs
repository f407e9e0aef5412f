//! What callers cannot make the service hold, and how it stops.

use crate::client;
use crate::front::Front;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;

fn signal(serving: &Child, signal: Signal) {
    kill_process(Pid::from_child(serving), signal).unwrap();
}

/// The most memory the process ever had, in bytes.
fn most_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() << 10
}

const BODY: usize = 4 << 20;
const CALLERS: usize = 300;

/// Sends nearly all of a large body and keeps the connection; `None` when the gateway had already closed it.
fn hold_body(front: &Front, body: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", front.port)).ok()?;
    let head = format!("{}host: x\r\ncontent-length: {BODY}\r\n\r\n", front.head());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    Some(stream)
}

#[test]
fn more_than_a_gigabyte_of_bodies_at_once_takes_a_fraction_of_it_and_others_are_answered() {
    let front = Front::new();
    front.configure(", memory: 64 MiB, limits: { body_timeout: 1h, body_rate: 0 B }", "");
    let mut serving = front.serve();
    let before = most_memory(serving.id());
    // Three hundred bodies of four megabytes, each but for its last byte.
    let body = vec![b' '; BODY - 1];
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| hold_body(&front, &body))).collect();
        let held: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let small = front.ask("big", "hi").unwrap();
        assert_eq!(small.status, 200, "{}", small.body);
        assert!(front.metric("hermetic_request_memory_bytes") <= 64 << 20);
        assert!(front.metric("hermetic_requests_refused_total{code=\"E0840\"}") > 0);
        drop(held);
    });
    let grown = most_memory(serving.id()) - before;
    // The budget, what the allocator keeps beside it, and a buffer for each connection.
    assert!(grown < 256 << 20, "{} MiB", grown >> 20);
    signal(&serving, Signal::TERM);
    assert!(serving.wait().unwrap().success());
}

#[test]
fn the_first_signal_lets_requests_end_and_the_second_cuts_them_and_all_are_settled() {
    for twice in [false, true] {
        let front = Front::new();
        front.configure(", drain_grace: 1h", "");
        let mut serving = front.serve();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| front.ask("big", "hold"));
            let go = front.held();
            signal(&serving, Signal::TERM);
            // The listener is gone once the drain has begun.
            while TcpStream::connect(("127.0.0.1", front.port)).is_ok() {}
            if twice {
                signal(&serving, Signal::TERM);
                assert!(serving.wait().unwrap().success());
            }
            // When the service has given the engine up, nobody reads this any more.
            let _ = go.send(());
            let answer = asked.join().unwrap();
            if twice {
                assert!(answer.is_none_or(|answer| answer.status == 503));
            } else {
                assert_eq!(answer.unwrap().status, 200);
                assert!(serving.wait().unwrap().success());
            }
        });
        let settled = front.events_of("request.settled");
        assert_eq!(settled.len(), 1);
        assert_eq!(settled[0]["outcome"], if twice { "engine-failed" } else { "completed" });
        assert_eq!(front.events_of("service.stopped").len(), 1);
    }
}

#[test]
fn probes_are_answered_by_a_service_that_turns_requests_away() {
    let front = Front::new();
    front.configure(", limits: { requests: 1 }", "");
    let mut serving = front.serve();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| front.ask("big", "hold"));
        let go = front.held();
        let refused = front.ask("big", "hi").unwrap();
        assert!(refused.status == 503 && refused.body.contains("E0843"), "{}", refused.body);
        assert_eq!(client::send(front.port, "GET /healthz HTTP/1.1\r\n", "").unwrap().status, 200);
        go.send(()).unwrap();
        assert_eq!(asked.join().unwrap().unwrap().status, 200);
    });
    signal(&serving, Signal::TERM);
    assert!(serving.wait().unwrap().success());
}
