//! An enclave in a folder: keys, a signed bundle of the real chat model, imported, promoted, and served.

use crate::client::{self, Answer};
use crate::wheels;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) const MODEL: &str = "smollm2-135m-instruct";

pub(crate) struct Enclave {
    folder: TempDir,
    pub(crate) port: u16,
    key: String,
}

impl Enclave {
    /// Everything up to, and without, `hermetic serve`.
    pub(crate) fn prepared() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut enclave = Self { folder, port, key: String::new() };
        enclave.write_release("1", "2026.1.0", "model.gguf");
        enclave.configure();
        let (keys, bundle) = (enclave.path("keys"), enclave.path("bundle-1"));
        enclave.run(&["key", "ceremony", "--out", &keys]);
        enclave.build("1", None);
        enclave.run(&["trust", "pin", &format!("{keys}/root.json")]);
        enclave.run(&["bundle", "import", &bundle]);
        enclave.run(&["release", "stage", "2026.1.0"]);
        enclave.run(&["release", "promote", "2026.1.0"]);
        let key = enclave.json(&[
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
        enclave.key = key["key"].as_str().unwrap().to_owned();
        enclave
    }

    /// An enclave that serves no model of its own; `more` is added to its configuration.
    pub(crate) fn bare(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let enclave = Self { folder, port, key: String::new() };
        std::fs::create_dir(enclave.path("policy")).unwrap();
        let permit = "@id(\"demo\") permit (principal in Project::\"demo\", action, resource);";
        std::fs::write(enclave.path("policy/test.cedar"), permit).unwrap();
        let text = format!(
            "state_dir: state\ngateway: {{ listen: \"127.0.0.1:{port}\" }}\npolicy: {{ dir: policy }}\n\
            import: {{ engineer: Test Engineer }}\nledger: {{ origin: test.example/ledger }}\n{more}"
        );
        std::fs::write(enclave.path("hermetic.yaml"), text).unwrap();
        enclave
    }

    /// Writes `release-N.yaml` with the wheel's own pins; the model's file gets a name of the caller's choice, which is
    /// enough to make it another version.
    pub(crate) fn write_release(&self, number: &str, version: &str, file: &str) {
        let pinned = include_str!("../../../../demo/release.yaml");
        let (chat, _) = pinned.split_once("  - name: all-minilm").unwrap();
        let downloads = wheels::downloads().canonicalize().unwrap();
        let text = chat
            .replace("2026.11.1", version)
            .replace("smollm2-135m-instruct.q4_1.gguf", file)
            .replace("../.hermetic/downloads", downloads.to_str().unwrap());
        std::fs::write(self.path(&format!("release-{number}.yaml")), text).unwrap();
    }

    /// `hermetic bundle build` of `release-N.yaml` into `bundle-N`.
    pub(crate) fn build(&self, number: &str, previous: Option<&str>) {
        let (release, keys) = (self.path(&format!("release-{number}.yaml")), self.path("keys"));
        let out = self.path(&format!("bundle-{number}"));
        let previous = previous.map(|previous| self.path(previous));
        let mut words = vec!["bundle", "build", "--release", &release, "--keys", &keys, "--out", &out];
        if let Some(previous) = &previous {
            words.extend(["--previous", previous]);
        }
        self.run(&words);
    }

    fn configure(&self) {
        self.configure_models(&format!(
            "  - name: {MODEL}\n    engine: {{ context_tokens: 512, parallel: 4 }}\n"
        ));
    }

    /// Writes the configuration with these `models`.
    pub(crate) fn configure_models(&self, models: &str) {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let policy = workspace.join("demo/policy").canonicalize().unwrap();
        let text = format!(
            "tier: air-gapped\nstate_dir: state\nnetwork: {{ enclave: [] }}\n\
            gateway: {{ listen: \"127.0.0.1:{}\" }}\npolicy: {{ dir: {} }}\n\
            models:\n{models}\
            import: {{ engineer: Test Engineer }}\nledger: {{ origin: test.example/ledger }}\n",
            self.port,
            policy.display()
        );
        std::fs::write(self.path("hermetic.yaml"), text).unwrap();
    }

    /// A policy that does not look at digests: of a model with two versions at a time, policy is told none.
    pub(crate) fn permit_everything(&self) {
        let folder = self.path("policy");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(
            Path::new(&folder).join("all.cedar"),
            "@id(\"all\") permit (principal, action, resource);",
        )
        .unwrap();
        let text = std::fs::read_to_string(self.path("hermetic.yaml")).unwrap();
        let lines = text
            .lines()
            .map(|line| if line.starts_with("policy:") { "policy: { dir: policy }" } else { line });
        let text: Vec<&str> = lines.collect();
        std::fs::write(self.path("hermetic.yaml"), text.join("\n")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermetic"));
        command.arg("--config").arg(self.path("hermetic.yaml"));
        command
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let done = self.command().args(words).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{words:?} failed: {said}");
        String::from_utf8(done.stdout).unwrap()
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = std::iter::once("--json").chain(words.iter().copied()).collect();
        serde_json::from_str(&self.run(&words)).unwrap()
    }

    /// Every record of the ledger, signed for.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = self.run(&["--json", "audit", "tail", "--limit", "1000000"]);
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
    }

    /// Starts `hermetic serve` and returns it once the model answers.
    pub(crate) fn serve(&self) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let mut serving = self.command().arg("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        while !self.is_ready() {
            if let Some(status) = serving.try_wait().unwrap() {
                panic!(
                    "serve ended with {status}: {}",
                    std::fs::read_to_string(self.path("serve.log")).unwrap()
                );
            }
            std::thread::yield_now();
        }
        serving
    }

    pub(crate) fn is_ready(&self) -> bool {
        let answer = client::send(self.port, "GET /readyz HTTP/1.1\r\n", "");
        answer.is_some_and(|answer| answer.status == 200)
    }

    /// Asks for a few tokens; `None` when no whole answer arrived.
    pub(crate) fn ask(&self, stream: bool) -> Option<Answer> {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            self.key
        );
        let body = format!(
            "{{\"model\":\"{MODEL}\",\"max_tokens\":3,\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}"
        );
        client::send(self.port, &head, &body)
    }
}
