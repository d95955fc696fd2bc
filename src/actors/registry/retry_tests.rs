//! The registry while what it reads, or the database, fails: it tries again, and not ever more often.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::*;
use crate::actors::db_writer::{Recalled, journal_of};
use crate::model::NodeId;

/// A journal that can't be read so many times, and then holds this.
struct Failing {
    reads: Arc<AtomicUsize>,
    fails: usize,
    holds: Option<Chunk>,
}

impl Source for Failing {
    fn read(&mut self, _: usize) -> Result<Option<Chunk>, JournalError> {
        if self.reads.fetch_add(1, Ordering::SeqCst) < self.fails {
            let source = std::io::Error::other("no disk");
            return Err(JournalError::Io { doing: "read", path: "journal".into(), source });
        }
        Ok(self.holds.take())
    }

    fn ends(&self) -> bool {
        false
    }
}

/// A database that takes nothing and can't be asked.
struct NoDatabase(Arc<AtomicUsize>);

impl Actor for NoDatabase {
    type Context = Context<Self>;
}

impl Handler<Write> for NoDatabase {
    type Result = ();

    fn handle(&mut self, _: Write, _: &mut Self::Context) {}
}

impl Handler<Recall> for NoDatabase {
    type Result = Result<Recalled, String>;

    fn handle(&mut self, _: Recall, _: &mut Self::Context) -> Self::Result {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err("locked".to_owned())
    }
}

/// A registry of that journal; how often the database was asked.
fn started(source: Failing) -> (Addr<Registry>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let database = NoDatabase(asked.clone()).start();
    let setup = RegistrySetup {
        stream: journal_of(&NodeId::new("main")),
        app: "callcenter-app".into(),
        source: Box::new(source),
        writer: database.clone().recipient(),
        commands: None,
        journal: None,
        calls: config::Calls::default(),
        start: StreamStart::default(),
        from: 0,
        recall: Some(database.recipient()),
        hold_bytes: None,
        live_from: 0,
        exited: None,
        finished: None,
    };
    (Registry::new(setup).start(), asked)
}

/// Appends until it has been tried three times: each try but the first waited for its time.
async fn three_tries(registry: &Addr<Registry>, tried: &AtomicUsize) {
    let begun = Instant::now();
    let mut end = 0;
    while tried.load(Ordering::SeqCst) < 3 {
        end += 1;
        registry.send(Appended { end: Position(end) }).await.unwrap();
        assert!(begun.elapsed() < READ_AGAIN * 20, "not tried again");
    }
    let enough = READ_AGAIN * 2 - Duration::from_millis(50);
    assert!(begun.elapsed() >= enough, "tried 3 times in {:?}, at {end} entries", begun.elapsed());
    assert!(registry.send(RegistryStatus).await.unwrap().error.is_some());
}

#[actix::test]
async fn a_journal_that_can_not_be_read_is_tried_once_a_second_however_much_is_appended() {
    let reads = Arc::new(AtomicUsize::new(0));
    let (registry, _) = started(Failing { reads: reads.clone(), fails: usize::MAX, holds: None });
    three_tries(&registry, &reads).await;
}

#[actix::test]
async fn a_database_that_can_not_be_asked_is_tried_once_a_second_however_much_is_appended() {
    let holds = Chunk { start: Position(0), end: Position(3), bytes: "{}\n".into(), skipped: None };
    let (registry, asked) = started(Failing { reads: Arc::default(), fails: 0, holds: Some(holds) });
    three_tries(&registry, &asked).await;
}

#[actix::test]
async fn a_journal_that_can_be_read_again_is_not_shown_as_failing_though_nothing_is_new_in_it() {
    let (registry, _) = started(Failing { reads: Arc::default(), fails: 1, holds: None });
    let deadline = Instant::now() + Duration::from_secs(20);
    for failing in [true, false] {
        while registry.send(RegistryStatus).await.unwrap().error.is_some() != failing {
            assert!(Instant::now() < deadline, "failing is never {failing}");
        }
    }
}
