//! A real issuer (npm `oidc-provider`), started and ended.

use hermetic_connector::{AllowList, Connector};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) struct Issuer {
    process: Child,
    pub(crate) name: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oidc")
}

/// Whether Node and the issuer are installed; says so when they are not.
pub(crate) fn is_installed() -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    let installed =
        node.is_ok_and(|status| status.success()) && folder().join("node_modules/oidc-provider").is_dir();
    if !installed {
        eprintln!("skipped: Node or npm's oidc-provider is not installed (scripts/requirements.sh --all)");
    }
    installed
}

impl Issuer {
    /// Starts it with keys of its own; port 0 picks a free one.
    pub(crate) fn start(port: u16) -> Self {
        let mut process = Command::new("node")
            .arg(folder().join("issuer.mjs"))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { process, name: said["issuer"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.name.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A token for an audience, by client credentials. `client`: `triage` signs with RS256, `triage-es` with ES256.
    pub(crate) async fn token(&self, client: &str, audience: &str) -> String {
        let body = format!(
            "grant_type=client_credentials&resource={audience}&client_id={client}&client_secret=not-a-secret"
        );
        let head = "POST /token HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
        let answer = self.ask(head, &body).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Its answer to a request, as JSON.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> Value {
        let mut stream = Connector::new(AllowList::loopback()).tcp("127.0.0.1", self.port()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head}host: 127.0.0.1:{}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}",
            self.port()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|_| panic!("{answer}"))
    }

    fn end(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends it, and its port is free.
impl Drop for Issuer {
    fn drop(&mut self) {
        self.end();
    }
}
