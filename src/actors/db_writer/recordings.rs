//! Recordings, from their beginning until a while after their end: which event belongs to which row.
//!
//! Asterisk names a recording only by its name, and a name comes again. The events of a bridge's recording come
//! twice. So an event belongs to the latest recording of its name that it fits by time; what is not remembered here
//! (since a start, or a limit) is looked up in the database.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::rows;
use crate::actors::batch::RecordingState;
use crate::db::recordings::RecordingRow;
use crate::model::{CallUid, NodeId, Timestamp};

/// Recordings remembered, at most; Asterisk would have to make as many at once. Beyond, the oldest is read from the
/// database again when its end comes.
const MAX_RECORDINGS: usize = 10_000;

/// How long after its end, in journal time, a recording is remembered for late and doubled events.
const LINGER_MS: i64 = 60_000;

/// Twin events of one recording are not further apart; its twins were measured to carry the same millisecond.
const TWIN_MS: i64 = 1_000;

#[derive(Debug)]
struct Known {
    row: RecordingRow,
    /// Journal time of its end.
    ended: Option<Timestamp>,
}

/// What is remembered of a node's recordings.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    known: FxHashMap<String, Vec<Known>>,
    len: usize,
    ending: VecDeque<(Timestamp, String)>,
    now: Timestamp,
}

impl Recordings {
    /// Takes one event of a recording in a stretch that was received until `now`, and gives the row as it is then.
    /// `stored` reads the latest row of that name which began before.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        node: &NodeId,
        event: RecordingState,
        call: Option<CallUid>,
        stored: impl FnOnce() -> Option<RecordingRow>,
    ) -> RecordingRow {
        self.advance(now);
        let held = self.known.get_mut(&event.name).and_then(|all| all.iter_mut().rev().find(|k| fits(&k.row, &event)));
        if let Some(known) = held {
            merge(&mut known.row, &event, call);
            let ends = known.row.ended_at.is_some() && known.ended.is_none();
            let row = known.row.clone();
            if ends {
                known.ended = Some(self.now);
                self.ending.push_back((self.now, row.name.clone()));
            }
            return row;
        }
        let row = match stored().filter(|row| fits(row, &event)) {
            Some(mut row) => {
                merge(&mut row, &event, call);
                row
            }
            None => rows::recording(node, event, call),
        };
        self.remember(row.clone());
        row
    }

    /// A call turned out to be part of another: its recordings are that one's.
    pub(super) fn merged(&mut self, gone: &str, survivor: &str) {
        for known in self.known.values_mut().flatten() {
            if known.row.call_uid.as_ref().is_some_and(|uid| uid.as_str() == gone) {
                known.row.call_uid = Some(CallUid::from_stored(survivor));
            }
        }
    }

    fn remember(&mut self, row: RecordingRow) {
        if self.len >= MAX_RECORDINGS {
            self.drop_oldest();
        }
        let name = row.name.clone();
        let all = self.known.entry(name.clone()).or_default();
        // A name is used by one recording at a time: of one that was still open, the end was missed.
        for known in all.iter_mut().filter(|k| k.ended.is_none()) {
            known.ended = Some(self.now);
            self.ending.push_back((self.now, name.clone()));
        }
        let ended = row.ended_at.map(|_| self.now);
        if ended.is_some() {
            self.ending.push_back((self.now, name));
        }
        all.push(Known { row, ended });
        all.sort_by_key(|k| k.row.started_at);
        self.len += 1;
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while self.ending.front().is_some_and(|(at, _)| self.now.since(*at) >= LINGER_MS) {
            let Some((_, name)) = self.ending.pop_front() else { return };
            let now = self.now;
            self.keep(&name, |k| k.ended.is_none_or(|at| now.since(at) < LINGER_MS));
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.known.iter().filter_map(|(name, all)| Some((all.first()?.row.started_at, name))).min();
        if let Some((started, name)) = oldest.map(|(started, name)| (started, name.clone())) {
            self.keep(&name, |k| k.row.started_at != started);
        }
    }

    fn keep(&mut self, name: &str, keep: impl Fn(&Known) -> bool) {
        let Some(all) = self.known.get_mut(name) else { return };
        let before = all.len();
        all.retain(keep);
        self.len -= before - all.len();
        if all.is_empty() {
            self.known.remove(name);
        }
    }
}

/// Whether an event belongs to this recording.
fn fits(row: &RecordingRow, event: &RecordingState) -> bool {
    match (event.begins, row.ended_at) {
        (true, None) => event.at.since(row.started_at).abs() <= TWIN_MS,
        (true, Some(ended)) => event.at == row.started_at || (row.started_at..ended).contains(&event.at),
        (false, None) => event.at >= row.started_at,
        (false, Some(ended)) => event.at >= row.started_at && event.at.since(ended) <= TWIN_MS,
    }
}

