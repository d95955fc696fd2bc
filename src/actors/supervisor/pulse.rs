//! Whether every actor still answers.

use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{join, join_all};

use super::Supervisor;
use super::node::NodeUnit;
use super::view::PartState;
use crate::actors::db_writer::WriterStatus;

/// Who does not answer within this time? One that failed and waits for its restart is not among them: it is dealt with;
/// nor is a writer that waits for the database: another start would wait for the same.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<String>")]
pub struct Pulse(pub Duration);

impl Handler<Pulse> for Supervisor {
    type Result = ResponseFuture<Vec<String>>;

    fn handle(&mut self, Pulse(limit): Pulse, _: &mut Self::Context) -> Self::Result {
        let writer = self.setup.writer.send(WriterStatus).timeout(limit);
        let shown = self.setup.shown.clone();
        let nodes = join_all(self.nodes.values().map(|unit: &NodeUnit| unit.look(limit)));
        Box::pin(async move {
            let (writer, nodes) = join(writer, nodes).await;
            let mut silent: Vec<String> =
                (writer.is_err() && shown.waiting().is_none()).then(|| "db_writer".to_owned()).into_iter().collect();
            for node in nodes {
                let dumb = node.actors.iter().filter(|a| a.state == PartState::Running && a.mailbox.is_none());
                silent.extend(dumb.map(|actor| format!("{} of '{}'", actor.name, node.name)));
            }
            silent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::db_writer::{DbWriter, Lines};
    use crate::actors::supervisor::SupervisorSetup;
    use crate::config::{Asterisk, Config};

    #[actix::test]
    async fn an_actor_whose_thread_is_stuck_is_named_until_it_answers_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.path = folder.path().join("calls.db");
        // Nobody listens there: its actors run all the same.
        config.asterisk = vec![Asterisk { url: "http://127.0.0.1:9/ari".into(), ..Asterisk::default() }];
        let writer = DbWriter::open(&config.database, Lines::new(&config.lines).unwrap()).unwrap();
        let (io, core, database) = (Arbiter::new(), Arbiter::new(), Arbiter::new());
        let (failed, _failures) = tokio::sync::mpsc::unbounded_channel();
        let supervisor = Supervisor::new(SupervisorSetup {
            shown: writer.shown(),
            writer: DbWriter::start_in_arbiter(&database.handle(), move |_| writer),
            config,
            io: io.handle(),
            core: core.handle(),
            alarms: None,
            failed,
            beat: Default::default(),
        })
        .start();
        let limit = Duration::from_secs(10);
        while supervisor.send(crate::actors::supervisor::SystemStatus).await.unwrap().nodes.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(supervisor.send(Pulse(limit)).await.unwrap(), Vec::<String>::new());
        for (arbiter, names) in [
            (&database, vec!["db_writer"]),
            (&core, vec!["registry of 'main'"]),
            (&io, vec!["connection of 'main'", "journal of 'main'", "ari_command of 'main'"]),
        ] {
            let (release, stuck) = std::sync::mpsc::channel::<()>();
            assert!(arbiter.spawn_fn(move || stuck.recv().unwrap_or_default()));
            assert_eq!(supervisor.send(Pulse(Duration::from_millis(200))).await.unwrap(), names);
            drop(release);
            assert_eq!(supervisor.send(Pulse(limit)).await.unwrap(), Vec::<String>::new());
        }
    }
}
