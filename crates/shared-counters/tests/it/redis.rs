//! A real server of its own for a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// `redis-server` or `valkey-server`, whichever is there.
pub(crate) fn program() -> Option<&'static str> {
    ["redis-server", "valkey-server"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok())
}

/// The test is left out, and says so, where neither is installed.
macro_rules! needs_server {
    () => {
        if crate::redis::program().is_none() {
            println!(
                "skipped: neither redis-server nor valkey-server is installed (scripts/requirements.sh --all)"
            );
            return;
        }
    };
}
pub(crate) use needs_server;

pub(crate) struct Server {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Child,
    arguments: Vec<String>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = launch(port, &folder, &arguments);
        Self { port, folder, child, arguments }
    }

    /// As when the machine under it dies: nothing is saved.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.child = launch(self.port, &self.folder, &self.arguments);
    }

    /// One command, and the beginning of what came back.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut out = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| out.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        stream.write_all(out.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(port: u16, folder: &tempfile::TempDir, arguments: &[String]) -> Child {
    let port = port.to_string();
    let mut child = Command::new(program().unwrap())
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("eady to accept connections")), "the server did not start");
    // Whoever closes the pipe ends the server with its next line.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
