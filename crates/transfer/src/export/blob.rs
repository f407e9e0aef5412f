//! One blob on its way into the bundle: written, hashed and cut into parts in a single pass.

use super::ExportError;
use super::progress::Progress;
use hermetic_bundle::{BlobParts, ChainBuilder};
use hermetic_digest::Digest;
use hermetic_store::{Incoming, Store, StoreError};
use std::io::{self, Read, Write};

/// Bytes moved at a time.
const COPY_BYTES: usize = 1024 * 1024;

/// A writer whose bytes become a blob.
pub(super) struct BlobWriter<'a> {
    store: &'a Store,
    incoming: Incoming,
    chain: ChainBuilder,
    offset: u64,
    progress: &'a dyn Progress,
    /// The typed reason behind an error this writer returned.
    failed: Option<ExportError>,
}

impl<'a> BlobWriter<'a> {
    pub(super) fn new(
        store: &'a Store,
        part_bytes: u64,
        progress: &'a dyn Progress,
    ) -> Result<Self, ExportError> {
        let chain = ChainBuilder::new(part_bytes).map_err(ExportError::Document)?;
        let incoming = store.incoming_scratch().map_err(ExportError::Store)?;
        Ok(Self { store, incoming, chain, offset: 0, progress, failed: None })
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        if self.progress.stopped() {
            return Err(ExportError::Stopped);
        }
        self.incoming.write_at(bytes, self.offset).map_err(ExportError::Store)?;
        self.chain.update(bytes);
        self.offset += bytes.len() as u64;
        self.progress.advance(bytes.len() as u64);
        Ok(())
    }

    /// The reason behind the last error returned through [`Write`], when it was this writer's.
    pub(super) fn take_failure(&mut self) -> Option<ExportError> {
        self.failed.take()
    }

    /// Gives the blob its name.
    pub(super) fn seal(self) -> Result<BlobParts, ExportError> {
        let parts = self.chain.finish();
        if !self.store.contains(&parts.digest()) {
            self.incoming.seal(&parts.digest()).map_err(ExportError::Store)?;
        }
        Ok(parts)
    }

    /// Hands over what was written without naming it: an input that does not go into the bundle.
    pub(super) fn keep_scratch(self) -> (Incoming, Digest, u64) {
        let parts = self.chain.finish();
        (self.incoming, parts.digest(), parts.size())
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("the blob could not be written"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies at most `declared` bytes from `reader`; `unreadable` names what was read when it fails.
pub(super) fn copy(
    reader: &mut dyn Read,
    writer: &mut BlobWriter<'_>,
    unreadable: impl Fn(io::Error) -> ExportError,
) -> Result<u64, ExportError> {
    let mut buffer = vec![0u8; COPY_BYTES];
    let mut copied = 0u64;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { return Ok(copied) };
        writer.put(piece)?;
        copied += read as u64;
    }
}

/// Keeps a small document and notes its parts.
pub(super) fn put_document(store: &Store, part_bytes: u64, bytes: &[u8]) -> Result<BlobParts, ExportError> {
    let mut chain = ChainBuilder::new(part_bytes).map_err(ExportError::Document)?;
    chain.update(bytes);
    store.put_bytes(bytes).map_err(ExportError::Store)?;
    Ok(chain.finish())
}

/// Reads an unnamed input back from its start, for a converter that seeks.
pub(super) struct ScratchReader<'a> {
    incoming: &'a Incoming,
    bytes: u64,
    at: u64,
}

impl<'a> ScratchReader<'a> {
    pub(super) fn new(incoming: &'a Incoming, bytes: u64) -> Self {
        Self { incoming, bytes, at: 0 }
    }
}

impl Read for ScratchReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let now = left.min(buffer.len());
        let Some(piece) = buffer.get_mut(..now) else { return Ok(0) };
        self.incoming.read_at(piece, self.at).map_err(|error: StoreError| io::Error::other(error))?;
        self.at += now as u64;
        Ok(now)
    }
}

impl io::Seek for ScratchReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
