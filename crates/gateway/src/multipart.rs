//! Forms (`multipart/form-data`, RFC 7578), read part by part as they come in: a file is never held.
//!
//! Invariants: whatever is sent, at most one frame of the connection and [`UNTAKEN_MAX`] bytes are held beside what the
//! caller takes; a form that is cut off, too long or too slow ends in an error, never in a shorter file.

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyDataStream;
use multer::{Constraints, Multipart, SizeLimit};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Most bytes that may come in without ending up in a part: its headers, what stands before the first part. A few
/// hundred are usual; a head without an end would otherwise be gathered until memory is gone.
const UNTAKEN_MAX: usize = 64 << 10;

/// Most bytes of a part that is a text.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What is asked of whoever sends the form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormTerms {
    /// Most bytes of the whole form.
    pub(crate) bytes_max: u64,
    /// How long it may send nothing.
    pub(crate) patience: Duration,
}

/// Why a form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("expected `content-type: multipart/form-data` with a boundary, found {found}")]
    NotAForm { found: String },
    #[error("expected a form whose parts have a head and an end, found something else")]
    Malformed,
    #[error("expected a form of at most {cap} bytes, found more")]
    TooLarge { cap: u64 },
    #[error("expected a text of at most {TEXT_BYTES_MAX} bytes in the part `{part}`, found more, or no text")]
    Text { part: String },
    #[error("the form ended before it was complete")]
    BrokenOff,
    #[error("expected more of the form within {} s", .after.as_secs())]
    Silent { after: Duration },
}

/// A form that is coming in.
pub(crate) struct Form {
    parts: Multipart<'static>,
    terms: FormTerms,
    untaken: Arc<AtomicUsize>,
}

/// One part of it. It has to be taken, or dropped, before the next is asked for.
pub(crate) struct Part {
    field: multer::Field<'static>,
    terms: FormTerms,
    untaken: Arc<AtomicUsize>,
}

impl Form {
    pub(crate) fn of<B>(headers: &HeaderMap, body: B, terms: FormTerms) -> Result<Self, FormError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let said = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let found = || said.as_deref().map_or("no content-type", |said| said).chars().take(80).collect();
        let boundary = multer::parse_boundary(said.as_deref().unwrap_or_default())
            .map_err(|_| FormError::NotAForm { found: found() })?;
        let untaken = Arc::new(AtomicUsize::new(0));
        let frames = Frames { body: BodyDataStream::new(body), untaken: Arc::clone(&untaken), rests: false };
        let limit = SizeLimit::new().whole_stream(terms.bytes_max);
        let parts = Multipart::with_constraints(frames, boundary, Constraints::new().size_limit(limit));
        Ok(Self { parts, terms, untaken })
    }

    /// The next part, `None` at the end of the form.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, FormError> {
        let field = timely(self.terms, self.parts.next_field()).await?;
        self.untaken.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, terms: self.terms, untaken: Arc::clone(&self.untaken) }))
    }
}

impl Part {
    pub(crate) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// What its sender calls the file. Not a path to anything here.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The next bytes of it, `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        let chunk = timely(self.terms, self.field.chunk()).await?;
        self.untaken.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// All of it, as a text.
    pub(crate) async fn text(mut self) -> Result<String, FormError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > TEXT_BYTES_MAX {
                return Err(FormError::Text { part: self.name().to_owned() });
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| FormError::Text { part: self.name().to_owned() })
    }
}

async fn timely<T>(terms: FormTerms, step: impl Future<Output = multer::Result<T>>) -> Result<T, FormError> {
    match tokio::time::timeout(terms.patience, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(multer::Error::StreamSizeExceeded { limit })) => Err(FormError::TooLarge { cap: limit }),
        Ok(Err(multer::Error::StreamReadFailed(source))) if source.is::<Untaken>() => {
            Err(FormError::Malformed)
        }
        Ok(Err(
            multer::Error::StreamReadFailed(_)
            | multer::Error::IncompleteStream
            | multer::Error::IncompleteHeaders
            | multer::Error::IncompleteFieldData { .. },
        )) => Err(FormError::BrokenOff),
        Ok(Err(_)) => Err(FormError::Malformed),
        Err(_) => Err(FormError::Silent { after: terms.patience }),
    }
}

/// The frames of a body, one at a time: the reader of forms takes whatever is there before it looks at it.
struct Frames<B> {
    body: BodyDataStream<B>,
    untaken: Arc<AtomicUsize>,
    /// One was handed out, and it is looked at before the next is.
    rests: bool,
}

/// More came in than heads are long, and none of it belongs to a part.
#[derive(Debug, thiserror::Error)]
#[error("expected a part within {UNTAKEN_MAX} bytes")]
struct Untaken;

impl<B> futures_util::Stream for Frames<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_next(cx)) {
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(bytes)) => {
                this.rests = true;
                let untaken = this.untaken.fetch_add(bytes.len(), Ordering::Relaxed);
                // What was untaken before this frame counts: a frame alone may be long.
                if untaken > UNTAKEN_MAX { Some(Err(Untaken.into())) } else { Some(Ok(bytes)) }
            }
        })
    }
}

#[cfg(test)]
mod tests;
