//! A proof with any one byte changed does not verify.

use super::support::Log;
use hermetic_diagnostics::Diagnose;
use hermetic_ledger::{ProofError, ProofFile, VerifiedCheckpoint, VerifierKey};

fn verifies(bytes: &[u8], key: &VerifierKey) -> Result<Vec<u8>, ProofError> {
    Ok(ProofFile::read(bytes)?.verify(key)?.record().to_vec())
}

/// Each byte in eight single-bit flips and five replacements that text formats like to overlook.
fn changes(byte: u8) -> impl Iterator<Item = u8> {
    let bits = (0..8).map(move |bit| byte ^ (1 << bit));
    bits.chain([b' ', b'\n', b'\r', b'=', 0]).filter(move |&changed| changed != byte)
}

#[test]
fn every_change_of_any_byte_of_a_proof_is_refused() {
    for (size, index) in [(1, 0), (7, 3), (300, 299)] {
        let log = Log::of(size);
        let text = log.prove(index).to_text().into_bytes();
        assert_eq!(verifies(&text, &log.key).unwrap(), log.records[index as usize]);
        for at in 0..text.len() {
            for changed in changes(text[at]) {
                let mut bad = text.clone();
                bad[at] = changed;
                assert!(verifies(&bad, &log.key).is_err(), "byte {at} as {changed:#x} in a tree of {size}");
            }
        }
    }
}

#[test]
fn every_byte_left_out_or_put_in_is_refused() {
    let log = Log::of(7);
    let text = log.prove(3).to_text().into_bytes();
    for at in 0..text.len() {
        let mut shorter = text.clone();
        shorter.remove(at);
        assert!(verifies(&shorter, &log.key).is_err(), "without byte {at}");
        for extra in [b' ', b'\n', b'\t', b'=', b'0', b'A'] {
            let mut longer = text.clone();
            longer.insert(at, extra);
            assert!(verifies(&longer, &log.key).is_err(), "with {extra:#x} at {at}");
        }
    }
    for extra in [" ", "\n", "\0", "x"] {
        assert!(verifies(&[&text, extra.as_bytes()].concat(), &log.key).is_err());
    }
}

#[test]
fn every_change_of_any_byte_of_a_checkpoint_or_key_is_refused() {
    let log = Log::of(9);
    let note = log.note(9).into_bytes();
    for at in 0..note.len() {
        for changed in changes(note[at]) {
            let mut bad = note.clone();
            bad[at] = changed;
            let opened =
                std::str::from_utf8(&bad).ok().and_then(|text| VerifiedCheckpoint::open(text, &log.key).ok());
            assert!(opened.is_none(), "byte {at} as {changed:#x}");
        }
    }
    let vkey = log.key.to_string().into_bytes();
    for at in 0..vkey.len() {
        for changed in changes(vkey[at]) {
            let mut bad = vkey.clone();
            bad[at] = changed;
            let read = std::str::from_utf8(&bad).ok().and_then(|text| text.parse::<VerifierKey>().ok());
            assert!(read.is_none(), "byte {at} as {changed:#x}");
        }
    }
}

#[test]
fn the_error_says_which_part_does_not_hold() {
    let log = Log::of(7);
    let good = log.prove(3);
    let code = |proof: ProofFile| proof.verify(&log.key).unwrap_err().code().as_str();
    assert_eq!(code(ProofFile { record: log.records[4].clone(), ..good.clone() }), "E0610");
    assert_eq!(code(ProofFile { index: 2, ..good.clone() }), "E0610");
    assert_eq!(code(ProofFile { checkpoint: log.note(6), ..good.clone() }), "E0610");
    let resized = good.checkpoint.replace("\n7\n", "\n8\n");
    assert_eq!(code(ProofFile { checkpoint: resized, ..good.clone() }), "E0608");
    let renamed = good.checkpoint.replace("enclave.test", "another.test");
    assert_eq!(code(ProofFile { checkpoint: renamed, ..good }), "E0609");
    assert_eq!(ProofFile::read(b"hello").unwrap_err().code().as_str(), "E0607");
}

#[test]
fn a_signature_by_a_witness_we_do_not_know_does_not_disturb() {
    let log = Log::of(7);
    let mut proof = log.prove(3);
    proof.checkpoint.push_str("\u{2014} witness.test AAAAAAECAwQFBgcICQ==\n");
    assert!(verifies(proof.to_text().as_bytes(), &log.key).is_ok());
}