fn merge(row: &mut RecordingRow, event: &RecordingState, call: Option<CallUid>) {
    row.call_uid = row.call_uid.take().or(call);
    if !event.begins {
        row.state.clone_from(&event.state);
        row.duration_s = event.duration_s.or(row.duration_s);
        row.ended_at = Some(row.ended_at.map_or(event.at, |was| was.min(event.at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, ms: i64, begins: bool) -> RecordingState {
        RecordingState {
            name: name.to_owned(),
            target: "bridge:b".to_owned(),
            format: "wav".to_owned(),
            state: if begins { "recording" } else { "done" }.to_owned(),
            duration_s: (!begins).then_some(2),
            at: Timestamp::from_millis(ms),
            begins,
            chan: None,
        }
    }

    fn take(recordings: &mut Recordings, event: RecordingState, stored: Option<RecordingRow>) -> (i64, Option<i64>) {
        let now = event.at;
        let row = recordings.take(now, &NodeId::new("n"), event, None, || stored);
        (row.started_at.millis(), row.ended_at.map(Timestamp::millis))
    }

    #[test]
    fn a_name_that_is_used_again_is_a_new_row_and_twins_are_none() {
        let mut recordings = Recordings::default();
        assert_eq!(take(&mut recordings, event("r", 1_000, true), None), (1_000, None));
        assert_eq!(take(&mut recordings, event("r", 1_000, true), None), (1_000, None));
        assert_eq!(take(&mut recordings, event("r", 9_000, false), None), (1_000, Some(9_000)));
        assert_eq!(take(&mut recordings, event("r", 9_001, false), None), (1_000, Some(9_000)));
        assert_eq!(take(&mut recordings, event("r", 1_000, true), None), (1_000, Some(9_000)), "a late beginning");
        assert_eq!(take(&mut recordings, event("r", 9_200, true), None), (9_200, None), "the name is used again");
        assert_eq!(take(&mut recordings, event("r", 9_000, false), None), (1_000, Some(9_000)), "a late end");
        assert_eq!(take(&mut recordings, event("r", 12_000, false), None), (9_200, Some(12_000)));
    }

    #[test]
    fn after_a_start_the_open_row_of_the_database_goes_on() {
        let stored = rows::recording(&NodeId::new("n"), event("r", 1_000, true), Some(CallUid::from_stored("n/1/1")));
        let mut recordings = Recordings::default();
        let row =
            recordings.take(Timestamp::from_millis(9_000), &NodeId::new("n"), event("r", 9_000, false), None, || {
                Some(stored.clone())
            });
        assert_eq!((row.started_at.millis(), row.ended_at.map(Timestamp::millis)), (1_000, Some(9_000)));
        assert_eq!(row.call_uid, stored.call_uid);
        // A beginning long after is another recording, though the end of the stored one was never seen.
        let mut recordings = Recordings::default();
        assert_eq!(take(&mut recordings, event("r", 90_000, true), Some(stored)), (90_000, None));
    }

    #[test]
    fn ended_recordings_are_forgotten_and_open_ones_bounded() {
        let mut recordings = Recordings::default();
        for i in 0..1_000 {
            let name = format!("r{i}");
            take(&mut recordings, event(&name, i * 1_000, true), None);
            take(&mut recordings, event(&name, i * 1_000 + 500, false), None);
        }
        assert!(recordings.len <= 62 && recordings.ending.len() <= 62, "{} remembered", recordings.len);
        for i in 0..20_000 {
            take(&mut recordings, event(&format!("open{i}"), 2_000_000 + i, true), None);
        }
        assert!(recordings.len <= MAX_RECORDINGS);
        assert_eq!(recordings.known.values().map(Vec::len).sum::<usize>(), recordings.len);
        assert!(recordings.known.contains_key("open19999") && !recordings.known.contains_key("open0"));
    }

    #[test]
    fn a_recording_follows_its_call_into_the_one_that_it_is_part_of() {
        let mut recordings = Recordings::default();
        let call = Some(CallUid::from_stored("n/2/2"));
        let now = Timestamp::from_millis(0);
        recordings.take(now, &NodeId::new("n"), event("r", 0, true), call.clone(), || None);
        recordings.merged("n/2/2", "n/1/1");
        let row = recordings.take(now, &NodeId::new("n"), event("r", 2_000, false), call, || None);
        assert_eq!(row.call_uid, Some(CallUid::from_stored("n/1/1")));
    }
}
