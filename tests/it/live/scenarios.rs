//! The recorded scenarios, live, several at the same time on one Asterisk. Each scene says how many rows it
//! must leave, so that one row too many anywhere is found at the end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::stage::{Stage, story};
use super::{ari_made, basic, features, queues, recording, to_queues, transfers};
use crate::kit::wait::s;
use crate::kit::{aloud, live};

/// A scene: plays, compares, and gives the number of rows that it left in `calls`.
pub(crate) type Scene = fn(&Stage) -> usize;

#[test]
fn every_scenario_is_recorded_rightly() {
    if !live() {
        return;
    }
    play(&[basic::SCENES, transfers::SCENES, queues::SCENES, ari_made::SCENES].concat());
}

/// On an Asterisk of their own: they need the phones that the others use.
#[test]
fn every_feature_of_the_pbx_is_recorded_rightly() {
    if !live() {
        return;
    }
    play(&[features::SCENES, to_queues::SCENES].concat());
}

/// Scenes at once, over both tests: with all of them at once two cores don't carry Asterisk and a hundred phones through the first
/// seconds, and phones give up.
static PLACES: Places = Places { free: Mutex::new(10), freed: Condvar::new() };

/// So many may be in at once.
struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Places {
    /// Does this as soon as there is a place. (`timed` catches what a scene throws, so that each place becomes free again.)
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

/// Plays scenes at the same time on one stage; `SCENE=name` plays only that one.
fn play(scenes: &[(&str, Scene)]) {
    let only = std::env::var("SCENE").ok();
    let scenes: Vec<_> = scenes.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).collect();
    if let Some(folder) = recording::wanted() {
        return recording::record(&scenes, &folder);
    }
    let mut stage = Stage::open();
    let gaps = stage.service.rows().gaps();
    let mut failures = Vec::new();
    let mut count = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = scenes
            .iter()
            .map(|(name, scene)| {
                let play = || PLACES.within(|| timed(name, *scene, &stage));
                (name, std::thread::Builder::new().name((*name).into()).spawn_scoped(scope, play).unwrap())
            })
            .collect();
        for (name, thread) in threads {
            match thread.join().unwrap() {
                Ok(rows) => count += rows,
                Err(why) => failures.push(format!("{name}: {why}")),
            }
        }
    });
    let close = AssertUnwindSafe(move || {
        if failures.is_empty() {
            end(&stage, count);
            assert_eq!(stage.service.rows().gaps(), gaps, "nothing was cut here");
            stage.service.sigterm();
        } else {
            failures.insert(0, format!("{} scenes failed", failures.len()));
            panic!("{}", failures.join("\n\n"));
        }
    });
    // Said again behind the logs that the stage prints as it falls, so that what went wrong stands at the end.
    if let Err(why) = catch_unwind(close) {
        panic!("{}", said(why.as_ref()));
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text").to_owned()
}

/// Plays one scene; as an error what it said when it failed.
pub(crate) fn timed(name: &str, scene: Scene, stage: &Stage) -> Result<usize, String> {
    let begin = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| scene(stage)));
    let word = if result.is_ok() { "right" } else { "WRONG" };
    aloud(&format!("{name}: {word} after {:.1} s", begin.elapsed().as_secs_f32()));
    result.map_err(|panic| said(panic.as_ref()))
}

/// Nothing is left open, nothing was missed, and there is no row that no scene expects.
fn end(stage: &Stage, expected: usize) {
    stage.asterisk.quiet(s(60));
    let rows = stage.service.rows();
    let all = rows.calls("1");
    let open: Vec<String> = all.iter().filter(|call| call.open()).map(story).collect();
    assert!(open.is_empty(), "left open: {open:#?}");
    let incomplete: Vec<String> = all.iter().filter(|call| call.incomplete != 0).map(story).collect();
    assert!(incomplete.is_empty(), "flagged without a gap: {incomplete:#?}");
    let stories: Vec<String> = all.iter().map(story).collect();
    assert_eq!(stories.len(), expected, "a row too many or too few: {stories:#?}");
    let system = stage.service.system();
    assert!(system.is_object(), "{system}");
}
