//! Asking a worker whether it is ready, over the only door a socket leaves through.

use hermetic_connector::Connector;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::path::Path;

/// One `GET /internal/status`. Any failure is "not yet": what matters is the time it takes in all.
pub(super) async fn is_ready(connector: &Connector, socket: &Path) -> bool {
    let Ok(stream) = connector.unix(socket).await else { return false };
    let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await
    else {
        return false;
    };
    let request = Request::get("/internal/status").header(header::HOST, "worker").body(Empty::<Bytes>::new());
    let Ok(request) = request else { return false };
    tokio::select! {
        response = sender.send_request(request) => response.is_ok_and(|response| response.status() == StatusCode::OK),
        _ = connection => false,
    }
}
