//! A file comes in: sealed piece by piece as it does, on record before anybody sees it, and gone if anything fails.

use crate::batches::files::{json, object};
use crate::batches::refusal::BatchRefusal;
use crate::batches::run::{blocking, new_file};
use crate::batches::store::Batches;
use crate::body::AnswerBody;
use crate::commitment::{Running, Salt};
use crate::context::Thread;
use crate::multipart::{Form, FormTerms, Part};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::accept::draw_ids;
use hermetic_batches::EXPIRES_AFTER;
use hermetic_content_store::SealedWriter;
use hermetic_identity::Authenticated;
use hermetic_ids::{FileId, RequestId};
use hermetic_ledger::record::{Event, FileCreated, Record};
use hermetic_metadata::FileRow;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

/// What may stand around the file in its form.
const AROUND_BYTES: u64 = 64 << 10;

/// What is sealed as one piece, and so held of a file that comes in.
const PIECE_BYTES: usize = 256 << 10;

/// Longest name of a file.
const NAME_CHARS_MAX: usize = 255;

/// What the form said.
#[derive(Debug, Default)]
struct Said {
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
    file: Option<(String, u64)>,
}

pub(crate) async fn upload(
    thread: &Thread,
    (batches, who): (&Batches, &Authenticated),
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let (request_id, ..) = draw_ids(request.headers()).ok_or_else(|| RefusalKind::NoRandomness.unnamed())?;
    let file = new_file().map_err(|refusal| RefusalKind::Batch(refusal).of(request_id))?;
    let row = keep(thread, (batches, who), request, (request_id, file)).await;
    if row.is_err() {
        let batches = batches.clone();
        // Whatever was written of it; a start removes what cannot be removed now.
        drop(tokio::task::spawn_blocking(move || batches.discard(file)).await);
    }
    let row = row.map_err(|kind| kind.of(request_id))?;
    Ok(json(&object(&row)))
}

async fn keep(
    thread: &Thread,
    (batches, who): (&Batches, &Authenticated),
    request: Request<Incoming>,
    (request_id, file): (RequestId, FileId),
) -> Result<FileRow, RefusalKind> {
    let max = batches.options().file_bytes_max;
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > max.saturating_add(AROUND_BYTES) {
        return Err(RefusalKind::Batch(BatchRefusal::FileTooLarge { max }));
    }
    has_room(batches, who, 0).await.map_err(RefusalKind::Batch)?;
    let patience = thread.shared.options().body_timeout;
    let terms = FormTerms { bytes_max: max.saturating_add(AROUND_BYTES), patience };
    let mut content = thread.shared.commitments.start(request_id, Salt::Prompt);
    let said = read(batches, (&head.headers, body), terms, (file, &mut content)).await;
    let said = said.map_err(RefusalKind::Batch)?;
    let now = thread.shared.clock.unix_millis();
    let row = row(batches, who, (file, now), said).map_err(RefusalKind::Batch)?;
    let record = Record::new(
        now,
        Event::FileCreated(FileCreated {
            request: request_id,
            file,
            credential: who.credential().clone(),
            owner: who.owner().clone(),
            purpose: row.purpose.clone(),
            bytes: row.bytes,
            content: content.finish().0,
            expires_unix_ms: row.expires_unix_ms,
        }),
    );
    thread.shared.ledger.append(&record).await.map_err(RefusalKind::Ledger)?;
    let (batches, filed) = (batches.clone(), row.clone());
    let filing = blocking(move || {
        let _one_at_a_time = batches.filing();
        let held = batches.metadata().file_bytes(&filed.project)?;
        fits(&batches, held, filed.bytes)?;
        batches.place(filed.id)?;
        Ok(batches.metadata().insert_file(&filed)?)
    });
    filing.await.map_err(RefusalKind::Batch)?;
    Ok(row)
}

/// Reads the form; the file in it is sealed as it comes.
async fn read(
    batches: &Batches,
    (headers, body): (&http::HeaderMap, Incoming),
    terms: FormTerms,
    (file, content): (FileId, &mut Running),
) -> Result<Said, BatchRefusal> {
    let mut form = Form::of(headers, body, terms).map_err(BatchRefusal::Form)?;
    let mut said = Said::default();
    while let Some(part) = form.next().await.map_err(BatchRefusal::Form)? {
        let field = match part.name() {
            "file" if said.file.is_none() => {
                said.file = Some(seal(batches, file, part, content).await?);
                continue;
            }
            "purpose" => &mut said.purpose,
            "expires_after[anchor]" => &mut said.anchor,
            "expires_after[seconds]" => &mut said.seconds,
            name => {
                let found = format!("`{}`", name.chars().take(40).collect::<String>());
                let expected = "one `file`, a `purpose` and perhaps `expires_after`";
                return Err(BatchRefusal::Field { field: "file", expected, found });
            }
        };
        *field = Some(part.text().await.map_err(BatchRefusal::Form)?);
        check_purpose(&said)?;
    }
    Ok(said)
}

