//! Files of any length, sealed piece by piece: written front to back, read front to back or at a place.
//!
//! ```text
//! {"v":1,"name":"…","key":"<wrapped, hex>"}\n
//! length (4 bytes, big endian) ‖ piece ‖ tag …
//! ```
//!
//! Each file has a key of its own. A piece opens only as that piece, by its number, of that file: none can be changed,
//! swapped, repeated or left out. A file that was finished ends in a piece that says so; one that is read as a log may
//! end anywhere, as a crash leaves it. A file is never gone on with after it was closed, or after a write failed:
//! another piece under the same number would be sealed with the same nonce.

use crate::error::ContentError;
use crate::seal::{ContentKey, FileKey};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};
use hermetic_bounded_io::{FileError, Mode, open_read_write, open_regular};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Largest piece: far above a request body or an answer that a gateway holds.
const PIECE_BYTES_MAX: usize = 256 << 20;

const HEADER_BYTES_MAX: u64 = 1024;

const LABEL: &[u8] = b"hermetic sealed file v1\0";

/// Where a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    offset: u64,
    number: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u8,
    name: String,
    key: String,
}

/// What the pieces of one file are sealed with.
struct Seal {
    cipher: LessSafeKey,
    /// Label and header, to the byte.
    bound: Vec<u8>,
}

impl Seal {
    fn nonce(number: u64, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        if let Some((mark, counter)) = nonce.split_first_mut() {
            *mark = u8::from(last);
            counter.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(slot, byte)| *slot = byte);
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// A file that is being written.
pub struct SealedWriter {
    path: PathBuf,
    file: File,
    seal: Seal,
    next: Place,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for SealedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedWriter({})", self.path.display())
    }
}

impl SealedWriter {
    /// Makes the file, which must not be there with anything in it. `name`: what it is, which whoever opens it has to know.
    pub fn create(path: &Path, name: &str, under: &ContentKey) -> Result<Self, ContentError> {
        let key = FileKey::generate()?;
        let header = Header { v: 1, name: name.to_owned(), key: hex::encode(key.wrap(under)?) };
        let header =
            serde_json::to_vec(&header).map_err(|_| ContentError::Crypto { action: "write a header" })?;
        let mut file = open_read_write(path, Mode::Private).map_err(ContentError::File)?;
        let wrap = |action| move |source| ContentError::File(FileError::new(action, path, source));
        file.set_len(0).map_err(wrap("empty"))?;
        file.write_all(&[&header[..], b"\n"].concat()).map_err(wrap("write"))?;
        let next = Place { offset: header.len() as u64 + 1, number: 0 };
        let seal = Seal { cipher: key.cipher()?, bound: [LABEL, &header].concat() };
        Ok(Self { path: path.to_owned(), file, seal, next, buffer: Vec::new() })
    }

    /// Writes one piece. Durable after [`SealedWriter::sync`]. After an error nothing more can be written.
    pub fn append(&mut self, clear: &[u8]) -> Result<Place, ContentError> {
        self.write(clear, false)
    }

    fn write(&mut self, clear: &[u8], last: bool) -> Result<Place, ContentError> {
        let crypto = |action| ContentError::Crypto { action };
        let tag_len = AES_256_GCM.tag_len();
        let length = u32::try_from(clear.len() + tag_len).map_err(|_| crypto("seal a piece so large"))?;
        if clear.len() > PIECE_BYTES_MAX {
            return Err(crypto("seal a piece so large"));
        }
        let place = self.next;
        self.buffer.clear();
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(clear);
        let sealed = self.buffer.get_mut(4..).unwrap_or_default();
        let nonce = Seal::nonce(place.number, last);
        let tag = self.seal.cipher.seal_in_place_separate_tag(nonce, Aad::from(&self.seal.bound[..]), sealed);
        self.buffer.extend_from_slice(tag.map_err(|_| crypto("seal content"))?.as_ref());
        // Counted before it is written: after an error the number is used up all the same.
        self.next = Place { offset: place.offset + self.buffer.len() as u64, number: place.number + 1 };
        let written = self.file.write_all(&self.buffer);
        written.map_err(|source| ContentError::File(FileError::new("write", &self.path, source)))?;
        Ok(place)
    }

