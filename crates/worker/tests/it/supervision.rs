use super::client::{options, post, ready, send, spec, until};
use hermetic_digest::Digest;
use hermetic_worker::{ModelKind, Supervisor, WorkerSpec, WorkerState};
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

fn kill(pid: Option<u32>) {
    kill_process(Pid::from_raw(pid.unwrap() as i32).unwrap(), Signal::KILL).unwrap();
}

fn is_running(pid: Option<u32>) -> bool {
    test_kill_process(Pid::from_raw(pid.unwrap() as i32).unwrap()).is_ok()
}

#[tokio::test]
async fn a_killed_worker_is_reported_restarted_and_answers_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = Supervisor::start(options(folder.path()), vec![spec(ModelKind::Embedding)]);
    let mut incidents = supervisor.take_incidents().unwrap();
    let first = ready(&supervisor, "demo-embedding").await;
    kill(first.pid);
    let incident = incidents.recv().await.unwrap();
    assert_eq!((incident.model.as_str(), incident.reason.as_str()), ("demo-embedding", "signal 9"));
    let second = until(&supervisor, |row| row.state == WorkerState::Ready && row.pid != first.pid).await;
    let (status, _) =
        post(&second.socket, "/v1/embeddings", &json!({"model": "m", "input": "still there"})).await;
    assert_eq!(status, 200);
    supervisor.shutdown().await;
    assert!(!is_running(second.pid), "shutdown leaves no process behind");
    assert!(!second.socket.exists());
}

#[tokio::test]
async fn a_stream_cut_by_a_crash_ends_in_an_error_not_in_done() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(options(folder.path()), vec![spec(ModelKind::Chat)]);
    let worker = ready(&supervisor, "demo-chat").await;
    let body = json!({"stream": true, "max_tokens": 900, "messages": [{"role": "user", "content": "Tell a long story."}]});
    let mut response = send(&worker.socket, "POST", "/v1/chat/completions", body.to_string()).await;
    response.body_mut().frame().await.unwrap().unwrap();
    kill(worker.pid);
    assert!(response.into_body().collect().await.is_err(), "a body that was cut must not look complete");
    supervisor.shutdown().await;
}

#[tokio::test]
async fn a_model_that_cannot_load_is_reported_and_retried_while_others_serve() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.gguf");
    std::fs::write(&broken, b"GGUF but not really").unwrap();
    let broken = WorkerSpec {
        model: "broken".into(),
        digest: Digest::of(b"broken"),
        weights: broken,
        ..spec(ModelKind::Chat)
    };
    let mut supervisor = Supervisor::start(options(folder.path()), vec![broken, spec(ModelKind::Embedding)]);
    let mut incidents = supervisor.take_incidents().unwrap();
    ready(&supervisor, "demo-embedding").await;
    let (first, second) = (incidents.recv().await.unwrap(), incidents.recv().await.unwrap());
    assert_eq!((first.model.as_str(), first.reason.as_str()), ("broken", "exit status 1"));
    assert!(second.restart_in_ms > first.restart_in_ms, "the pause grows");
    supervisor.shutdown().await;
}

#[tokio::test]
async fn a_new_version_is_ready_before_the_old_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let old = spec(ModelKind::Embedding);
    let supervisor = Supervisor::start(options(folder.path()), vec![old.clone()]);
    let before = ready(&supervisor, "demo-embedding").await;
    let new = WorkerSpec { digest: Digest::of(b"new"), ..old.clone() };
    let mut status = supervisor.status();
    supervisor.set(vec![new.clone()]);
    // At every moment of the change somebody is ready.
    loop {
        let rows = status.borrow_and_update().clone();
        let ready = rows.iter().any(|row| row.state == WorkerState::Ready);
        assert!(ready, "{rows:?}");
        if rows.len() == 1 && rows[0].digest == new.digest {
            break;
        }
        status.changed().await.unwrap();
    }
    assert!(!before.socket.exists());
    supervisor.shutdown().await;
}

#[tokio::test]
async fn workers_end_when_the_supervisor_is_dropped_with_its_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let pid = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let supervisor = Supervisor::start(options(&path), vec![spec(ModelKind::Embedding)]);
            ready(&supervisor, "demo-embedding").await
        });
        drop(runtime);
        status.pid
    })
    .await
    .unwrap();
    // Killed at the drop; gone as soon as the system has taken it down.
    while is_running(pid) && !is_zombie(pid) {
        tokio::task::yield_now().await;
    }
}

fn is_zombie(pid: Option<u32>) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.unwrap())).map_or(true, |stat| stat.contains(") Z "))
}
