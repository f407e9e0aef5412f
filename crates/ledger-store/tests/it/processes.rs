//! Two processes, one order.

use super::support::{holds, open, play, record, role, verifier};
use hermetic_diagnostics::Diagnose;
use hermetic_ledger::VerifiedCheckpoint;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;

const RECORDS: u64 = 300;

/// Played by the processes that do not hold the lock.
#[test]
fn forwarding_writer() {
    let Some(place) = role("forwarding-writer") else { return };
    // The test harness has begun a line of its own.
    println!();
    let ledger = open(&place);
    assert!(!ledger.is_writer());
    for i in 0..RECORDS {
        let mark = format!("{}-{i}", std::process::id());
        let index = ledger.append_blocking(&record(&mark, 100)).unwrap().index;
        println!("ack {index} {mark}");
    }
    let size = ledger.checkpoint().unwrap();
    assert!(size >= RECORDS);
    println!("signed {size} -");
}

fn said(output: ChildStdout, what: &str) -> Vec<(u64, String)> {
    let lines = BufReader::new(output).lines().map(Result::unwrap);
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            (words.next() == Some(what)).then_some(())?;
            Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
        })
        .collect()
}

#[test]
fn records_of_three_processes_stand_in_one_log() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let ledger = open(place);
    let mut children: Vec<_> = (0..2)
        .map(|_| play("forwarding-writer", "it::processes::forwarding_writer", place).spawn().unwrap())
        .collect();
    let mut acknowledged = Vec::new();
    for i in 0..RECORDS {
        let mark = format!("own-{i}");
        acknowledged.push((ledger.append_blocking(&record(&mark, 100)).unwrap().index, mark));
    }
    for child in &mut children {
        acknowledged.extend(said(child.stdout.take().unwrap(), "ack"));
        assert!(child.wait().unwrap().success());
    }
    let snapshot = ledger.snapshot().unwrap();
    assert_eq!((acknowledged.len() as u64, snapshot.size()), (3 * RECORDS, 3 * RECORDS));
    acknowledged.sort();
    for ((index, mark), expected) in acknowledged.iter().zip(0u64..) {
        assert_eq!(*index, expected, "every index is handed out once");
        assert!(holds(&snapshot.read(*index).unwrap(), mark));
    }
    assert!(VerifiedCheckpoint::open(snapshot.note(), &verifier(place)).is_ok());
}

#[test]
fn a_second_handle_forwards_and_the_writers_end_is_said() {
    let place = tempfile::tempdir().unwrap();
    let writer = open(place.path());
    let other = open(place.path());
    assert!(writer.is_writer() && !other.is_writer());
    assert_eq!(other.append_blocking(&record("a", 1)).unwrap().index, 0);
    assert_eq!(writer.append_blocking(&record("b", 1)).unwrap().index, 1);
    assert!(holds(&other.read(1).unwrap(), "b"));
    writer.close();
    assert_eq!(writer.append_blocking(&record("c", 1)).unwrap_err().code().as_str(), "E0617");
    assert_eq!(other.append_blocking(&record("c", 1)).unwrap_err().code().as_str(), "E0611");
    // The lock is free again: whoever opens next writes.
    assert!(open(place.path()).is_writer());
}

#[test]
fn strangers_bytes_at_the_socket_enter_nothing() {
    use std::io::{Read, Write};
    let place = tempfile::tempdir().unwrap();
    let ledger = open(place.path());
    let socket = place.path().join("ledger/append.sock");
    let not_a_record = b"{\"v\":1}".as_slice();
    let question = [&[1u8], (not_a_record.len() as u32).to_be_bytes().as_slice(), not_a_record].concat();
    for bytes in
        [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 4096], vec![1, 0xff, 0xff, 0xff, 0xff], question]
    {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset instead of an end is as good: the other side hung up.
        let _ = stream.read_to_end(&mut answer);
        assert_ne!(answer.first(), Some(&0));
    }
    assert_eq!(ledger.append_blocking(&record("after", 1)).unwrap().index, 0);
}
