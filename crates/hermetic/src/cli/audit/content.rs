//! The kept prompt and answer of a request, opened and compared with what its records commit to.
//!
//! Reading content is itself recorded, durably, before anything is opened.

use super::target::Target;
use super::{AuditError, find, lines, view};
use crate::cli::{Context, enclave::Enclave};
use hermetic_clock::Clock;
use hermetic_content_store::{ContentError, Kept};
use hermetic_diagnostics::Report;
use hermetic_gateway::{CommitmentSecret, Salt, commit};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{RequestAdmitted, RequestSettled};
use hermetic_ledger::{Event, Record, RecordView};
use serde::Serialize;

/// Content for a caller: text as text, everything else as hexadecimal digits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Shown {
    Text(String),
    Hex(String),
}

#[derive(Debug, Serialize)]
struct View {
    request: RequestId,
    prompt: Shown,
    answer: Shown,
    /// Length of the whole answer, of which `answer` may be a beginning.
    answer_bytes: u64,
    answer_cut_off: bool,
    /// Leaf that says that the content was read.
    recorded: u64,
    records: Vec<RecordView>,
}

/// What the records of an answered request say.
#[derive(Debug, Default)]
struct Said {
    admitted: Option<(u64, RequestAdmitted)>,
    settled: Option<RequestSettled>,
}

pub(super) fn show(context: &Context, target: Target, named: Option<&String>) -> Result<(), Report> {
    let enclave = Enclave::open(context)?;
    let request = request_of(context, target)?;
    let (snapshot, found) = find(context, Target::Request(request))?;
    let records = found.into_iter().map(|index| view(&snapshot, index)).collect::<Result<Vec<_>, _>>()?;
    let Said { admitted: Some((admitted_unix_ms, admitted)), settled: Some(settled) } = said(&records) else {
        return Err(ContentError::Missing { request }.into());
    };
    if !settled.content_kept {
        return Err(ContentError::Missing { request }.into());
    }
    let recorded = record_reading(&enclave, request, enclave.by(named))?;
    let kept = enclave.content()?.get(request, admitted_unix_ms)?;
    let secret = CommitmentSecret::from_bytes(enclave.commitment_secret()?.bytes());
    check(&secret, &kept, (&admitted, &settled))?;
    let view = View {
        request,
        answer_bytes: kept.answer_total,
        answer_cut_off: kept.is_cut_off(),
        prompt: Shown::of(kept.prompt),
        answer: Shown::of(kept.answer),
        recorded,
        records,
    };
    context.out.result(&view, lines_of);
    Ok(())
}

fn request_of(context: &Context, target: Target) -> Result<RequestId, Report> {
    let index = match target {
        Target::Request(request) => return Ok(request),
        Target::Index(index) => index,
    };
    let (snapshot, _) = find(context, target)?;
    let record: Option<Record> = view(&snapshot, index)?.known();
    let request = record.and_then(|record| record.request());
    Ok(request.ok_or_else(|| AuditError::NoSuchRequest { request: format!("record {index}") })?)
}

fn said(records: &[RecordView]) -> Said {
    let mut said = Said::default();
    for record in records.iter().filter_map(RecordView::known) {
        match record.event {
            Event::RequestAdmitted(event) => said.admitted = Some((record.at_unix_ms, event)),
            Event::RequestSettled(event) => said.settled = Some(event),
            _ => {}
        }
    }
    said
}

fn record_reading(enclave: &Enclave, request: RequestId, by: String) -> Result<u64, Report> {
    let clock = Clock::system();
    let ledger = enclave.ledger(&clock, &enclave.connector())?;
    let record = Record::new(clock.unix_millis(), Event::ContentRead { request, by });
    Ok(ledger.append_blocking(&record)?.index)
}

/// The commitment to an answer covers all of it: of one that was cut off only the prompt can be checked.
fn check(
    secret: &CommitmentSecret,
    kept: &Kept,
    (admitted, settled): (&RequestAdmitted, &RequestSettled),
) -> Result<(), AuditError> {
    let request = admitted.request;
    let of = |salt, content: &[u8]| commit(&secret.salt(request, salt), content);
    if of(Salt::Prompt, &kept.prompt) != admitted.prompt {
        return Err(AuditError::OtherContent { request, half: "prompt" });
    }
    let whole = kept.answer_total == settled.answer_bytes;
    if !whole || (!kept.is_cut_off() && of(Salt::Answer, &kept.answer) != settled.answer) {
        return Err(AuditError::OtherContent { request, half: "answer" });
    }
    Ok(())
}

impl Shown {
    fn of(content: Vec<u8>) -> Self {
        String::from_utf8(content).map_or_else(|other| Self::Hex(hex::encode(other.into_bytes())), Self::Text)
    }

    fn lines(&self) -> Vec<String> {
        let (Self::Text(text) | Self::Hex(text)) = self;
        text.lines().map(lines::printable).collect()
    }
}

fn lines_of(view: &View) -> Vec<String> {
    let mut out: Vec<String> = view.records.iter().flat_map(lines::long).collect();
    let matches = "as the records commit to it";
    out.push(format!("prompt, {matches}:"));
    out.extend(view.prompt.lines());
    out.push(match view.answer_cut_off {
        true => {
            format!("answer, the beginning of {} bytes; only the whole could be checked:", view.answer_bytes)
        }
        false => format!("answer, {matches}:"),
    });
    out.extend(view.answer.lines());
    out.push(format!("that this was read is record {}", view.recorded));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_cannot_steer_the_terminal_and_bytes_that_are_no_text_are_digits() {
        let lines = Shown::of(b"one\n\x1b[31mtwo".to_vec()).lines();
        assert_eq!(lines, ["one", "\\u{1b}[31mtwo"]);
        assert_eq!(Shown::of(vec![0xff, 0x00]).lines(), ["ff00"]);
    }
}
