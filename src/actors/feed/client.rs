//! One connection to a feed, for those who only ask: a successor, `callcenter feed --status`, and a service that looks
//! whether there is one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::socket_path;
use super::wire::{self, Answer, FeedStatus, Hello, PROTOCOL, Request, WireError};

/// How long a feed may take to say who it is, and how it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Why a feed could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Nobody listens.
    #[error("no feed process runs")]
    None,
    /// The system doesn't let this user connect.
    #[error(
        "{}: {source}. Only the user that runs `callcenter feed` may connect to it: run this as the same user (in systemd: \
         the same User= and Group= for both)", path.display()
    )]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It doesn't answer.
    #[error("the feed process doesn't answer")]
    Silent,
    /// It speaks another protocol.
    #[error("the feed process {pid} is version {version} with another protocol: restart it with this version")]
    Version {
        /// The process.
        pid: u32,
        /// Its version.
        version: String,
    },
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// The connection.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// A connection to a feed.
pub struct FeedClient {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    line: Vec<u8>,
    hello: Hello,
}

impl FeedClient {
    /// Connects to the feed that writes the journal in this folder.
    ///
    /// # Errors
    /// [`FeedError::None`] when no feed listens there, [`FeedError::Forbidden`] when another user's does.
    pub async fn connect(journal: &Path) -> Result<Self, FeedError> {
        let path = socket_path(journal);
        let stream = UnixStream::connect(&path).await.map_err(|error| unreachable_at(path, error))?;
        let (reader, writer) = stream.into_split();
        let hello = Hello {
            protocol: 0,
            pid: 0,
            version: String::new(),
            node: String::new(),
            app: String::new(),
            end: Default::default(),
        };
        let mut client = Self { reader: BufReader::new(reader), writer, line: Vec::new(), hello };
        match client.next_within(ANSWER_LIMIT).await? {
            Answer::Hello(hello) if hello.protocol == PROTOCOL => client.hello = hello,
            Answer::Hello(Hello { pid, version, .. }) => return Err(FeedError::Version { pid, version }),
            other => return Err(unexpected(&other)),
        }
        Ok(client)
    }

    /// Who it is.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// How it is.
    ///
    /// # Errors
    /// When it has gone or doesn't answer.
    pub async fn status(&mut self) -> Result<FeedStatus, FeedError> {
        wire::send(&mut self.writer, &Request::Status {}).await?;
        match self.next_within(ANSWER_LIMIT).await? {
            Answer::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When it has gone.
    pub async fn send(&mut self, request: &Request<'_>) -> Result<(), FeedError> {
        Ok(wire::send(&mut self.writer, request).await?)
    }

    /// The next answer. May be broken off and called again.
    ///
    /// # Errors
    /// When it has gone, or refuses.
    pub async fn next(&mut self) -> Result<Answer, FeedError> {
        wire::read_line(&mut self.reader, &mut self.line).await?;
        let answer = wire::parse(&self.line);
        self.line.clear();
        match answer? {
            Answer::Error { reason } => Err(FeedError::Refused(reason)),
            answer => Ok(answer),
        }
    }

    /// The next answer, within a limit.
    ///
    /// # Errors
    /// [`FeedError::Silent`] when none comes in time.
    pub async fn next_within(&mut self, limit: Duration) -> Result<Answer, FeedError> {
        tokio::time::timeout(limit, self.next()).await.unwrap_or(Err(FeedError::Silent))
    }

    /// Its two halves, for one who reads and writes at the same time; what was read already is in the reader.
    pub(super) fn split(self) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
        (self.reader, self.writer)
    }
}

/// Why nobody could be reached at this socket.
fn unreachable_at(path: PathBuf, source: std::io::Error) -> FeedError {
    use std::io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound, PermissionDenied};
    match source.kind() {
        NotFound | ConnectionRefused => FeedError::None,
        PermissionDenied => FeedError::Forbidden { path, source },
        InvalidInput => FeedError::Wire(WireError::Path { path, source }),
        _ => FeedError::Wire(source.into()),
    }
}

fn unexpected(answer: &Answer) -> FeedError {
    FeedError::Wire(WireError::Garbage(format!("an answer to nothing: {answer:?}")))
}

#[cfg(test)]
mod tests {
    use super::{FeedError, unreachable_at};

    #[test]
    fn a_feed_of_another_user_is_an_error_that_says_what_to_do() {
        let error = |kind: std::io::ErrorKind| unreachable_at("/journal/main/feed.sock".into(), kind.into());
        let words = error(std::io::ErrorKind::PermissionDenied).to_string();
        for part in ["/journal/main/feed.sock", "same user", "Group="] {
            assert!(words.contains(part), "{words}");
        }
        assert!(matches!(error(std::io::ErrorKind::ConnectionRefused), FeedError::None));
    }
}
