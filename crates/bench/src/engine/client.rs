//! One streamed completion, with the times that matter.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Unix(PathBuf),
    Loopback(u16),
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) connector: Connector,
    pub(crate) address: Address,
}

/// When the first and the last token came, and how many there were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) answer: u32,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    async fn dial(&self) -> anyhow::Result<Box<dyn Stream>> {
        Ok(match &self.address {
            Address::Unix(path) => Box::new(self.connector.unix(path).await?),
            Address::Loopback(port) => {
                let stream = self.connector.tcp("127.0.0.1", *port).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }

    /// Whether `path` answers with success.
    pub(crate) async fn is_ready(&self, path: &str) -> bool {
        let Ok(stream) = self.dial().await else { return false };
        let Ok((mut sender, connection)) = http1::handshake(TokioIo::new(stream)).await else { return false };
        let request = Request::get(path).header("host", "bench").body(Full::new(Bytes::new()));
        let Ok(request) = request else { return false };
        tokio::select! {
            response = sender.send_request(request) => response.is_ok_and(|response| response.status().is_success()),
            _ = connection => false,
        }
    }

    /// Sends a completion and reads its stream to the end.
    pub(crate) async fn stream(self, body: serde_json::Value, clock: &Clock) -> anyhow::Result<Timing> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.dial().await?)).await?;
        let request = Request::post("/v1/completions")
            .header("host", "bench")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))?;
        let answer = async {
            let mut response = sender.send_request(request).await?;
            let status = response.status();
            let (mut first, mut last, mut text) = (None, Duration::ZERO, Vec::new());
            while let Some(frame) = response.body_mut().frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                last = clock.monotonic();
                first.get_or_insert(last);
                text.extend_from_slice(&data);
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            if !status.is_success() {
                bail!("expected an answer, found {status}: {}", text.chars().take(400).collect::<String>());
            }
            let first = first.context("an empty answer")?;
            Ok(Timing { first, last, answer: answered(&text)? })
        };
        let mut answer = std::pin::pin!(answer);
        // A server that closes after its answer ends the connection in the same moment: the answer counts.
        tokio::select! {
            biased;
            timing = &mut answer => timing,
            ended = connection => {
                ended?;
                answer.await
            }
        }
    }
}

/// The count in the last event that has one.
fn answered(text: &str) -> anyhow::Result<u32> {
    let counts = text.lines().rev().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        event.get("usage")?.get("completion_tokens")?.as_u64()
    });
    let count = counts.into_iter().next().context("an answer without a token count")?;
    Ok(u32::try_from(count)?)
}
