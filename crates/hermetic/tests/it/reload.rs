//! Another configuration while the service runs: put in force as a whole, or refused as a whole.

use crate::front::Front;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;

fn stop(mut serving: Child) {
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
}

const PERMIT_NONE: &str = "@id(\"nobody\") forbid (principal, action, resource);";

#[test]
fn a_changed_file_is_put_in_force_while_requests_are_answered() {
    let front = Front::new();
    let serving = front.serve();
    assert_eq!(front.ask("other", "hi").unwrap().status, 404);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| front.ask("big", "hold"));
        let go = front.held();
        front.configure(", limits: { request_body_bytes: 1 KiB }, threads: 2", &front.model("other"));
        let said = front.run(&["reload"]).stdout;
        let said = String::from_utf8(said).unwrap();
        for line in [
            "changed        gateway.limits.request_body_bytes",
            "changed        models[other].endpoint",
            "needs restart  gateway.threads",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(front.ask("big", &"x".repeat(2_000)).unwrap().body.contains("E0804"));
        // The routes follow in a moment.
        while front.ask("other", "hi").unwrap().status != 200 {}
        go.send(()).unwrap();
        assert_eq!(asked.join().unwrap().unwrap().status, 200, "in flight while the configuration changed");
    });
    // Once more changes nothing, and says what still waits.
    let again = String::from_utf8(front.run(&["reload"]).stdout).unwrap();
    assert!(
        again.contains("in force already") && again.contains("needs restart  gateway.threads"),
        "{again}"
    );
    assert_eq!(front.metric("hermetic_config_restart_keys"), 1);
    // A model that is taken out is not served any more.
    front.configure("", "");
    front.run(&["reload"]);
    while front.ask("other", "hi").unwrap().status != 404 {}
    stop(serving);
    let changed = front.events_of("config.changed");
    assert_eq!(changed.len(), 2);
    assert_eq!(changed[0]["to"], changed[1]["from"]);
    assert_eq!(changed[0]["from"], changed[1]["to"], "the same file again");
    assert_eq!(changed[0]["restart_keys"], serde_json::json!(["gateway.threads"]));
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_is_told_in_full() {
    let front = Front::new();
    let serving = front.serve();
    let good = front.config("", "");
    // A model more, which would be fine, and two mistakes.
    let bad =
        front.config(", limits: { connections: none, request_body_byte: 1 KiB }", &front.model("other"));
    std::fs::write(front.path("hermetic.yaml"), &bad).unwrap();
    kill_process(Pid::from_child(&serving), Signal::HUP).unwrap();
    while front.metric("hermetic_config_reload_failed") != 1 {}
    assert_eq!(front.get("/readyz").unwrap().status, 200);
    assert_eq!(front.ask("big", "hi").unwrap().status, 200);
    assert_eq!(front.ask("other", "hi").unwrap().status, 404);
    let log = front.log();
    assert!(
        log.contains("gateway.limits.connections") && log.contains("gateway.limits.request_body_byte"),
        "{log}"
    );
    let told = front.try_run(&["reload"]);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.contains("gateway.limits.connections") && told.contains("gateway.limits.request_body_byte"),
        "{told}"
    );
    // The former file again: nothing is wrong any more.
    std::fs::write(front.path("hermetic.yaml"), &good).unwrap();
    front.run(&["reload"]);
    assert_eq!(front.metric("hermetic_config_reload_failed"), 0);
    stop(serving);
    assert!(front.events_of("config.changed").is_empty());
    let rejected = front.events_of("config.rejected");
    assert_eq!(rejected.len(), 1);
    assert_ne!(rejected[0]["in_force"], rejected[0]["rejected"]);
}

#[test]
fn policies_that_do_not_load_keep_the_former_and_good_ones_replace_them() {
    let front = Front::new();
    let serving = front.serve();
    front.write_policy(
        "@id(\"broken\") permit (principal, action, resource) when { resource.nmae == \"x\" };",
    );
    let refused = front.try_run(&["reload"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("E1016") && said.contains("former stays in force"),
        "{said}"
    );
    assert_eq!(front.ask("big", "hi").unwrap().status, 200);
    front.write_policy(PERMIT_NONE);
    front.run(&["reload"]);
    assert_eq!(front.ask("big", "hi").unwrap().status, 403);
    stop(serving);
    assert_eq!(front.events_of("config.rejected").len(), 1);
    // The folder is followed as well: whoever looks first puts the change on record, once.
    let changes = front.events_of("config.changed").len() + front.events_of("policy.changed").len();
    assert_eq!(changes, 1);
}

#[test]
fn a_file_that_is_replaced_is_found_without_being_asked() {
    let front = Front::new();
    let serving = front.serve();
    front.configure("", &front.model("other"));
    while front.ask("other", "hi").unwrap().status != 200 {}
    stop(serving);
    assert_eq!(front.events_of("config.changed").len(), 1);
}

#[test]
fn a_reload_of_a_service_that_does_not_run_says_so() {
    let front = Front::new();
    let told = front.try_run(&["reload"]);
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(!told.status.success() && said.contains("E1014"), "{said}");
}

#[test]
fn a_diff_says_what_a_reload_would_change_and_what_waits_for_a_restart() {
    let front = Front::new();
    let other = front.config(", limits: { connections: 7 }", "").replace("test.example", "other.example");
    std::fs::write(front.path("other.yaml"), other).unwrap();
    let said = String::from_utf8(front.run(&["config", "diff", &front.path("other.yaml")]).stdout).unwrap();
    assert_eq!(
        said,
        "reload   gateway.limits.connections: 4096 -> 7\nrestart  ledger.origin: test.example/ledger -> other.example/ledger\n"
    );
}
