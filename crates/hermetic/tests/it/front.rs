//! A served enclave without models of its own: one endpoint, played by this process.

use crate::client::{self, Answer};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use tempfile::TempDir;

pub(crate) struct Front {
    folder: TempDir,
    pub(crate) port: u16,
    pub(crate) key: String,
    engine: u16,
    /// Requests whose body holds `hold`, each with what lets it be answered.
    held: Mutex<Receiver<Sender<()>>>,
}

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":7,"model":"big","choices":[{"index":0,"message":{"role":"assistant","content":"y","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// Answers every request of one connection.
fn play(stream: TcpStream, held: &Sender<Sender<()>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        if body.windows(4).any(|four| four == b"hold") {
            let (go, goes) = channel();
            held.send(go).ok()?;
            goes.recv().ok()?;
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            ANSWER.len()
        );
        stream.write_all((head + ANSWER).as_bytes()).ok()?;
    }
}

fn engine() -> (u16, Receiver<Sender<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, held) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, sender) = (stream.unwrap(), sender.clone());
            std::thread::spawn(move || play(stream, &sender));
        }
    });
    (port, held)
}

impl Front {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (engine, held) = engine();
        let mut front = Self { folder, port, key: String::new(), engine, held: Mutex::new(held) };
        std::fs::create_dir(front.path("policy")).unwrap();
        front.write_policy(
            "@id(\"all-may-infer\") permit (principal, action in Action::\"infer\", resource);",
        );
        front.configure("", "");
        let made = front.run(&[
            "--json",
            "api-key",
            "create",
            "--subject",
            "tester",
            "--project",
            "demo",
            "--team",
            "t",
            "--workflow",
            "w",
        ]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        front.key = made["key"].as_str().unwrap().to_owned();
        front
    }

    /// The next request the engine holds: what lets it be answered.
    pub(crate) fn held(&self) -> Sender<()> {
        self.held.lock().unwrap().recv().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write_policy(&self, text: &str) {
        std::fs::write(self.path("policy/all.cedar"), text).unwrap();
    }

    /// Writes the configuration: more of `gateway`, and more besides.
    pub(crate) fn configure(&self, gateway: &str, more: &str) {
        std::fs::write(self.path("hermetic.yaml"), self.config(gateway, more)).unwrap();
    }

    pub(crate) fn config(&self, gateway: &str, more: &str) -> String {
        format!(
            "state_dir: state\npolicy: {{ dir: policy }}\ngateway: {{ listen: \"127.0.0.1:{}\"{gateway} }}\n\
            models:\n  - {{ name: big, endpoint: \"http://127.0.0.1:{}/v1\" }}\n{more}ledger: {{ origin: test.example/ledger }}\n",
            self.port, self.engine
        )
    }

    /// Another model, for [`Front::configure`].
    pub(crate) fn model(&self, name: &str) -> String {
        format!("  - {{ name: {name}, endpoint: \"http://127.0.0.1:{}/v1\" }}\n", self.engine)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermetic"));
        command.arg("--config").arg(self.path("hermetic.yaml"));
        command
    }

    pub(crate) fn try_run(&self, words: &[&str]) -> Output {
        self.command().args(words).output().unwrap()
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let done = self.try_run(words);
        assert!(done.status.success(), "{words:?} failed: {}", String::from_utf8_lossy(&done.stderr));
        done
    }

    pub(crate) fn serve(&self) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let mut serving = self.command().arg("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        while self.get("/readyz").is_none_or(|answer| answer.status != 200) {
            assert!(serving.try_wait().unwrap().is_none(), "serve ended: {}", self.log());
            std::thread::yield_now();
        }
        serving
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("serve.log")).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Answer> {
        client::send(self.port, &format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {}\r\n", self.key), "")
    }

    pub(crate) fn metric(&self, name: &str) -> i64 {
        let text = self.get("/metrics").unwrap().body;
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn head(&self) -> String {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            self.key
        )
    }

    /// Asks `model`; with `hold` in the text the engine holds the request.
    pub(crate) fn ask(&self, model: &str, text: &str) -> Option<Answer> {
        let body =
            format!("{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
        client::send(self.port, &self.head(), &body)
    }

    /// Every record of the ledger, by kind.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.run(&["--json", "audit", "tail", "--limit", "1000000"]).stdout;
        let records = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        records.map(|record| record.unwrap()["record"]["event"].clone()).collect()
    }

    pub(crate) fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["kind"] == kind).collect()
    }
}
