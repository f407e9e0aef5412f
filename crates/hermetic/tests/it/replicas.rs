//! Two gateways and one budget in a real server: killed, cut off and emptied in the middle.

use crate::front::Front;
use crate::redis::{Server, needs_server};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;

/// Answers the two may give together this month.
const BUDGET: usize = 60;

struct Pair {
    server: Server,
    fronts: [Front; 2],
}

impl Pair {
    fn new(budget: usize) -> Self {
        let server = Server::start(&[]);
        let fronts = [Front::new(), Front::new()];
        for front in &fronts {
            let more = format!(
                "limits_store: {{ redis: \"redis://127.0.0.1:{}\", replicas: 2, on_loss: fail-closed }}\n\
                limits:\n  - {{ name: budget, limit: {budget}, unit: requests, window: month, shared: true }}\n",
                server.port
            );
            front.configure("", &more);
        }
        Self { server, fronts }
    }

    /// Starts both and waits until each counts with the other.
    fn serve(&self) -> [Child; 2] {
        let serving = [self.fronts[0].serve(), self.fronts[1].serve()];
        self.fronts.iter().for_each(|front| stands(front, "connected"));
        serving
    }

    /// Requests that were let through, by what is signed of both ledgers: all, once both have stopped.
    fn admitted(&self) -> usize {
        self.fronts.iter().map(|front| front.events_of("request.admitted").len()).sum()
    }

    /// Asks both in turn until so many requests were let through and both are refused.
    fn spend_all(&self) {
        // Refused now and then although there is room, for the other holds what is left; then that one is told.
        while self.admitted() < BUDGET {
            for front in &self.fronts {
                let answer = front.ask("big", "hi").unwrap();
                assert!([200, 429, 503].contains(&answer.status), "{}: {}", answer.status, answer.body);
            }
        }
        for front in &self.fronts {
            let refused = front.ask("big", "hi").unwrap();
            assert!(refused.status == 429 && refused.body.contains("budget"), "{}", refused.body);
        }
    }
}

fn stands(front: &Front, state: &str) {
    let wanted = format!("\"shared_counters\":\"{state}\"");
    while !front.get("/readyz").unwrap().body.contains(&wanted) {
        std::thread::yield_now();
    }
}

fn stop(serving: [Child; 2]) {
    for mut serving in serving {
        kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
        assert!(serving.wait().unwrap().success());
    }
}

#[test]
fn a_thousand_requests_at_once_at_two_gateways_get_the_ten_answers_there_are() {
    needs_server!();
    let pair = Pair::new(10);
    let serving = pair.serve();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |number: usize| pair.fronts[number % 2].ask("big", "hi").unwrap().status;
        let small = || std::thread::Builder::new().stack_size(128 << 10);
        let asked: Vec<_> =
            (0..1_000).map(|number| small().spawn_scoped(scope, move || ask(number)).unwrap()).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (10, 990), "{statuses:?}");
    stop(serving);
    assert_eq!(pair.admitted(), 10);
}

#[test]
fn a_gateway_that_is_killed_in_the_middle_comes_back_with_what_it_held_and_nothing_is_spent_twice() {
    needs_server!();
    let pair = Pair::new(BUDGET);
    let [first, mut second] = pair.serve();
    std::thread::scope(|scope| {
        let held: Vec<_> = (0..8).map(|_| scope.spawn(|| pair.fronts[1].ask("big", "hold"))).collect();
        // Some are with the engine when the process dies, some not yet.
        let _at_the_engine: Vec<_> = (0..4).map(|_| pair.fronts[1].held()).collect();
        second.kill().unwrap();
        second.wait().unwrap();
        held.into_iter().for_each(|held| assert!(held.join().unwrap().is_none()));
    });
    // The other goes on meanwhile, under the same budget.
    (0..5).for_each(|_| assert_eq!(pair.fronts[0].ask("big", "hi").unwrap().status, 200));
    let second = pair.fronts[1].serve();
    stands(&pair.fronts[1], "connected");
    pair.spend_all();
    stop([first, second]);
    assert_eq!(pair.admitted(), BUDGET, "killed ones are charged, and no more than there was");
}

#[test]
fn a_server_that_goes_comes_back_empty_and_is_emptied_gives_nothing_out_twice() {
    needs_server!();
    let mut pair = Pair::new(BUDGET);
    let serving = pair.serve();
    let ask = |pair: &Pair| pair.fronts.iter().for_each(|front| drop(front.ask("big", "hi")));
    (0..5).for_each(|_| ask(&pair));
    pair.server.kill();
    pair.fronts.iter().for_each(|front| stands(front, "away"));
    for front in &pair.fronts {
        let refused = front.ask("big", "hi").unwrap();
        assert!(refused.status == 503 && refused.body.contains("E0933"), "{}", refused.body);
    }
    pair.server.start_again();
    pair.fronts.iter().for_each(|front| stands(front, "connected"));
    (0..5).for_each(|_| ask(&pair));
    assert_eq!(pair.server.command(&["FLUSHALL"]), "+OK\r\n");
    pair.spend_all();
    stop(serving);
    assert_eq!(pair.admitted(), BUDGET);
}
