//! HTTP/1.1 from the client's side, as little of it as measuring takes: one request at a time on one connection, bytes
//! that were laid out before, and answers that are framed but not understood.
//!
//! It is written out here because the load shares a core with the engine: what the client costs is taken from what the
//! proxy can be given. A client library that builds requests and header maps costs several times as much.

use crate::moment::now_ns;
use hermetic_connector::Connector;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Takes the body of an answer piece by piece. `false`: hang up.
pub(crate) trait Sink {
    fn data(&mut self, bytes: &[u8], at_ns: u64) -> bool;
}

/// Why there was no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection ended, or never came about.
    Closed,
    /// Not HTTP.
    Garbled,
    /// The sink had enough.
    HungUp,
}

/// An answer that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The connection can carry another request.
    pub(crate) reusable: bool,
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    held: Vec<u8>,
    /// What of `held` was used.
    used: usize,
    /// When the newest bytes came.
    at_ns: u64,
}

impl Wire {
    pub(crate) async fn dial(connector: &Connector, port: u16) -> Result<Self, Broken> {
        let stream = connector.tcp("127.0.0.1", port).await.map_err(|_| Broken::Closed)?;
        Ok(Self { stream, held: Vec::with_capacity(16 << 10), used: 0, at_ns: now_ns() })
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(request).await.map_err(|_| Broken::Closed)
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Answered, Broken> {
        self.send(request).await?;
        let (mut answered, framing) = self.head().await?;
        match framing {
            Framing::Length(length) => self.fixed(length, sink).await?,
            Framing::Chunked => self.chunked(sink).await?,
            Framing::UntilClose => {
                answered.reusable = false;
                while self.fixed(1, sink).await.is_ok() {}
            }
        }
        Ok(answered)
    }

    fn rest(&self) -> &[u8] {
        self.held.get(self.used..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        if self.used >= self.held.len() {
            self.held.clear();
            self.used = 0;
        }
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        if self.used > 0 {
            self.held.drain(..self.used);
            self.used = 0;
        }
        let read = self.stream.read_buf(&mut self.held).await.map_err(|_| Broken::Closed)?;
        self.at_ns = now_ns();
        if read == 0 { Err(Broken::Closed) } else { Ok(()) }
    }

    async fn head(&mut self) -> Result<(Answered, Framing), Broken> {
        loop {
            if let Some(end) = memmem::find(self.rest(), b"\r\n\r\n") {
                let read = read_head(self.rest().get(..end).unwrap_or_default()).ok_or(Broken::Garbled);
                self.advance(end + 4);
                return read;
            }
            if self.rest().len() > HEAD_BYTES_MAX {
                return Err(Broken::Garbled);
            }
            self.fill().await?;
        }
    }

    async fn fixed(&mut self, mut length: u64, sink: &mut impl Sink) -> Result<(), Broken> {
        while length > 0 {
            if self.rest().is_empty() {
                self.fill().await?;
            }
            let take = self.rest().len().min(usize::try_from(length).unwrap_or(usize::MAX));
            let go_on = sink.data(self.rest().get(..take).unwrap_or_default(), self.at_ns);
            self.advance(take);
            length -= take as u64;
            if !go_on {
                return Err(Broken::HungUp);
            }
        }
        Ok(())
    }

    async fn chunked(&mut self, sink: &mut impl Sink) -> Result<(), Broken> {
        loop {
            let length = self.line().await?;
            let Some(length) = length else { return Err(Broken::Garbled) };
            if length == 0 {
                // No trailers are expected: the empty line follows at once.
                return self.line_end().await;
            }
            self.fixed(length, sink).await?;
            self.line_end().await?;
        }
    }

    /// The size line of a chunk.
    async fn line(&mut self) -> Result<Option<u64>, Broken> {
        loop {
            if let Some(end) = memmem::find(self.rest(), b"\r\n") {
                let text = self.rest().get(..end).unwrap_or_default();
                let digits = text.split(|&b| b == b';').next().unwrap_or_default();
                let length =
                    std::str::from_utf8(digits).ok().and_then(|d| u64::from_str_radix(d.trim(), 16).ok());
                self.advance(end + 2);
                return Ok(length);
            }
            self.fill().await?;
        }
    }

    async fn line_end(&mut self) -> Result<(), Broken> {
        while self.rest().len() < 2 {
            self.fill().await?;
        }
        let ends = self.rest().starts_with(b"\r\n");
        self.advance(2);
        if ends { Ok(()) } else { Err(Broken::Garbled) }
    }
}

fn read_head(head: &[u8]) -> Option<(Answered, Framing)> {
    let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    let status_line = lines.next()?.strip_prefix(b"HTTP/1.1 ")?;
    let status = std::str::from_utf8(status_line.get(..3)?).ok()?.parse().ok()?;
    let (mut framing, mut reusable) = (Framing::UntilClose, true);
    for line in lines {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            framing = Framing::Length(std::str::from_utf8(value).ok()?.parse().ok()?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            reusable = !value.eq_ignore_ascii_case(b"close");
        }
    }
    Some((Answered { status, reusable }, framing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermetic_connector::AllowList;

    struct Text(String);

    impl Sink for Text {
        fn data(&mut self, bytes: &[u8], _: u64) -> bool {
            self.0.push_str(&String::from_utf8_lossy(bytes));
            true
        }
    }

    /// Plays `answers` back, a write for each, to whoever connects, and then closes.
    async fn asked(answers: &'static [&'static [u8]]) -> (Result<Answered, Broken>, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Read first: closing with something unread resets the connection, and what was sent is lost.
            assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
            for piece in answers {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let ask = async {
            let connector = Connector::new(AllowList::loopback());
            let mut wire = Wire::dial(&connector, port).await.unwrap();
            let mut text = Text(String::new());
            (wire.exchange(b"GET / HTTP/1.1\r\n\r\n", &mut text).await, text.0)
        };
        tokio::join!(ask, serve).0
    }

    #[tokio::test]
    async fn answers_are_read_whole_however_they_are_framed_and_cut() {
        let ok = |reusable| Ok(Answered { status: 200, reusable });
        let (answered, text) = asked(&[b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nhel", b"lo"]).await;
        assert_eq!((answered, text.as_str()), (ok(true), "hello"));
        let chunked: &[&[u8]] = &[
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel",
            b"\r\n2;x\r\nlo\r\n0\r",
            b"\n\r\n",
        ];
        let (answered, text) = asked(Box::leak(Box::new(chunked))).await;
        assert_eq!((answered, text.as_str()), (ok(true), "hello"));
        let (answered, text) = asked(&[b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"]).await;
        assert_eq!((answered, text.as_str()), (ok(false), "hello"));
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        let (answered, _) = asked(&[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]).await;
        assert_eq!(answered, Err(Broken::Closed));
        let (answered, _) = asked(&[b"SSH-2.0-x\r\n\r\n"]).await;
        assert_eq!(answered, Err(Broken::Garbled));
    }
}
