//! A file goes out: opened piece by piece, as fast as it is taken.

use crate::batches::refusal::BatchRefusal;
use crate::batches::run::blocking;
use crate::batches::store::Batches;
use crate::body::{AnswerBody, EventSender, events};
use crate::context::Thread;
use bytes::Bytes;
use hermetic_content_store::SealedReader;
use hermetic_metadata::FileRow;
use http::{HeaderValue, Response, header};

/// What is handed on at once: a slow client holds some of these, not whole pieces.
const CHUNK_BYTES: usize = 16 << 10;

pub(crate) async fn download(
    thread: &Thread,
    batches: &Batches,
    file: &FileRow,
) -> Result<Response<AnswerBody>, BatchRefusal> {
    let (opened, id) = (batches.clone(), file.id);
    let reader = blocking(move || Ok(opened.read(id)?)).await?;
    let (sender, body) = events(thread.shared.memory.clone());
    let cut = thread.shared.cut.clone();
    thread.tasks.spawn_local(async move {
        tokio::select! {
            () = hand_out(reader, &sender) => {}
            () = cut.cancelled() => {}
        }
    });
    let mut response = Response::new(AnswerBody::Stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // Whoever is given less knows that something is missing.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.bytes));
    Ok(response)
}

async fn hand_out(mut reader: SealedReader, sender: &EventSender) {
    loop {
        let read = blocking(move || {
            let piece = reader.piece()?;
            Ok((reader, piece))
        })
        .await;
        let mut piece = match read {
            Ok((_, None)) => return,
            Ok((back, Some(piece))) => {
                reader = back;
                Bytes::from(piece)
            }
            Err(error) => {
                let causes = hermetic_diagnostics::chain(&error).join(": ");
                tracing::error!(causes, "a file cannot be read to its end");
                return;
            }
        };
        while !piece.is_empty() {
            let chunk = piece.split_to(CHUNK_BYTES.min(piece.len()));
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    }
}
