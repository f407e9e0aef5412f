//! Records from other processes of the same enclave, over `append.sock`.
//!
//! One writer keeps the order; a command that imports or promotes while the service runs hands its records to it.
//! What is said: a question is one byte (1 append, 2 checkpoint), four bytes of length and so many of record; the answer
//! is one byte (0 done, else a refusal), eight bytes of index or size and, for a refusal, two bytes of length and its
//! reason. Questions may be sent ahead; answers come in order. All numbers are big-endian.
//!
//! Only processes of the same user are listened to: the socket is mode 0600 and the kernel says who called.

pub(crate) mod client;
pub(crate) mod server;

use crate::error::AppendError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ledger::RECORD_BYTES_MAX;
use std::io::{self, Read, Write};

const APPEND: u8 = 1;
const CHECKPOINT: u8 = 2;
const DONE: u8 = 0;
/// Longest reason that is passed on.
const REASON_BYTES_MAX: usize = 1024;

/// Refusals by code: what travels is a number, so that the other side gives the same code and page.
const REFUSALS: [(u8, Code); 5] = [
    (1, Code::new("E0601")),
    (2, Code::new("E0602")),
    (3, Code::new("E0604")),
    (4, Code::new("E0617")),
    (5, Code::new("E0606")),
];

#[derive(Debug, PartialEq, Eq)]
enum Question {
    Append(Vec<u8>),
    Checkpoint,
}

fn write_question(to: &mut impl Write, question: &Question) -> io::Result<()> {
    let (kind, record) = match question {
        Question::Append(record) => (APPEND, record.as_slice()),
        Question::Checkpoint => (CHECKPOINT, [].as_slice()),
    };
    let length = u32::try_from(record.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&[kind])?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(record)
}

/// The next question; `None` at the end of the conversation.
fn read_question(from: &mut impl Read) -> io::Result<Option<Question>> {
    let mut kind = [0];
    if from.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    match kind {
        [APPEND] if (1..=RECORD_BYTES_MAX).contains(&length) => {
            let mut record = vec![0; length];
            from.read_exact(&mut record)?;
            Ok(Some(Question::Append(record)))
        }
        [CHECKPOINT] if length == 0 => Ok(Some(Question::Checkpoint)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "expected a question, found something else")),
    }
}

fn write_answer(to: &mut impl Write, answer: &Result<u64, AppendError>) -> io::Result<()> {
    match answer {
        Ok(value) => {
            to.write_all(&[DONE])?;
            to.write_all(&value.to_be_bytes())
        }
        Err(error) => {
            let number =
                REFUSALS.iter().find(|(_, code)| *code == error.code()).map_or(1, |(number, _)| *number);
            let reason: Vec<u8> =
                hermetic_diagnostics::chain(error).join(": ").bytes().take(REASON_BYTES_MAX).collect();
            to.write_all(&[number])?;
            to.write_all(&0u64.to_be_bytes())?;
            to.write_all(&u16::try_from(reason.len()).unwrap_or(0).to_be_bytes())?;
            to.write_all(&reason)
        }
    }
}

fn read_answer(from: &mut impl Read) -> io::Result<Result<u64, AppendError>> {
    let (mut kind, mut value, mut length) = ([0], [0; 8], [0; 2]);
    from.read_exact(&mut kind)?;
    from.read_exact(&mut value)?;
    let [kind] = kind;
    if kind == DONE {
        return Ok(Ok(u64::from_be_bytes(value)));
    }
    from.read_exact(&mut length)?;
    let mut reason = vec![0; usize::from(u16::from_be_bytes(length)).min(REASON_BYTES_MAX)];
    from.read_exact(&mut reason)?;
    let code = REFUSALS.iter().find(|(number, _)| *number == kind).map(|(_, code)| *code);
    let code = code.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "expected a known refusal"))?;
    Ok(Err(AppendError::Forwarded { code, reason: String::from_utf8_lossy(&reason).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn questions_read_back(record in proptest::collection::vec(any::<u8>(), 1..500)) {
            for question in [Question::Append(record.clone()), Question::Checkpoint] {
                let mut wire = Vec::new();
                write_question(&mut wire, &question).unwrap();
                prop_assert_eq!(read_question(&mut wire.as_slice()).unwrap(), Some(question));
            }
        }

        #[test]
        fn no_bytes_make_either_side_panic(bytes: Vec<u8>) {
            let _ = read_question(&mut bytes.as_slice());
            let _ = read_answer(&mut bytes.as_slice());
        }
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        for (_, code) in REFUSALS {
            let mut wire = Vec::new();
            write_answer(&mut wire, &Err(AppendError::Forwarded { code, reason: "why".to_owned() })).unwrap();
            assert_eq!(read_answer(&mut wire.as_slice()).unwrap().unwrap_err().code(), code);
        }
    }
}
