//! Fetching an issuer's documents: one small GET over HTTP/1.1, through the connector and nowhere else.

use hermetic_connector::{ConnectError, Connector};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;

/// For the whole of it. An issuer inside the enclave answers in milliseconds or is down.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("expected an `http` or `https` URL with a host, found something else")]
    Url,
    #[error("cannot connect")]
    Connect(#[source] ConnectError),
    #[error("expected `identity.trust_anchors` to say which certificates count, found none")]
    NoAnchors,
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the exchange broke off")]
    Http(#[source] hyper::Error),
    #[error("expected status 200, found {found}")]
    Status { found: StatusCode },
    #[error("expected a document of at most {cap} bytes, found more, or half of one")]
    Body { cap: usize },
    #[error("no document within {} s", TIMEOUT.as_secs())]
    Timeout,
}

/// The body at `url`. Redirects are not followed: where keys come from is configured, not answered.
pub(crate) async fn get(
    connector: &Connector,
    tls: Option<&Arc<ClientConfig>>,
    url: &Url,
    cap: usize,
) -> Result<Bytes, FetchError> {
    tokio::time::timeout(TIMEOUT, exchange(connector, tls, url, cap))
        .await
        .unwrap_or(Err(FetchError::Timeout))
}

async fn exchange(
    connector: &Connector,
    tls: Option<&Arc<ClientConfig>>,
    url: &Url,
    cap: usize,
) -> Result<Bytes, FetchError> {
    let host = url.host_str().ok_or(FetchError::Url)?;
    let port = url.port_or_known_default().ok_or(FetchError::Url)?;
    let stream = connector.tcp(host, port).await.map_err(FetchError::Connect)?;
    match url.scheme() {
        "http" => speak(TokioIo::new(stream), url, cap).await,
        "https" => {
            let config = tls.ok_or(FetchError::NoAnchors)?;
            let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare).map_err(|_| FetchError::Url)?;
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
            speak(TokioIo::new(stream.map_err(FetchError::Tls)?), url, cap).await
        }
        _ => Err(FetchError::Url),
    }
}

async fn speak<T>(io: T, url: &Url, cap: usize) -> Result<Bytes, FetchError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(io).await.map_err(FetchError::Http)?;
    // Ends with the set, which ends with this function.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an issuer ended");
        }
    });
    let authority = url.port().map_or_else(
        || url.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
    );
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::get(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url)?;
    let response = sender.send_request(request).await.map_err(FetchError::Http)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status { found: response.status() });
    }
    let body = Limited::new(response.into_body(), cap).collect().await;
    body.map(|collected| collected.to_bytes()).map_err(|error| {
        if !error.is::<LengthLimitError>() {
            tracing::debug!(%error, "an issuer's document broke off");
        }
        FetchError::Body { cap }
    })
}
