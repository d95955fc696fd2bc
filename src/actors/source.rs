//! Where a registry reads its entries: a node's journal, or recorded files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;

use super::journal::JournalError;
use super::journal::{Chunk, JournalReader, MAX_LINE_BYTES, Position, SkipReason, Skipped};

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
    /// Why no more can be read. The lines before that are given first.
    broken: Option<(io::ErrorKind, String)>,
    max_line: usize,
}

/// What some programs put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
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
        Ok(Self {
            path: path.to_owned(),
            reader,
            rest: BytesMut::new(),
            position: Position::START,
            done: false,
            broken: None,
            max_line: MAX_LINE_BYTES,
        })
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

    /// Reads until `max` bytes are there, or no more can be.
    fn fill(&mut self, max: usize) {
        while !self.done && self.rest.len() < max {
            let have = self.rest.len();
            self.rest.resize(max, 0);
            let read = match self.reader.read(&mut self.rest[have..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.rest.truncate(have);
                    continue;
                }
                Err(error) => {
                    let why = format!("{error}; what stands before that in the file was read, the rest is lost");
                    self.broken = Some((error.kind(), why));
                    0
                }
            };
            self.rest.truncate(have + read);
            self.done = read == 0;
        }
        if self.done && self.broken.is_none() && self.rest.last().is_some_and(|b| *b != b'\n') {
            self.rest.extend_from_slice(b"\n");
        }
    }

    /// Goes behind the end of a line that is too long.
    fn skip_line(&mut self, max: usize) -> Chunk {
        let mut bytes = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest) {
                bytes += self.rest.split_to(end + 1).len() as u64;
                break;
            }
            bytes += self.rest.len() as u64;
            self.rest.clear();
            if self.done {
                break;
            }
            self.fill(max);
        }
        // The room for such a line isn't wanted again.
        self.rest = BytesMut::from(&self.rest[..]);
        let start = self.position;
        self.position = start.plus(bytes);
        let skipped = Some(Skipped { bytes, reason: SkipReason::LineTooLong });
        Chunk { start, end: self.position, bytes: Bytes::new(), skipped }
    }
}

impl Source for FileSource {
    fn read(&mut self, max: usize) -> Result<Option<Chunk>, JournalError> {
        let mut want = max;
        loop {
            self.fill(want);
            let first = memchr::memchr(b'\n', &self.rest).unwrap_or(self.rest.len());
            if first > self.max_line {
                return Ok(Some(self.skip_line(max)));
            }
            if let Some(last) = memchr::memrchr(b'\n', &self.rest) {
                let mut bytes: Bytes = self.rest.split_to(last + 1).freeze();
                let mut start = self.position;
                self.position = start.plus(bytes.len() as u64);
                if start == Position::START && bytes.starts_with(BYTE_ORDER_MARK) {
                    start = start.plus(BYTE_ORDER_MARK.len() as u64);
                    bytes = bytes.slice(BYTE_ORDER_MARK.len()..);
                }
                return Ok(Some(Chunk { start, end: self.position, bytes, skipped: None }));
            }
            if let Some((kind, why)) = &self.broken {
                let source = io::Error::new(*kind, why.clone());
                return Err(JournalError::Io { doing: "read", path: self.path.clone(), source });
            }
            if self.done {
                return Ok(None);
            }
            want = self.rest.len().saturating_mul(2).min(self.max_line + 1).max(max);
        }
    }

    fn ends(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn source(bytes: &[u8], name: &str) -> (tempfile::TempDir, FileSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, FileSource::open(&path).unwrap())
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    /// Text of each chunk, `-N` for N bytes that were skipped; the error, if it ended with one.
    fn all(source: &mut FileSource, max: usize) -> (Vec<String>, Option<String>) {
        let (mut found, mut position) = (Vec::new(), None);
        loop {
            match source.read(max) {
                Ok(Some(chunk)) => {
                    assert!(position.is_none_or(|end| end == chunk.start), "chunks follow each other");
                    position = Some(chunk.end);
                    let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
                    found.push(chunk.skipped.map_or(text, |skipped| format!("-{}", skipped.bytes)));
                }
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn a_line_without_end_is_skipped_and_the_rest_is_read() {
        for end in ["\nlast", ""] {
            let text = format!("first\n{}{end}", "x".repeat(50_000));
            let (_folder, mut source) = source(text.as_bytes(), "a.jsonl");
            source.max_line = 10_000;
            let (found, error) = all(&mut source, 1_000);
            // The line end that a last line lacks is added.
            let skipped = "-50001";
            let last = (!end.is_empty()).then_some("last\n");
            let expected: Vec<&str> = ["first\n", skipped].into_iter().chain(last).collect();
            assert_eq!((found, error), (expected.iter().map(|s| (*s).to_owned()).collect(), None));
            assert!(source.rest.capacity() < 10_000, "{}", source.rest.capacity());
        }
    }

    #[test]
    fn what_stands_before_the_broken_part_of_an_archive_is_given_and_then_the_error_each_time() {
        let whole = zipped("a line\n".repeat(10_000).as_bytes());
        let (_folder, mut source) = source(&whole[..whole.len() / 2], "a.jsonl.gz");
        let (found, error) = all(&mut source, 1_000);
        assert!(found.concat().len() > 30_000 && found.concat().ends_with("a line\n"));
        let error = error.expect("an error");
        assert!(error.contains("a.jsonl.gz") && error.contains("was read"), "{error}");
        assert_eq!(all(&mut source, 1_000), (Vec::new(), Some(error)));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let (_folder, mut source) = source(b"\xef\xbb\xbfone\r\n\xef\xbb\xbftwo", "a.jsonl");
        assert_eq!(all(&mut source, 1_000).0, ["one\r\n\u{feff}two\n"]);
    }
}
