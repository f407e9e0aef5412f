//! A whole body, within a cap. One that came in one piece, as most do, is not copied.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;

/// Why a body did not come in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CollectError {
    BrokenOff,
    TooLarge { cap: usize },
    Silent { after: Duration },
}

/// Reads to the end. `patience` is how long the other side may be silent between two pieces.
pub(crate) async fn collect(
    body: &mut Incoming,
    cap: usize,
    patience: Duration,
) -> Result<Bytes, CollectError> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(patience, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(CollectError::BrokenOff),
            Ok(None) => return Ok(if joined.is_empty() { first } else { joined.freeze() }),
            Err(_) => return Err(CollectError::Silent { after: patience }),
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > cap {
            return Err(CollectError::TooLarge { cap });
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(cap);
            joined.reserve(first.len() + data.len() + expected);
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
}
