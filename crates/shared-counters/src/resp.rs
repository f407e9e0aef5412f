//! RESP 2, the protocol of Redis and Valkey: as much of it as running scripts takes.

use crate::error::StoreError;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest line of an answer: an error message is the longest.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Longest single text: `INFO` is a few kilobytes.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Most items of one list.
const ITEMS_MAX: usize = 1 << 20;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Self>),
    Nothing,
    Error(String),
}

impl Reply {
    pub(crate) fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { std::str::from_utf8(text).ok() } else { None }
    }

    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// What it is, for an error: never what it says, which may be anything.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::List(_) => "a list",
            Self::Nothing => "nothing",
            Self::Error(_) => "an error",
        }
    }
}

/// Appends one command.
pub(crate) fn write_command<'a>(out: &mut Vec<u8>, parts: impl ExactSizeIterator<Item = &'a [u8]>) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

fn strange(found: impl Into<String>) -> StoreError {
    StoreError::Protocol { found: found.into() }
}

/// Reads one answer. Lists may hold texts and numbers, not lists: no script answers with more.
pub(crate) async fn read_reply(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Reply, StoreError> {
    match read_item(from).await? {
        Item::Whole(reply) => Ok(reply),
        Item::List(length) => {
            let mut items = Vec::with_capacity(length.min(64));
            for _ in 0..length {
                match read_item(from).await? {
                    Item::Whole(reply) => items.push(reply),
                    Item::List(_) => return Err(strange("a list inside a list")),
                }
            }
            Ok(Reply::List(items))
        }
    }
}

enum Item {
    Whole(Reply),
    List(usize),
}

async fn read_item(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Item, StoreError> {
    let line = read_line(from).await?;
    let Some((kind, rest)) = line.split_first() else { return Err(strange("an empty line")) };
    let text = || String::from_utf8_lossy(rest).into_owned();
    let number = || text().parse::<i64>().map_err(|_| strange("a number that is none"));
    let length = |most: usize| match number()? {
        -1 => Ok(None),
        found => match usize::try_from(found) {
            Ok(found) if found <= most => Ok(Some(found)),
            _ => Err(strange(format!("a length of {found}"))),
        },
    };
    let reply = match kind {
        b'+' => Reply::Text(rest.to_vec()),
        b'-' => Reply::Error(text()),
        b':' => Reply::Number(number()?),
        b'$' => match length(TEXT_BYTES_MAX)? {
            None => Reply::Nothing,
            Some(length) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes).await.map_err(StoreError::Broken)?;
                bytes.truncate(length);
                Reply::Text(bytes)
            }
        },
        b'*' => match length(ITEMS_MAX)? {
            None => Reply::Nothing,
            Some(length) => return Ok(Item::List(length)),
        },
        _ => return Err(strange("a line that is none of the protocol's")),
    };
    Ok(Item::Whole(reply))
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, StoreError> {
    let mut line = Vec::new();
    let mut capped = from.take(LINE_BYTES_MAX as u64);
    let read = capped.read_until(b'\n', &mut line).await.map_err(StoreError::Broken)?;
    if read == 0 {
        return Err(StoreError::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    if !line.ends_with(b"\r\n") {
        return Err(strange("a line without an end"));
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Reply, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read_reply(&mut &bytes[..]))
    }

    #[test]
    fn every_kind_of_answer_is_read() {
        assert_eq!(read(b"+OK\r\n").unwrap(), Reply::Text(b"OK".to_vec()));
        assert_eq!(read(b":-3\r\n").unwrap(), Reply::Number(-3));
        assert_eq!(read(b"-NOSCRIPT x\r\n").unwrap(), Reply::Error("NOSCRIPT x".to_owned()));
        assert_eq!(read(b"$4\r\na\r\nb\r\n").unwrap(), Reply::Text(b"a\r\nb".to_vec()));
        assert_eq!(read(b"$-1\r\n").unwrap(), Reply::Nothing);
        let list = Reply::List(vec![Reply::Text(b"x".to_vec()), Reply::Number(7), Reply::Nothing]);
        assert_eq!(read(b"*3\r\n$1\r\nx\r\n:7\r\n$-1\r\n").unwrap(), list);
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        for bytes in [
            &b"HTTP/1.1 400\r\n"[..],
            b"$99999999999\r\n",
            b"*-7\r\n",
            b"*1\r\n*1\r\n:1\r\n",
            b":x\r\n",
            b"+a\n",
        ] {
            assert!(matches!(read(bytes), Err(StoreError::Protocol { .. })), "{bytes:?}");
        }
        assert!(matches!(read(b"$4\r\nab"), Err(StoreError::Broken(_))));
        assert!(matches!(read(b""), Err(StoreError::Broken(_))));
    }

    #[test]
    fn a_command_is_a_list_of_texts() {
        let mut out = Vec::new();
        write_command(&mut out, [&b"GET"[..], b"a b"].into_iter());
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}
