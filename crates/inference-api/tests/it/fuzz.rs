//! The targets of `fuzz/`, run over their seeds and over what becomes of seeds when they are changed, on any compiler.

#[path = "../../fuzz/targets.rs"]
#[expect(unreachable_pub, reason = "public to the fuzzer's crate, which this file is the root of")]
mod targets;

use proptest::prelude::*;
use std::path::Path;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 2, "{target}");
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A change of bytes: at a place, of a length.
#[derive(Debug, Clone)]
enum Change {
    Cut(usize, usize),
    Repeat(usize, usize),
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    /// Something of another seed.
    Cross(usize, usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let places = || (any::<usize>(), 1usize..40);
    let token = proptest::sample::select(
        [
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            "null",
            "true",
            "-1",
            "1e999",
            "{}",
            "[]",
            "\"\"",
            "\\ud800",
            "\\",
            "\n",
            "\r",
            "\n\n",
            "data: ",
            "\"type\":",
            "\"content\":",
            "\"text\"",
            "\u{0}",
            "é",
            "🦀",
            "18446744073709551616",
            "[DONE]",
        ]
        .map(|token| token.as_bytes().to_vec())
        .to_vec(),
    );
    let bytes = || prop_oneof![3 => token.clone(), 1 => proptest::collection::vec(any::<u8>(), 1..4)];
    let change = prop_oneof![
        2 => places().prop_map(|(at, length)| Change::Cut(at, length)),
        1 => places().prop_map(|(at, length)| Change::Repeat(at, length)),
        2 => (any::<usize>(), bytes()).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        2 => (any::<usize>(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (any::<usize>(), any::<usize>(), 1usize..200).prop_map(|(at, from, length)| Change::Cross(at, from, length)),
    ];
    proptest::collection::vec(change, 1..6)
}

fn changed(seed: &[u8], other: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for change in changes {
        let place = |at: usize, length: usize| {
            let at = at % (bytes.len() + 1);
            at..(at + length).min(bytes.len())
        };
        match change {
            Change::Cut(at, length) => drop(bytes.drain(place(*at, *length))),
            Change::Repeat(at, length) => {
                let place = place(*at, *length);
                let again = bytes[place.clone()].to_vec();
                drop(bytes.splice(place.start..place.start, again));
            }
            Change::Overwrite(at, with) => drop(bytes.splice(place(*at, with.len()), with.iter().copied())),
            Change::Insert(at, with) => drop(bytes.splice(place(*at, 0), with.iter().copied())),
            Change::Cross(at, from, length) => {
                let from = from % (other.len() + 1);
                let piece = &other[from..(from + length).min(other.len())];
                drop(bytes.splice(place(*at, 0), piece.iter().copied()));
            }
        }
    }
    bytes
}

#[test]
fn every_seed_holds() {
    for (name, target) in targets::TARGETS {
        seeds(name).iter().for_each(|seed| target(seed));
    }
}

#[test]
fn every_target_is_built_for_the_fuzzer() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::TARGETS.len());
}

proptest! {
    #[test]
    fn every_changed_seed_holds(seed: prop::sample::Index, other: prop::sample::Index, changes in changes()) {
        for (name, target) in targets::TARGETS {
            let seeds = seeds(name);
            let (seed, other) = (seed.get(seeds.as_slice()), other.get(seeds.as_slice()));
            target(&changed(seed, other, &changes));
        }
    }
}