    /// What was appended survives a power cut from here on.
    pub fn sync(&mut self) -> Result<(), ContentError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| ContentError::File(FileError::new("sync", &self.path, source)))
    }

    /// Marks the end, without which the file is not read as a whole one, and syncs it.
    pub fn finish(mut self) -> Result<(), ContentError> {
        self.write(b"", true)?;
        self.sync()
    }
}

/// A file that is read.
pub struct SealedReader {
    path: PathBuf,
    file: BufReader<File>,
    seal: Seal,
    bytes: u64,
    next: Place,
    ended: bool,
}

impl std::fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedReader({})", self.path.display())
    }
}

impl SealedReader {
    pub fn open(path: &Path, name: &str, under: &ContentKey) -> Result<Self, ContentError> {
        let (file, bytes) = open_regular(path).map_err(ContentError::File)?;
        let mut file = BufReader::new(file);
        let line = header_of(&mut file, path)?;
        let damaged = |found| ContentError::DamagedFile { name: name.to_owned(), found };
        let line = line.ok_or(damaged("no header"))?;
        let header: Header = serde_json::from_slice(&line).map_err(|_| damaged("another header"))?;
        if header.v != 1 {
            return Err(damaged("another version"));
        }
        if header.name != name {
            return Err(damaged("the content of another file"));
        }
        let wrapped = hex::decode(&header.key).map_err(|_| damaged("a changed key"))?;
        let key = FileKey::unwrap(&wrapped, under)?
            .ok_or(damaged("a key that this enclave's content key does not open"))?;
        let seal = Seal { cipher: key.cipher()?, bound: [LABEL, &line].concat() };
        let next = Place { offset: line.len() as u64 + 1, number: 0 };
        Ok(Self { path: path.to_owned(), file, seal, bytes, next, ended: false })
    }

    /// The next piece of a finished file, `None` at its end. A file without an end is damaged.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, ContentError> {
        if self.ended {
            return Ok(None);
        }
        if let Some((_, piece)) = self.step(false)? {
            return Ok(Some(piece));
        }
        let end = self.step(true)?;
        self.ended = end.is_some_and(|(place, piece)| piece.is_empty() && self.bytes == place.end(0));
        if self.ended { Ok(None) } else { Err(self.damaged("changed or missing bytes")) }
    }

    /// The next piece of a log and its place, `None` where what was written whole ends.
    pub fn entry(&mut self) -> Result<Option<(Place, Vec<u8>)>, ContentError> {
        self.step(false)
    }

    /// Bytes behind what was read so far.
    pub fn rest(&self) -> u64 {
        self.bytes.saturating_sub(self.next.offset)
    }

    /// The piece at a place that [`SealedWriter::append`] or [`SealedReader::entry`] named. Reading goes on behind it.
    pub fn at(&mut self, place: Place) -> Result<Vec<u8>, ContentError> {
        let moved = self.file.seek(SeekFrom::Start(place.offset));
        moved.map_err(|source| ContentError::File(FileError::new("read", &self.path, source)))?;
        self.next = place;
        let found = self.step(false)?;
        found.map(|(_, piece)| piece).ok_or_else(|| self.damaged("changed or missing bytes"))
    }

    fn damaged(&self, found: &'static str) -> ContentError {
        ContentError::DamagedFile { name: self.path.display().to_string(), found }
    }

    /// Opens the piece that is next, as an ordinary one or as the end. `None`: there is no such piece, and nothing was
    /// passed.
    fn step(&mut self, last: bool) -> Result<Option<(Place, Vec<u8>)>, ContentError> {
        let place = self.next;
        let Some(mut sealed) = self.raw()? else { return Ok(None) };
        let nonce = Seal::nonce(place.number, last);
        let Ok(clear) = self.seal.cipher.open_in_place(nonce, Aad::from(&self.seal.bound[..]), &mut sealed)
        else {
            let back = self.file.seek(SeekFrom::Start(place.offset));
            back.map_err(|source| ContentError::File(FileError::new("read", &self.path, source)))?;
            return Ok(None);
        };
        let length = clear.len();
        sealed.truncate(length);
        self.next = Place { offset: place.end(length), number: place.number + 1 };
        Ok(Some((place, sealed)))
    }

    /// The sealed bytes of the piece that is next, if all of them are there.
    fn raw(&mut self) -> Result<Option<Vec<u8>>, ContentError> {
        let mut length = [0; 4];
        if !self.fills(&mut length)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length);
        // A length that is not to be trusted makes nobody allocate more than the file has.
        if u64::from(length) > self.rest().saturating_sub(4)
            || length as usize > PIECE_BYTES_MAX + AES_256_GCM.tag_len()
        {
            return Ok(None);
        }
        let mut sealed = vec![0; length as usize];
        Ok(self.fills(&mut sealed)?.then_some(sealed))
    }

    fn fills(&mut self, buffer: &mut [u8]) -> Result<bool, ContentError> {
        match self.file.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(ContentError::File(FileError::new("read", &self.path, source))),
        }
    }
}

