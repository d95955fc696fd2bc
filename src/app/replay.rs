//! Recorded streams through the same registry, call actors and writer into a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::batch::Stream;
use crate::actors::db_writer::{Attach, DbWriter, Follow, Lines, StreamStart, WriterStatus};
use crate::actors::registry::{Registry, RegistrySetup};
use crate::actors::source::FileSource;
use crate::config::Config;
use crate::model::NodeId;

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events read, also those of an earlier run.
    pub events: u64,
    /// Events written now.
    pub written: u64,
    /// Calls that began, of what was written now.
    pub calls: u64,
    /// Gaps read.
    pub gaps: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// Calls that are still open at the end of the streams.
    pub open: usize,
}

/// Replays files, one after another, each a stream of its own.
///
/// # Errors
/// When a file can't be read or the database not be written, with its name.
pub fn replay(config: &Config, db: &Path, node: &str, app: &str, files: &[PathBuf]) -> Result<Replayed, String> {
    let mut database = config.database.clone();
    database.path = db.to_owned();
    System::new().block_on(async {
        let lines = Lines::new(&config.lines).map_err(|e| e.to_string())?;
        let writer = DbWriter::open(&database, lines).map_err(|e| e.to_string())?;
        let (io, core) = (Arbiter::new(), Arbiter::new());
        let writer = DbWriter::start_in_arbiter(&io.handle(), move |_| writer);
        let mut total = Replayed::default();
        for file in files {
            let node = NodeId::new(node);
            let stream = one(config, &writer, &core, &node, app, file);
            let seen = stream.await.map_err(|e| format!("{}: {e}", file.display()))?;
            total.events += seen.events;
            total.gaps += seen.gaps;
            total.bad += seen.bad_frames;
        }
        let view = writer.send(WriterStatus).await.map_err(|e| e.to_string())?;
        (total.written, total.calls, total.open) = (view.events, view.calls, view.open_calls);
        writer.send(crate::actors::messages::Stop).await.map_err(|e| e.to_string())?;
        io.stop();
        core.stop();
        Ok(total)
    })
}

async fn one(
    config: &Config,
    writer: &Addr<DbWriter>,
    core: &Arbiter,
    node: &NodeId,
    app: &str,
    file: &Path,
) -> Result<crate::actors::registry::RegistryView, String> {
    let print = FileSource::fingerprint(file).map_err(|e| e.to_string())?;
    let stream = Stream { node: node.clone(), name: Arc::from(format!("replay:{print}")) };
    let source = FileSource::open(file).map_err(|e| e.to_string())?;
    let attach = Attach { stream: stream.clone(), registry: None };
    let begin = writer.send(attach).await.map_err(|e| e.to_string())??;
    let (finished, end) = oneshot::channel();
    let setup = RegistrySetup {
        stream: stream.clone(),
        app: app.to_owned(),
        source: Box::new(source),
        writer: writer.clone().recipient(),
        commands: None,
        journal: None,
        calls: config.calls.clone(),
        start: StreamStart { oldest_open: 0, ..begin },
        from: 0,
        recall: None,
        hold_bytes: None,
        live_from: u64::MAX,
        exited: None,
        finished: Some(finished),
    };
    let registry = Registry::start_in_arbiter(&core.handle(), move |_| Registry::new(setup));
    writer.do_send(Follow { stream, registry: registry.clone().recipient() });
    let view = end.await.map_err(|_| "the registry failed; see the log".to_owned())??;
    registry.do_send(crate::actors::messages::Stop);
    Ok(view)
}
