//! Accept mode's memory of how the last session ended, beside the journal: Asterisk keeps events for a feed that it
//! connects to, so a feed that closed in order may have missed nothing while it was away.
//!
//! `away.json` stands there from an orderly close to the end of the backlog that the next session begins with. Whoever
//! begins to read that takes the word `clean` away first: a feed that is killed in the middle has lost the rest.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::ari::entry::Gap;

/// The file's name.
const FILE: &str = "away.json";
/// The journal's times have six decimals.
const ROUNDED_S: f64 = 1e-5;

/// Since when nothing was heard, and what Asterisk it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    /// Until when everything was certainly heard, seconds since 1970.
    since: f64,
    /// Asterisk's start: another one keeps nothing.
    startup: String,
    /// Whether the socket was closed in order and nothing has been read since.
    clean: bool,
}

/// One node's.
#[derive(Debug)]
pub(super) struct Away {
    file: PathBuf,
    /// What stood there when the session began.
    before: RefCell<Option<Mark>>,
    /// The start of the Asterisk of this session.
    startup: RefCell<Option<String>>,
}

/// What was heard before the journal is listened to again: `found`, or what `away.json` says, if that is earlier.
pub fn heard_before(dir: &Path, found: Option<f64>) -> Option<f64> {
    let since = Away::beside(dir).read().map(|mark| mark.since);
    found.map(|at| since.map_or(at, |since| at.min(since)))
}

impl Away {
    /// In the journal's folder.
    pub(super) fn beside(dir: &Path) -> Self {
        Self { file: dir.join(FILE), before: RefCell::default(), startup: RefCell::default() }
    }

    fn read(&self) -> Option<Mark> {
        let text = std::fs::read(&self.file).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(&self, mark: &Mark) -> io::Result<()> {
        // Torn by a crash it is none, and there is a gap.
        std::fs::write(&self.file, serde_json::to_vec(mark)?)
    }

    /// A session begins: what it is about to read can't be read a second time.
    pub(super) fn begin(&self) {
        let before = self.read();
        if let Some(mark) = &before
            && let Err(error) = self.write(&Mark { clean: false, ..mark.clone() })
        {
            warn!("{} can't be written ({error}), so the time away counts as a gap", self.file.display());
            self.forget();
            self.before.replace(None);
            return;
        }
        self.before.replace(before);
        self.startup.replace(None);
    }

    /// Whether Asterisk, which started at `startup`, kept everything since `heard` for this session, as far as the way
    /// the last one ended tells.
    pub(super) fn nothing_missed(&self, startup: Option<String>, heard: Option<&Gap>) -> bool {
        let before = self.before.borrow();
        let same = before.as_ref().is_some_and(|mark| {
            // A journal that knows less than the mark has lost its end.
            mark.clean
                && startup.as_ref() == Some(&mark.startup)
                && heard.is_some_and(|gap| gap.since > mark.since - ROUNDED_S)
        });
        self.startup.replace(startup);
        same
    }

    /// The backlog has been read, or its time is a gap in the journal.
    pub(super) fn forget(&self) {
        match std::fs::remove_file(&self.file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("{} can't be removed: {error}", self.file.display()),
        }
    }

    /// The session was closed in order after its backlog, all of it is in the journal, and everything was heard until
    /// `since`.
    pub(super) fn closed(&self, since: f64) {
        let Some(startup) = self.startup.borrow().clone() else { return };
        if let Err(error) = self.write(&Mark { since, startup, clean: true }) {
            warn!("{} can't be written ({error}), so the time away will count as a gap", self.file.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_missed(away: &Away, startup: Option<String>, since: f64) -> bool {
        away.nothing_missed(startup, Some(&Gap { since, reason: "away".into() }))
    }

    #[test]
    fn only_an_orderly_close_before_the_same_asterisk_misses_nothing_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let began = || {
            let away = Away::beside(folder.path());
            away.begin();
            away
        };
        let here = || Some("2026-11-22T12:00:00.000+0000".to_owned());
        assert!(!nothing_missed(&began(), here(), 0.0), "nothing is known of a session before");
        let close = |since| {
            let away = began();
            nothing_missed(&away, here(), 0.0);
            away.forget();
            away.closed(since);
        };
        close(1_000.5);
        assert!(nothing_missed(&began(), here(), 1_000.5));
        assert!(!nothing_missed(&began(), here(), 1_000.5), "the backlog was begun and not read to its end");
        assert_eq!(heard_before(folder.path(), Some(1_007.0)), Some(1_000.5), "what came of it is not all");
        close(1_000.5);
        assert!(!nothing_missed(&began(), Some("2026-11-22T12:00:01.000+0000".into()), 1_000.5), "another start");
        close(1_000.5);
        assert!(!nothing_missed(&began(), None, 1_000.5), "an unknown start");
        close(1_000.5);
        assert!(!nothing_missed(&began(), here(), 999.0), "the journal lost its end");
        close(1_000.5);
        assert!(nothing_missed(&began(), here(), 1_000.500_001));
        std::fs::write(folder.path().join(FILE), "{\"since\":1000.5,").unwrap();
        assert!(!nothing_missed(&began(), here(), 1_000.5), "a torn file");
        assert_eq!(heard_before(folder.path(), Some(7.0)), Some(7.0));
        assert_eq!(heard_before(folder.path(), None), None, "a journal that begins");
    }
}