impl Place {
    /// Where a piece of this length at this place ends.
    fn end(self, length: usize) -> u64 {
        self.offset + (4 + length + AES_256_GCM.tag_len()) as u64
    }
}

fn header_of(file: &mut BufReader<File>, path: &Path) -> Result<Option<Vec<u8>>, ContentError> {
    use std::io::BufRead;
    let mut line = Vec::new();
    let read = file.take(HEADER_BYTES_MAX).read_until(b'\n', &mut line);
    read.map_err(|source| ContentError::File(FileError::new("read", path, source)))?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> ContentKey {
        ContentKey::from_bytes(&[5; 32])
    }

    fn write(path: &Path, pieces: &[Vec<u8>], finished: bool) -> Vec<Place> {
        let mut writer = SealedWriter::create(path, "file-1", &key()).unwrap();
        let places = pieces.iter().map(|piece| writer.append(piece).unwrap()).collect();
        if finished {
            writer.finish().unwrap()
        } else {
            writer.sync().unwrap()
        }
        places
    }

    fn read(path: &Path) -> Result<Vec<Vec<u8>>, ContentError> {
        let mut reader = SealedReader::open(path, "file-1", &key())?;
        std::iter::from_fn(|| reader.piece().transpose()).collect()
    }

    proptest! {
        #[test]
        fn pieces_come_back_in_order_and_at_their_places(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            let places = write(&path, &pieces, true);
            prop_assert_eq!(read(&path).unwrap(), pieces.clone());
            let mut reader = SealedReader::open(&path, "file-1", &key()).unwrap();
            for (place, piece) in places.into_iter().zip(&pieces).rev() {
                prop_assert_eq!(&reader.at(place).unwrap(), piece);
            }
        }

        #[test]
        fn a_log_cut_anywhere_keeps_the_pieces_before_the_cut(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6), cut in 0usize..200, garbage in prop::collection::vec(any::<u8>(), 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            let places = write(&path, &pieces, false);
            let mut bytes = std::fs::read(&path).unwrap();
            let start = usize::try_from(places[0].offset).unwrap();
            bytes.truncate((start + cut).min(bytes.len()));
            let whole = places.iter().zip(&pieces).filter(|(place, piece)| place.end(piece.len()) <= bytes.len() as u64).count();
            bytes.extend_from_slice(&garbage);
            std::fs::write(&path, &bytes).unwrap();
            let mut reader = SealedReader::open(&path, "file-1", &key()).unwrap();
            let found: Vec<_> = std::iter::from_fn(|| reader.entry().unwrap()).map(|(_, piece)| piece).collect();
            // What follows the cut may by chance be what was there.
            prop_assert!(found.len() >= whole && found == pieces[..found.len()]);
        }
    }

    #[test]
    fn a_change_of_any_byte_a_cut_and_another_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write(&path, &[b"one".to_vec(), b"two".to_vec()], true);
        let whole = std::fs::read(&path).unwrap();
        assert!(!whole.windows(3).any(|window| window == b"one"));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path).is_err(), "cut at {at}");
        }
        std::fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, &whole).unwrap();
        assert!(SealedReader::open(&path, "file-2", &key()).is_err());
        assert!(SealedReader::open(&path, "file-1", &ContentKey::from_bytes(&[6; 32])).is_err());
        assert_eq!(read(&path).unwrap(), [b"one", b"two"]);
    }
}