/// As soon as it is known: nobody sends hundreds of megabytes for nothing.
fn check_purpose(said: &Said) -> Result<(), BatchRefusal> {
    match said.purpose.as_deref() {
        None | Some("batch") => Ok(()),
        Some(other) => Err(BatchRefusal::Field {
            field: "purpose",
            expected: "`batch`, the one that is served here,",
            found: format!("`{}`", other.chars().take(40).collect::<String>()),
        }),
    }
}

/// Name and length of the file, whose contents are durable.
async fn seal(
    batches: &Batches,
    file: FileId,
    mut part: Part,
    content: &mut Running,
) -> Result<(String, u64), BatchRefusal> {
    let named = part.file_name().unwrap_or("file.jsonl");
    let name: String = named.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let max = batches.options().file_bytes_max;
    let begun = batches.clone();
    let mut writer = blocking(move || Ok(begun.create(file)?)).await?;
    let (mut bytes, mut buffer) = (0, Vec::with_capacity(PIECE_BYTES));
    while let Some(chunk) = part.chunk().await.map_err(BatchRefusal::Form)? {
        bytes += chunk.len() as u64;
        if bytes > max {
            return Err(BatchRefusal::FileTooLarge { max });
        }
        content.update(&chunk);
        buffer.extend_from_slice(&chunk);
        if buffer.len() >= PIECE_BYTES {
            (writer, buffer) = append(writer, buffer).await?;
        }
    }
    if !buffer.is_empty() {
        (writer, _) = append(writer, buffer).await?;
    }
    blocking(move || Ok(writer.finish()?)).await?;
    Ok((name, bytes))
}

async fn append(
    mut writer: SealedWriter,
    mut buffer: Vec<u8>,
) -> Result<(SealedWriter, Vec<u8>), BatchRefusal> {
    blocking(move || {
        writer.append(&buffer)?;
        buffer.clear();
        Ok((writer, buffer))
    })
    .await
}

fn row(
    batches: &Batches,
    who: &Authenticated,
    (id, now): (FileId, u64),
    said: Said,
) -> Result<FileRow, BatchRefusal> {
    let none = |field, expected| BatchRefusal::Field { field, expected, found: "none".to_owned() };
    let purpose = said.purpose.ok_or_else(|| none("purpose", "`batch`"))?;
    let (name, bytes) = said.file.ok_or_else(|| none("file", "a file"))?;
    let kept_for = match (said.anchor.as_deref(), said.seconds) {
        (None, None) => batches.retention_millis(),
        (Some("created_at"), Some(seconds)) => seconds
            .parse()
            .ok()
            .filter(|seconds| EXPIRES_AFTER.contains(seconds))
            .map(|seconds: u64| seconds * 1_000)
            .ok_or(BatchRefusal::Field {
                field: "expires_after",
                expected: "3600 to 2592000 seconds",
                found: format!("`{}`", seconds.chars().take(40).collect::<String>()),
            })?,
        _ => return Err(none("expires_after", "the anchor `created_at` and `seconds`")),
    };
    let owner = who.owner();
    Ok(FileRow {
        id,
        project: owner.project.clone(),
        subject: owner.subject.clone(),
        name,
        purpose,
        bytes,
        created_unix_ms: now,
        expires_unix_ms: now.saturating_add(kept_for),
    })
}

async fn has_room(batches: &Batches, who: &Authenticated, more: u64) -> Result<(), BatchRefusal> {
    let (batches, project) = (batches.clone(), who.owner().project.clone());
    blocking(move || fits(&batches, batches.metadata().file_bytes(&project)?, more)).await
}

fn fits(batches: &Batches, held: u64, more: u64) -> Result<(), BatchRefusal> {
    let max = batches.options().project_bytes_max;
    let fits = held < max && held.saturating_add(more) <= max;
    if fits { Ok(()) } else { Err(BatchRefusal::ProjectFull { max, held }) }
}
