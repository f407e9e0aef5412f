//! The least HTTP client that can tell a whole answer from half of one.

use crate::exchange::Exchange;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An answer that arrived whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request: Option<String>,
    pub(crate) body: String,
}

/// Sends one request; `None` when the connection failed or the answer ended early.
pub(crate) fn send(port: u16, head: &str, sent: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = sent.len();
    let request =
        format!("{head}host: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{sent}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let status = line(&mut reader)?.split(' ').nth(1)?.parse().ok()?;
    let (mut request, mut declared, mut chunked) = (None, None, false);
    loop {
        let header = line(&mut reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "x-request-id" => request = Some(value.trim().to_owned()),
            "content-length" => declared = value.trim().parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    let body = if chunked { read_chunks(&mut reader)? } else { read_exactly(&mut reader, declared?)? };
    keep(head, sent, status, &body);
    Some(Answer { status, request, body: String::from_utf8(body).ok()? })
}

fn keep(head: &str, sent: &str, status: u16, told: &[u8]) {
    let mut words = head.split(' ').map(str::to_owned);
    if let (Some(method), Some(path)) = (words.next(), words.next()) {
        let request = String::new();
        drop(Exchange {
            scripted: false,
            request,
            method,
            path,
            sent: sent.into(),
            status,
            told: told.to_vec(),
        });
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.ends_with('\n').then(|| line.trim_end().to_owned())
}

fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// `None` unless the last, empty chunk arrived.
fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(reader)?, 16).ok()?;
        body.extend(read_exactly(reader, length)?);
        line(reader)?;
        if length == 0 {
            return Some(body);
        }
    }
}
