//! What goes on in a store beside the events, and what has gone on: told by the store, read by who measures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::measure::{Condition, Conditions};
use crate::result::EpisodeKind;

/// Something that went on in a store for a while.
#[derive(Debug, Clone)]
pub struct StoreEpisode {
    /// What it was.
    pub kind: EpisodeKind,
    /// When it began.
    pub begin: Instant,
    /// When it ended.
    pub end: Instant,
    /// What it wrote, bytes.
    pub bytes: Option<u64>,
    /// More about it.
    pub detail: String,
}

/// What an event sees while an episode goes on.
fn condition_of(kind: EpisodeKind) -> Condition {
    match kind {
        EpisodeKind::Checkpoint => Condition::Checkpoint,
        EpisodeKind::Flush => Condition::Flush,
        EpisodeKind::Compaction => Condition::Compaction,
        EpisodeKind::Delayed | EpisodeKind::Stopped => Condition::Stall,
        EpisodeKind::Rehash => Condition::Rehash,
    }
}

/// Episodes that are kept between two calls of [`StoreEvents::take`]; a store that has more only counts them.
const MOST_EPISODES: usize = 10_000;

/// What goes on in the store of one backend, and what has gone on.
#[derive(Debug, Default)]
pub struct StoreEvents {
    conditions: Arc<Conditions>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    open: Vec<Open>,
    done: Vec<StoreEpisode>,
    /// Episodes that found no room.
    unlisted: u64,
}

/// An episode that goes on.
#[derive(Debug)]
struct Open {
    kind: EpisodeKind,
    /// The job that does it, and the state that it is done to: what tells it from others of its kind.
    job: i32,
    state: String,
    begin: Instant,
}

impl StoreEvents {
    /// What goes on, for the probe.
    pub fn conditions(&self) -> &Arc<Conditions> {
        &self.conditions
    }

    /// What has come to its end since the last call, and how many episodes found no room in the list.
    pub fn take(&self) -> (Vec<StoreEpisode>, u64) {
        let mut log = self.log();
        (std::mem::take(&mut log.done), std::mem::take(&mut log.unlisted))
    }

    /// What still goes on, up to now.
    pub fn going_on(&self) -> Vec<StoreEpisode> {
        let end = Instant::now();
        let so_far = |open: &Open| StoreEpisode {
            kind: open.kind,
            begin: open.begin,
            end,
            bytes: None,
            detail: format!("{}, going on", open.state),
        };
        self.log().open.iter().map(so_far).collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An episode begins.
    pub fn began(&self, kind: EpisodeKind, job: i32, state: String) {
        self.conditions.begin(condition_of(kind));
        self.log().open.push(Open { kind, job, state, begin: Instant::now() });
    }

    /// Ends the episode of this kind, job and state, if it was heard to begin.
    pub fn ended(&self, kind: EpisodeKind, job: i32, state: &str, bytes: Option<u64>, detail: String) {
        let mut log = self.log();
        let is_it = |open: &Open| open.kind == kind && open.job == job && open.state == state;
        let Some(position) = log.open.iter().position(is_it) else { return };
        let Open { begin, .. } = log.open.swap_remove(position);
        if log.done.len() < MOST_EPISODES {
            log.done.push(StoreEpisode { kind, begin, end: Instant::now(), bytes, detail });
        } else {
            log.unlisted += 1;
        }
        drop(log);
        self.conditions.end(condition_of(kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_write_is_an_episode() {
        let events = StoreEvents::default();
        events.began(EpisodeKind::Stopped, 0, "counts".to_owned());
        assert!(events.conditions().look().contains(Condition::Stall));
        let going_on = events.going_on();
        assert_eq!((going_on.len(), events.take().0.len()), (1, 0));
        assert_eq!((going_on.len(), going_on[0].detail.as_str()), (1, "counts, going on"));
        events.ended(EpisodeKind::Stopped, 0, "counts", None, "counts".to_owned());
        events.ended(EpisodeKind::Stopped, 0, "counts", None, "counts".to_owned());
        assert!(events.conditions().look().is_empty());
        assert_eq!(events.take().0.len(), 1);
    }
}
