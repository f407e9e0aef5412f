//! Tree, paths, tiles, checkpoints and notes as another implementation of the same specifications has them.

use super::support::{Log, Memory, ORIGIN};
use hermetic_ledger::path::{consistency, inclusion, is_consistent, root_from_inclusion};
use hermetic_ledger::tile::{TileId, TileKind, decode_entries, decode_hashes, encode_entries};
use hermetic_ledger::{Checkpoint, TreeHash, VerifiedCheckpoint, VerifierKey};
use proptest::prelude::*;
use tlog_tiles::{self as tlog, Hash, HashReader};

/// The oracle's own store of hashes, filled by the oracle.
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        Ok(indexes.iter().map(|&index| self.0[index as usize]).collect())
    }
}

fn oracle(records: &[Vec<u8>]) -> Stored {
    let mut stored = Stored(Vec::new());
    for (i, record) in records.iter().enumerate() {
        let new = tlog::stored_hashes(i as u64, record, &stored).unwrap();
        stored.0.extend(new);
    }
    stored
}

fn same(ours: &[TreeHash], theirs: &[Hash]) -> bool {
    ours.iter().map(|hash| *hash.as_bytes()).eq(theirs.iter().map(|hash| hash.0))
}

#[test]
fn roots_and_all_paths_of_trees_up_to_seventy_leaves_are_the_oracles() {
    let log = Log::of(70);
    let stored = oracle(&log.records);
    let mut nodes = Memory(log.leaves());
    for size in 1..=70u64 {
        let root = log.frontier(size).root();
        assert_eq!(*root.as_bytes(), tlog::tree_hash(size, &stored).unwrap().0, "root of {size}");
        for index in 0..size {
            let Ok(path) = inclusion(&mut nodes, index, size);
            assert!(same(&path, &tlog::prove_record(size, index, &stored).unwrap()), "{index} in {size}");
            assert_eq!(root_from_inclusion(nodes.0[index as usize], index, size, &path), Some(root));
        }
        for old in 1..=size {
            let Ok(path) = consistency(&mut nodes, old, size);
            assert!(same(&path, &tlog::prove_tree(size, old, &stored).unwrap()), "{old} to {size}");
            assert!(is_consistent((old, log.frontier(old).root()), (size, root), &path));
        }
    }
}

#[test]
fn the_empty_tree_has_the_published_root_and_is_a_prefix_of_every_tree() {
    assert_eq!(TreeHash::empty().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let root = Log::of(5).frontier(5).root();
    assert!(is_consistent((0, TreeHash::empty()), (5, root), &[]));
    assert!(!is_consistent((0, root), (5, root), &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_path_shows_only_its_own_leaf_index_and_sizes(size in 2u64..300, a: u64, b: u64) {
        let log = Log::of(size);
        let (index, old) = (a % size, 1 + b % (size - 1));
        let mut nodes = Memory(log.leaves());
        let Ok(path) = inclusion(&mut nodes, index, size);
        let root = log.frontier(size).root();
        for other in 0..size {
            let shown = root_from_inclusion(nodes.0[index as usize], other, size, &path) == Some(root);
            prop_assert_eq!(shown, other == index);
        }
        prop_assert_ne!(root_from_inclusion(TreeHash::leaf(b"not there"), index, size, &path), Some(root));
        let Ok(path) = consistency(&mut nodes, old, size);
        let old_root = log.frontier(old).root();
        prop_assert!(is_consistent((old, old_root), (size, root), &path));
        for i in 0..path.len() {
            let mut changed = path.clone();
            changed[i] = TreeHash::leaf(b"changed");
            prop_assert!(!is_consistent((old, old_root), (size, root), &changed));
        }
        prop_assert!(!is_consistent((old, root), (size, root), &path));
        prop_assert!(!is_consistent((old, old_root), (size, old_root), &path));
    }

    #[test]
    fn tile_paths_are_the_oracles(level in 0u8..6, index in 0u64..20_000_000_000, width in 1u64..=256) {
        let ours = TileId { kind: TileKind::Hashes { level }, index, width };
        let theirs = tlog_tiles::Tile::new(8, level, index, width as u32, false);
        // The oracle writes the tile height, fixed at eight in the specification, into the path.
        prop_assert_eq!(ours.path(), theirs.path().replacen("tile/8/", "tile/", 1));
    }

    #[test]
    fn entry_bundles_read_back(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let bytes = encode_entries(entries.iter().map(Vec::as_slice)).unwrap();
        let read = decode_entries(&bytes, entries.len() as u64).unwrap();
        prop_assert!(read.iter().zip(&entries).all(|(read, entry)| *read == entry.as_slice()));
        if !bytes.is_empty() {
            prop_assert!(decode_entries(&bytes[..bytes.len() - 1], entries.len() as u64).is_none());
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>, width in 0u64..300, text in ".{0,200}") {
        let _ = decode_entries(&bytes, width);
        let _ = decode_hashes(&bytes, width);
        let _ = Checkpoint::read_unverified(&text);
        let _ = text.parse::<VerifierKey>();
        let _ = hermetic_ledger::ProofFile::read(&bytes);
        let _ = hermetic_ledger::ProofFile::read(text.as_bytes());
        let _ = hermetic_ledger::RecordView::of(0, &bytes);
    }
}

#[test]
fn the_oracle_opens_our_notes_and_checkpoints_and_we_its_keys() {
    let log = Log::of(9);
    let vkey = log.key.to_string();
    let verifier = signed_note::StandardVerifier::new(&vkey).unwrap();
    let note = log.note(9);
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let (verified, unknown) = theirs.verify(&known).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    let ours = VerifiedCheckpoint::open(&note, &log.key).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, ours.get().size));
    assert_eq!(checkpoint.hash().0, *ours.get().root.as_bytes());
    assert_eq!(vkey.parse::<VerifierKey>().unwrap(), log.key);
}

#[test]
fn a_published_verifier_key_is_read() {
    // The example key that implementations of signed-note share.
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
}
