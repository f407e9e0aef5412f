//! A client's connection, with two things HTTP has no word for.
//!
//! **A client must take what it is sent.** One that asks for an answer and then reads nothing of it would hold the answer
//! for ever. Each wait for it to take more is bounded; what it takes starts the wait anew.
//!
//! **A client that is still sending must be able to read why it was refused.** A close with unread bytes in the socket is a
//! reset, and a reset destroys the answer on its way: a refused upload would see a broken connection instead of the 413.
//! So the writing half is closed first, which tells the client that this was all, and what it still sends is read and
//! thrown away, for a bounded time and number of bytes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Thrown away at a time.
const PIECE: usize = 4 << 10;

/// How patient a connection is with its client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a client that takes nothing.
    pub(crate) stall: Duration,
    /// For the rest of what a refused client sends.
    pub(crate) linger: Duration,
    pub(crate) linger_bytes: usize,
}

/// Whether more may be on its way than was read as requests. Set by what arrives, cleared by whoever has read a request
/// to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread(Rc<Cell<bool>>);

impl Unread {
    /// Of a connection whose request nobody will read.
    pub(crate) fn waiting() -> Self {
        Self(Rc::new(Cell::new(true)))
    }

    pub(crate) fn clear(&self) {
        self.0.set(false);
    }
}

/// Wraps a connection. Reads, and writes that go through at once, cost nothing more.
#[derive(Debug)]
pub(crate) struct ClientIo<T> {
    io: T,
    patience: Patience,
    unread: Unread,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    NotYet,
    /// The writing half is closed; so many bytes may still be thrown away.
    Lingering {
        left: usize,
        until: Pin<Box<Sleep>>,
    },
    Done,
}

impl<T> ClientIo<T> {
    pub(crate) fn new(io: T, patience: Patience, unread: Unread) -> Self {
        Self { io, patience, unread, stalled: None, closing: Closing::NotYet }
    }

    fn judge<R>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }
}

impl<T: AsyncRead + Unpin> ClientIo<T> {
    /// Reads and throws away until the client has closed its half too, or enough was thrown away.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { left, until } = &mut self.closing else { return Poll::Ready(()) };
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut piece = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut piece);
            let read =
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece)).map(|()| piece.filled().len());
            match read {
                Ok(read) if read > 0 && *left > read => *left -= read,
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ClientIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.unread.0.set(true);
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::NotYet) {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.judge(cx, shut))?;
            self.closing = if self.unread.0.get() {
                let until = Box::pin(tokio::time::sleep(self.patience.linger));
                Closing::Lingering { left: self.patience.linger_bytes, until }
            } else {
                Closing::Done
            };
        }
        ready!(self.poll_linger(cx));
        self.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const FAR: Duration = Duration::from_secs(3_600);
    const SOON: Duration = Duration::from_millis(20);

    fn patience(stall: Duration, linger: Duration, linger_bytes: usize) -> Patience {
        Patience { stall, linger, linger_bytes }
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_ends_the_connection() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let mut io = ClientIo::new(ours, patience(SOON, FAR, 0), Unread::default());
        io.write_all(b"0123456789").await.unwrap();
        assert_eq!(io.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // What it takes starts the wait anew.
        theirs.read_exact(&mut [0; 10]).await.unwrap();
        io.write_all(b"more").await.unwrap();
    }

    #[tokio::test]
    async fn what_a_refused_client_still_sends_is_thrown_away_until_it_closes() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut io = ClientIo::new(ours, patience(FAR, FAR, 1 << 20), Unread::default());
        theirs.write_all(b"POST").await.unwrap();
        io.read_exact(&mut [0; 4]).await.unwrap();
        io.write_all(b"413").await.unwrap();
        let client = async {
            theirs.write_all(&[b'x'; 10_000]).await.unwrap();
            theirs.shutdown().await.unwrap();
            let mut said = Vec::new();
            theirs.read_to_end(&mut said).await.unwrap();
            said
        };
        let (closed, said) = tokio::join!(io.shutdown(), client);
        closed.unwrap();
        assert_eq!(said, b"413");
    }

    #[tokio::test]
    async fn throwing_away_ends_by_bytes_and_by_time() {
        for (linger, bytes) in [(FAR, 100), (SOON, 1 << 30)] {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let mut io = ClientIo::new(ours, patience(FAR, linger, bytes), Unread::default());
            theirs.write_all(b"x").await.unwrap();
            io.read_exact(&mut [0; 1]).await.unwrap();
            let sending = async {
                // Never closes its half.
                while theirs.write_all(&[b'x'; 50]).await.is_ok() {}
            };
            tokio::select! {
                closed = io.shutdown() => closed.unwrap(),
                () = sending => panic!("nothing reads any more, so writing waits"),
            }
        }
    }

    #[tokio::test]
    async fn a_connection_with_nothing_unread_closes_at_once() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let unread = Unread::default();
        let mut io = ClientIo::new(ours, patience(FAR, FAR, 1 << 20), unread.clone());
        theirs.write_all(b"GET").await.unwrap();
        io.read_exact(&mut [0; 3]).await.unwrap();
        unread.clear();
        io.shutdown().await.unwrap();
    }
}
