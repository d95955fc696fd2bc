//! Where a registry reads its entries: a node's journal, or recorded files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;

use super::journal::JournalError;
use super::journal::{Chunk, JournalReader, Position};

/// A stream of whole lines with positions.
pub trait Source: Send + 'static {
    /// The next lines, about `max` bytes of them; `None` when there are none now.
    ///
    /// # Errors
    /// When it can't be read.
    fn read(&mut self, max: usize) -> Result<Option<Chunk>, JournalError>;
    /// Whether `None` means the end for ever.
    fn ends(&self) -> bool;
    /// Another reader of the same, from the line that begins at `position`; none where that can't be.
    ///
    /// # Errors
    /// When there is no such line, or it can't be read.
    fn at(&self, position: u64) -> Result<Option<Box<dyn Source>>, JournalError> {
        let _ = position;
        Ok(None)
    }
}

impl Source for JournalReader {
    fn read(&mut self, max: usize) -> Result<Option<Chunk>, JournalError> {
        JournalReader::read(self, max)
    }

    fn ends(&self) -> bool {
        false
    }

    fn at(&self, position: u64) -> Result<Option<Box<dyn Source>>, JournalError> {
        Ok(Some(Box::new(self.another(Position(position))?)))
    }
}

/// A recorded stream, plain or gzip.
pub struct FileSource {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    rest: BytesMut,
    position: Position,
    done: bool,
}

/// The bytes by which a file is told from others.
const FINGERPRINT: usize = 4096;

impl FileSource {
    /// Opens it.
    ///
    /// # Errors
    /// When it can't be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(256 * 1024, File::open(path)?);
        let zipped = path.extension().is_some_and(|e| e == "gz");
        let reader: Box<dyn Read + Send> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path: path.to_owned(), reader, rest: BytesMut::new(), position: Position::START, done: false })
    }

    /// What tells this stream from others: a hash of its beginning, the same whether it is zipped or renamed.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn fingerprint(path: &Path) -> io::Result<String> {
        let mut source = Self::open(path)?;
        let mut head = Vec::with_capacity(FINGERPRINT);
        source.reader.by_ref().take(FINGERPRINT as u64).read_to_end(&mut head)?;
        let mut crc = flate2::Crc::new();
        crc.update(&head);
        let (first, second) = head.split_at(head.len() / 2);
        let half = |part: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(part);
            crc.sum()
        };
        Ok(format!("{:08x}{:08x}{:08x}", crc.sum(), half(first), half(second)))
    }

    fn fill(&mut self, max: usize) -> io::Result<()> {
        while !self.done && self.rest.len() < max {
            let have = self.rest.len();
            self.rest.resize(have + max, 0);
            let read = self.reader.read(&mut self.rest[have..])?;
            self.rest.truncate(have + read);
            self.done = read == 0;
        }
        if self.done && self.rest.last().is_some_and(|b| *b != b'\n') {
            self.rest.extend_from_slice(b"\n");
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn read(&mut self, max: usize) -> Result<Option<Chunk>, JournalError> {
        let mut want = max;
        loop {
            self.fill(want).map_err(|e| JournalError::Io { doing: "read", path: self.path.clone(), source: e })?;
            if let Some(last) = memchr::memrchr(b'\n', &self.rest) {
                let bytes: Bytes = self.rest.split_to(last + 1).freeze();
                let start = self.position;
                self.position = start.plus(bytes.len() as u64);
                return Ok(Some(Chunk { start, end: self.position, bytes, skipped: None }));
            }
            if self.done {
                return Ok(None);
            }
            want = self.rest.len() * 2;
        }
    }

    fn ends(&self) -> bool {
        true
    }
}
