//! Who may go: a lane for each subject, in order, and a limit for all together.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Jobs about one subject go one after the other in the order in which they came; others side by side up to a limit.
pub(super) struct Lanes<S, J> {
    ready: VecDeque<(Option<S>, J)>,
    /// Subjects with a job that is ready or under way, and who waits behind it.
    behind: FxHashMap<S, VecDeque<J>>,
    waiting: usize,
    in_flight: usize,
    max_in_flight: usize,
    max_waiting: usize,
}

impl<S: Eq + Hash + Clone, J> Lanes<S, J> {
    pub(super) fn new(max_in_flight: usize, max_waiting: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            behind: FxHashMap::default(),
            waiting: 0,
            in_flight: 0,
            max_in_flight: max_in_flight.max(1),
            max_waiting,
        }
    }

    /// Takes a job, or gives it back when too many wait. One that can start at once never waits.
    pub(super) fn push(&mut self, subject: Option<S>, job: J) -> Result<(), J> {
        let free = self.in_flight + self.ready.len() < self.max_in_flight;
        let starts_now = free && subject.as_ref().is_none_or(|s| !self.behind.contains_key(s));
        if self.waiting >= self.max_waiting && !starts_now {
            return Err(job);
        }
        self.waiting += 1;
        match subject {
            Some(subject) => match self.behind.get_mut(&subject) {
                Some(lane) => lane.push_back(job),
                None => {
                    self.behind.insert(subject.clone(), VecDeque::new());
                    self.ready.push_back((Some(subject), job));
                }
            },
            None => self.ready.push_back((None, job)),
        }
        Ok(())
    }

    /// The next job that may start; it is under way from now on.
    pub(super) fn next(&mut self) -> Option<(Option<S>, J)> {
        if self.in_flight >= self.max_in_flight {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.waiting -= 1;
        self.in_flight += 1;
        Some(next)
    }

    /// A job of this subject is no longer under way; the one behind it is ready.
    pub(super) fn done(&mut self, subject: Option<&S>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(subject) = subject else { return };
        match self.behind.get_mut(subject).and_then(VecDeque::pop_front) {
            Some(job) => self.ready.push_back((Some(subject.clone()), job)),
            None => {
                self.behind.remove(subject);
            }
        }
    }

    /// Drops whatever waits.
    pub(super) fn clear_waiting(&mut self) {
        for (subject, _) in self.ready.drain(..) {
            if let Some(subject) = subject {
                self.behind.remove(&subject);
            }
        }
        self.behind.values_mut().for_each(VecDeque::clear);
        self.waiting = 0;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(lanes: &mut Lanes<&'static str, u32>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.next()).map(|(_, job)| job).collect()
    }

    #[test]
    fn one_subject_in_order_others_side_by_side() {
        let mut lanes = Lanes::new(3, 100);
        for (subject, job) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
            lanes.push(Some(subject), job).unwrap();
        }
        lanes.push(None, 5).unwrap();
        lanes.push(None, 6).unwrap();
        assert_eq!(started(&mut lanes), [1, 3, 5]);
        assert_eq!((lanes.in_flight(), lanes.waiting()), (3, 3));
        lanes.done(None);
        assert_eq!(started(&mut lanes), [6], "2 waits for 1");
        lanes.done(Some(&"a"));
        assert_eq!(started(&mut lanes), [2]);
        lanes.done(Some(&"b"));
        assert!(started(&mut lanes).is_empty(), "4 waits for 2");
        lanes.done(Some(&"a"));
        assert_eq!(started(&mut lanes), [4]);
        lanes.done(Some(&"a"));
        lanes.done(None);
        assert_eq!((lanes.in_flight(), lanes.waiting(), lanes.behind.len()), (0, 0, 0));
    }

    #[test]
    fn what_is_too_much_comes_back() {
        let mut lanes = Lanes::new(1, 1);
        lanes.push(None, 1).unwrap();
        assert_eq!(started(&mut lanes), [1]);
        lanes.push(None, 2).unwrap();
        assert_eq!(lanes.push(None, 3), Err(3));
        lanes.done(None);
        assert_eq!(started(&mut lanes), [2]);
    }

    #[test]
    fn with_no_room_to_wait_a_job_still_starts_on_a_free_place() {
        let mut lanes = Lanes::new(1, 0);
        lanes.push(Some("a"), 1).unwrap();
        assert_eq!(started(&mut lanes), [1]);
        assert_eq!(lanes.push(Some("a"), 2), Err(2));
    }

    #[test]
    fn a_free_place_is_none_for_a_busy_subject() {
        let mut lanes = Lanes::new(2, 1);
        lanes.push(Some("a"), 1).unwrap();
        assert_eq!(started(&mut lanes), [1]);
        lanes.push(Some("a"), 2).unwrap();
        assert_eq!(lanes.push(Some("a"), 3), Err(3));
        lanes.push(Some("b"), 4).unwrap();
        assert_eq!(started(&mut lanes), [4]);
    }

    #[test]
    fn dropping_what_waits_keeps_what_is_under_way() {
        let mut lanes = Lanes::new(1, 9);
        for job in 1..4 {
            lanes.push(Some("a"), job).unwrap();
        }
        assert_eq!(started(&mut lanes), [1]);
        lanes.clear_waiting();
        assert_eq!((lanes.in_flight(), lanes.waiting()), (1, 0));
        lanes.done(Some(&"a"));
        assert!(started(&mut lanes).is_empty());
        assert_eq!((lanes.in_flight(), lanes.behind.len()), (0, 0));
    }
}
