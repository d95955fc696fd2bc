//! `callcenter feed`: the events of each Asterisk into its journal, and nothing else.

use std::process::{Child, Command};
use std::time::Duration;

use actix::System;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tracing::{error, info, warn};

use super::notify;
use super::signals::{Signal, Signals};
use crate::actors::feed::{self, FeedNode, FeedSetup, Over};
use crate::config::Loaded;

/// How often a successor is looked at, milliseconds.
const LOOK: Duration = Duration::from_millis(500);

/// Feeds until told to stop, or until another feed has taken over.
///
/// # Errors
/// When it can't be started, or part of it fails; each says what to do.
pub fn feed(loaded: &Loaded) -> Result<(), String> {
    System::new().block_on(run(loaded))
}

async fn run(loaded: &Loaded) -> Result<(), String> {
    let config = &loaded.config;
    if config.asterisk.is_empty() {
        return Err("no Asterisk is configured: name one in ARI_URL".to_owned());
    }
    let mut signals = Signals::listen().map_err(|e| e.to_string())?;
    let (over, mut overs) = mpsc::unbounded_channel();
    let mut nodes = Vec::new();
    for asterisk in &config.asterisk {
        info!(node = %asterisk.name, "callcenter {}: feed of {}", env!("CARGO_PKG_VERSION"), asterisk.shown_url());
        let dir = config.journal_dir().join(&asterisk.name);
        let setup = FeedSetup { asterisk: asterisk.clone(), config: config.clone(), dir, over: over.clone() };
        let started = feed::start(setup).await;
        nodes.push(started.map_err(|reason| format!("the feed of '{}' can't be started: {reason}", asterisk.name))?);
    }
    notify::ready();
    let watchdog = watch(&nodes);
    tokio::pin!(watchdog);
    let mut successor: Option<Child> = None;
    let mut left = 0;
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            over = overs.recv() => match over {
                Some(Ok(Over { node, to })) => {
                    info!(%node, "process {to} goes on; this one ends when all its feeds have been taken over");
                    left += 1;
                    if left == nodes.len() {
                        notify::main_process(to);
                        return Ok(());
                    }
                }
                Some(Err(reason)) => {
                    stop(&nodes).await;
                    return Err(reason);
                }
                None => return Ok(()),
            },
            signal = signals.next() => match signal {
                Signal::Reload => successor = succeed(successor),
                Signal::Connect => {
                    info!("SIGUSR1: what waits to be connected is connected now");
                    nodes.iter().for_each(FeedNode::connect_now);
                }
                Signal::Stop(name) => {
                    info!("{name}: stops in order");
                    notify::stopping();
                    stop(&nodes).await;
                    return Ok(());
                }
            },
            _ = looks.tick() => {
                if let Some(Ok(Some(status))) = successor.as_mut().map(Child::try_wait) {
                    error!("the successor ended ({status}); its log says why");
                    successor = None;
                    if left > 0 {
                        stop(&nodes).await;
                        return Err("a successor took over some feeds and failed".to_owned());
                    }
                }
            }
            () = &mut watchdog => {}
        }
    }
}

async fn stop(nodes: &[FeedNode]) {
    for node in nodes {
        node.stop().await;
    }
}

/// SIGHUP: starts the program anew, which takes over: an upgrade, or another configuration, without a gap.
fn succeed(successor: Option<Child>) -> Option<Child> {
    if successor.is_some() {
        warn!("SIGHUP: a successor is being started already");
        return successor;
    }
    let program = std::env::current_exe().map(|path| {
        // Where the file was replaced, Linux says so behind its name.
        let text = path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
        std::path::PathBuf::from(text)
    });
    let mut command = match program {
        Ok(program) => Command::new(program),
        Err(error) => {
            error!(%error, "SIGHUP: the program's own file is not known");
            return None;
        }
    };
    // The service manager's watchdog is then the successor's.
    command.args(std::env::args_os().skip(1)).env_remove("WATCHDOG_PID");
    match command.spawn() {
        Ok(child) => {
            info!("SIGHUP: process {} is to take over", child.id());
            Some(child)
        }
        Err(error) => {
            error!(%error, "SIGHUP: no successor can be started; this feed goes on");
            None
        }
    }
}

/// Feeds the service manager's watchdog while every feed answers.
async fn watch(nodes: &[FeedNode]) {
    let Some(limit) = notify::watchdog() else { return std::future::pending().await };
    loop {
        let mut alive = true;
        for node in nodes {
            alive &= timeout(limit / 4, node.status()).await.is_ok_and(|status| status.is_some());
        }
        if alive {
            notify::alive();
        } else {
            error!("the feed doesn't answer itself, so the service manager's watchdog is not fed");
        }
        tokio::time::sleep(limit / 4).await;
    }
}
