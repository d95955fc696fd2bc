//! What a follower sends, as a feed reads it.

use actix::prelude::*;
use serde_json::value::RawValue;
use tokio::io::BufReader;
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::super::socket_path;
use super::super::wire::{self, Answer, Hello, MAX_LINE_BYTES, PROTOCOL, Request};
use super::*;
use crate::actors::messages::{EntryBody, Frame, FrameBody};
use crate::ari::entry::{BadFrame, Line};

struct Parent;

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<Exited> for Parent {
    type Result = ();

    fn handle(&mut self, _: Exited, _: &mut Self::Context) {}
}

/// A feed as far as the follower sees one.
struct Feed {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    line: Vec<u8>,
}

impl Feed {
    async fn accept(listener: &UnixListener) -> Self {
        let (reader, mut writer) = listener.accept().await.unwrap().0.into_split();
        let (node, app) = ("n".to_owned(), "cc-feed".to_owned());
        let end = Position::START;
        let hello = Hello { protocol: PROTOCOL, pid: 1, version: "0".into(), node, app, end };
        wire::send(&mut writer, &Answer::Hello(hello)).await.unwrap();
        let mut feed = Self { reader: BufReader::new(reader), writer, line: Vec::new() };
        assert!(matches!(feed.request().await, Request::Follow { .. }));
        wire::send(&mut feed.writer, &Answer::Following { oldest: end, end }).await.unwrap();
        feed
    }

    async fn request(&mut self) -> Request<'_> {
        self.line.clear();
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, wire::read_line(&mut self.reader, &mut self.line)).await.unwrap().unwrap();
        wire::parse(&self.line).unwrap()
    }

    /// The lines of the next `append`, which is answered.
    async fn appended(&mut self) -> Vec<String> {
        let Request::Append { id, lines } = self.request().await else { panic!("no append") };
        let lines = lines.iter().map(|line| line.get().to_owned()).collect();
        wire::send(&mut self.writer, &Answer::Done { id }).await.unwrap();
        lines
    }
}

fn follower(dir: &std::path::Path) -> Addr<FollowedJournal> {
    let options = FollowOptions {
        node: NodeId::new("n"),
        dir: dir.to_owned(),
        max_frame_bytes: 256 * 1024 * 1024,
        committed: Position::START,
        open: watch::Sender::new(false),
        parent: Parent.start().recipient(),
    };
    FollowedJournal::start_with(options, (Position::START, Position::START))
}

fn bad(line: &str) -> BadFrame {
    serde_json::from_str::<Line<'_>>(line).unwrap().bad.unwrap_or_else(|| panic!("{line}"))
}

fn frame(text: &str) -> Frame {
    Frame { at: 7.0, body: FrameBody::Text(text.into()) }
}

#[actix::test]
async fn a_frame_that_would_break_the_request_is_noted_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(socket_path(folder.path())).unwrap();
    let follower = follower(folder.path());
    let mut feed = Feed::accept(&listener).await;
    let good = r#"{"type":"X"}"#;
    let frames = [good, "{nonsense}", r#"{"a":1}, "gap":{}"#, good].map(frame);
    let sent = follower.send(AppendFrames(frames.into()));
    let lines = feed.appended().await;
    assert_eq!(sent.await.unwrap(), Ok(()));
    let [first, second, third, last] = &lines[..] else { panic!("{lines:?}") };
    assert!(first.contains(good) && last.contains(good), "{lines:?}");
    let noted = bad(second);
    assert_eq!((noted.length, noted.sample.as_str()), (10, "{nonsense}"));
    assert!(noted.reason.contains("no JSON"), "{noted:?}");
    assert_eq!(bad(third).sample, r#"{"a":1}, "gap":{}"#, "it must not become another entry");
    assert!(second.contains("\"at\": 7.0"), "{second}");
}

#[actix::test]
async fn what_is_longer_than_a_request_is_noted_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(socket_path(folder.path())).unwrap();
    let follower = follower(folder.path());
    let mut feed = Feed::accept(&listener).await;
    let huge = format!(r#"{{"x":"{}"}}"#, "y".repeat(MAX_LINE_BYTES));
    let sent = follower.send(AppendFrames(vec![frame(&huge), frame("{}")]));
    let lines = feed.appended().await;
    assert_eq!(sent.await.unwrap(), Ok(()));
    let noted = bad(&lines[0]);
    assert!(noted.length == huge.len() && noted.sample.starts_with(r#"{"x":"yyy"#), "{noted:?}");
    assert!(noted.reason.contains("longer"), "{noted:?}");
    assert!(lines[1].contains("\"event\": {}"), "{}", lines[1]);
    let snapshot = EntryBody::Snapshot(RawValue::from_string(huge).unwrap());
    let sent = follower.send(AppendEntry { at: 8.0, entry: snapshot });
    let lines = feed.appended().await;
    assert_eq!(sent.await.unwrap(), Ok(()));
    assert!(bad(&lines[0]).reason.contains("longer"), "{lines:?}");
}
