//! One Asterisk and one service on which many scenes are played at the same time, each with SIP
//! endpoints of its own, so that its rows can be told from the others'.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kit::ari::TestApp;
use crate::kit::asterisk::Mark;
use crate::kit::records::{Cdr, talk_ms, together_ms};
use crate::kit::rows::Call;
use crate::kit::sipp::Sipp;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service};

/// How long a call's row may take after the call is over, on a busy machine.
const ROWS: Duration = Duration::from_secs(20);
/// How much a duration may differ from Asterisk's own record, milliseconds.
const TOLERANCE: f64 = 100.0;

/// Everything that a scene plays on.
pub(crate) struct Stage {
    // Dropped first, while Asterisk still answers.
    _app: TestApp,
    pub(crate) service: Service,
    pub(crate) asterisk: Asterisk,
    mark: Mark,
    /// The callees that queues and ring groups of the dialplan name: one scene at a time.
    shared: [Mutex<()>; 3],
}

impl Stage {
    /// Starts it.
    pub(crate) fn open() -> Self {
        let asterisk = Asterisk::start();
        let service = Service::start(&asterisk);
        let app = TestApp::open(&asterisk);
        Self { _app: app, service, mark: asterisk.mark(), asterisk, shared: Default::default() }
    }

    /// Takes 101, 102 or 104 for this scene alone; always in rising order.
    pub(crate) fn take(&self, endpoint: u16) -> MutexGuard<'_, ()> {
        let lock = match endpoint {
            101 => &self.shared[0],
            102 => &self.shared[1],
            104 => &self.shared[2],
            other => panic!("{other} is nobody's to share"),
        };
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A callee that rings `ring` milliseconds, then talks until the caller hangs up.
    #[track_caller]
    pub(crate) fn answerer(&self, endpoint: u16, ring: u32) -> Sipp {
        self.asterisk.answerer(endpoint, ring, 3_600_000)
    }

    /// One call from start to end, which must go as its SIP scenario says.
    #[track_caller]
    pub(crate) fn call(&self, scenario: &str, from: u16, settings: &[&str]) {
        self.asterisk.caller(scenario, from, settings).succeed(s(90));
    }

    /// The `count` calls whose caller is `caller`, all over.
    #[track_caller]
    pub(crate) fn rows(&self, caller: u16, count: usize) -> Vec<Call> {
        self.rows_where(&format!("caller_number = '{caller}'"), count)
    }

    /// The `count` calls that the SQL `condition` holds for, all over.
    #[track_caller]
    pub(crate) fn rows_where(&self, condition: &str, count: usize) -> Vec<Call> {
        closed_rows(&self.service, condition, count)
    }

    /// The one call of `caller`, over, which must be this [`story`].
    #[track_caller]
    pub(crate) fn row(&self, caller: u16, expected: &str) -> Call {
        let call = self.rows(caller, 1).remove(0);
        same(&call, expected);
        call
    }

    /// `talk_ms` must be what the call's record says: from the answer of the leg to its end.
    #[track_caller]
    pub(crate) fn talk_by_cdr(&self, call: &Call) {
        let record = wait::until("Asterisk's call record", s(10), || {
            answered_record(&self.asterisk.cdr_since(self.mark), call).ok_or("none yet")
        });
        close("talk_ms", call.talk_ms, (record.end - record.answer) * 1000.0);
    }

    /// `talk_ms` must be the sum of what these endpoints talked, by Asterisk's channel events (in
    /// queues and after transfers a call record counts from another moment).
    #[track_caller]
    pub(crate) fn talk_by_events(&self, call: &Call, endpoints: &[u16]) {
        let cel = self.asterisk.cel_since(self.mark);
        let talk = |endpoint: &u16| talk_ms(&cel, call.channel(), &format!("PJSIP/{endpoint}"));
        close("talk_ms", call.talk_ms, endpoints.iter().map(talk).sum());
    }

    /// `talk_ms` must be the time that the caller's channel was in bridges with other phones, by
    /// Asterisk's channel events.
    #[track_caller]
    pub(crate) fn talk_together(&self, call: &Call) {
        let cel = self.asterisk.cel_since(self.mark);
        let own = cel.iter().find(|event| event.unique_id == call.channel()).expect("the caller's channel events");
        close("talk_ms", call.talk_ms, together_ms(&cel, &own.chan_name));
    }
}

/// The answered leg of this call in Asterisk's records.
pub(crate) fn answered_record(records: &[Cdr], call: &Call) -> Option<Cdr> {
    let callee = format!("PJSIP/{}-", call.callee_number.as_deref().unwrap_or("?"));
    let mine = |record: &&Cdr| record.uniqueid == call.channel() && record.disposition == "ANSWERED";
    records.iter().filter(mine).find(|record| record.dstchannel.starts_with(&callee)).cloned()
}

/// The `count` calls that the SQL `condition` holds for, all over.
#[track_caller]
pub(crate) fn closed_rows(service: &Service, condition: &str, count: usize) -> Vec<Call> {
    wait::until(&format!("{count} ended calls with {condition}"), ROWS, || {
        let calls = service.rows().try_calls(condition)?;
        let over = calls.len() == count && calls.iter().all(|call| !call.open() && call.ended_at.is_some());
        if over { Ok(calls) } else { Err(format!("{calls:#?}")) }
    })
}

/// The one call that the SQL `condition` holds for must be over, answered by a person and whole.
#[track_caller]
pub(crate) fn answered(service: &Service, condition: &str) {
    let call = closed_rows(service, condition, 1).remove(0);
    let kind = call.answered_kind.as_deref();
    assert_eq!((call.status.as_str(), kind, call.incomplete), ("answered", Some("person"), 0), "{call:#?}");
}

/// The call in words: `100 -> 101 answered 101 caller`, that is caller, dialled number, status,
/// callee and who ended it; `-` is NULL.
pub(crate) fn story(call: &Call) -> String {
    let word = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".into());
    let [from, to] = [&call.caller_number, &call.dialed_number].map(word);
    let [callee, end] = [&call.callee_number, &call.ended_by].map(word);
    format!("{from} -> {to} {} {callee} {end}", call.status)
}

/// The call must be this story; `*` in it stands for anything.
#[track_caller]
pub(crate) fn same(call: &Call, expected: &str) {
    let actual = story(call);
    let mut pairs = actual.split(' ').zip(expected.split(' '));
    let equal = actual.split(' ').count() == expected.split(' ').count();
    assert!(equal && pairs.all(|(is, want)| want == "*" || is == want), "{actual}, expected {expected}: {call:#?}");
}

/// A number of milliseconds must be that of Asterisk's record.
#[track_caller]
pub(crate) fn close(what: &str, actual: Option<i64>, expected: f64) {
    let difference = actual.map(|actual| (actual as f64 - expected).abs());
    assert!(difference.is_some_and(|ms| ms <= TOLERANCE), "{what} is {actual:?}, by Asterisk {expected:.0}");
}
