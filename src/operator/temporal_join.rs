//! The join of events with the version of a dimension that was valid at their time.

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{
    Key, KeyedStateBackend, MapState, Payload, StateResult, TimeDomain, TimerService, ValueState, VoidNamespace, mix,
};
use crate::workload::Now;

/// Joins left rows with the latest version on the right that is not younger, as Flink's `TemporalRowTimeJoinOperator`:
/// left rows wait until the watermark has passed their time, and of the versions that it has passed only the last is
/// kept. One timer for each key waits for the earliest time of what has come.
pub struct TemporalJoin {
    left_rows: MapState<VoidNamespace, i64, TimedRow>,
    versions: MapState<VoidNamespace, i64, TimedRow>,
    next_index: ValueState<VoidNamespace, i64>,
    registered_timer: ValueState<VoidNamespace, i64>,
    timers: TimerService<VoidNamespace>,
    /// Working space: the left rows of a key whose time has passed.
    due: Vec<Due>,
    /// Working space: times and hashes of the versions of a key, in order of time.
    sorted: Vec<(i64, u64)>,
    /// Working space for the bytes of a key.
    scratch: Vec<u8>,
}

/// A row with its event time.
type TimedRow = (i64, i64, Payload);

fn hash((_, value, payload): &TimedRow) -> u64 {
    mix(*value as u64, payload.head())
}

/// A left row whose time has passed.
struct Due {
    index: i64,
    time_ms: i64,
    hash: u64,
}

impl<K: Key> Operator<K> for TemporalJoin {
    type Spec = ();
    /// A version that comes after a younger one takes its timer, so which versions are left depends on when it fires.
    const SEES_EVERY_WATERMARK: bool = true;

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            left_rows: backend.map_state("left-rows")?,
            versions: backend.map_state("versions")?,
            next_index: backend.value_state("next-index")?,
            registered_timer: backend.value_state("registered-timer")?,
            timers: backend.timer_service("timers")?,
            due: Vec::new(),
            sorted: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// A version of the dimension, which the watermark has passed.
    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        let version = (event.time_ms, event.value, std::mem::take(&mut event.payload));
        backend.map_put(self.versions, &VoidNamespace, event.time_ms, version)
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        _: &mut Collector,
    ) -> StateResult<()> {
        let row = (event.time_ms, event.value, std::mem::take(&mut event.payload));
        if event.stream == 0 {
            let index = backend.value(self.next_index, &VoidNamespace)?.map_or(0, |index| *index);
            backend.update(self.next_index, &VoidNamespace, index + 1)?;
            backend.map_put(self.left_rows, &VoidNamespace, index, row)?;
        } else {
            backend.map_put(self.versions, &VoidNamespace, event.time_ms, row)?;
        }
        self.register_smallest_timer(backend, event.time_ms)
    }

    fn on_time<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, now: Now, out: &mut Collector) -> StateResult<u64> {
        let mut fired = 0;
        while let Some(timer) = backend.take_timer(self.timers, TimeDomain::EventTime, now.watermark_ms)? {
            backend.clear_value(self.registered_timer, &VoidNamespace)?;
            let key = timer.key.fingerprint(&mut self.scratch);
            let next_ms = self.take_due(backend, now.watermark_ms)?;
            self.read_versions(backend)?;
            self.emit_due(key, out);
            self.remove_old_versions(backend, now.watermark_ms)?;
            if let Some(next_ms) = next_ms {
                self.register_timer(backend, next_ms)?;
            }
            fired += 1;
        }
        Ok(fired)
    }
}

impl TemporalJoin {
    fn register_smallest_timer<K: Key, B: KeyedStateBackend<K>>(
        &self,
        backend: &mut B,
        time_ms: i64,
    ) -> StateResult<()> {
        let registered_ms = backend.value(self.registered_timer, &VoidNamespace)?.map(|registered_ms| *registered_ms);
        match registered_ms {
            Some(registered_ms) if registered_ms <= time_ms => return Ok(()),
            Some(later_ms) => backend.delete_timer(self.timers, TimeDomain::EventTime, &VoidNamespace, later_ms)?,
            None => {}
        }
        self.register_timer(backend, time_ms)
    }

    fn register_timer<K: Key, B: KeyedStateBackend<K>>(&self, backend: &mut B, time_ms: i64) -> StateResult<()> {
        backend.update(self.registered_timer, &VoidNamespace, time_ms)?;
        backend.register_timer(self.timers, TimeDomain::EventTime, &VoidNamespace, time_ms)
    }

    /// Takes the left rows out whose time the watermark has passed; the earliest time of the others.
    fn take_due<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        watermark_ms: i64,
    ) -> StateResult<Option<i64>> {
        let (due, mut next_ms) = (&mut self.due, None);
        due.clear();
        backend.map_scan(self.left_rows, &VoidNamespace, |index, row: &TimedRow| {
            if row.0 <= watermark_ms {
                due.push(Due { index: *index, time_ms: row.0, hash: hash(row) });
            } else {
                next_ms = Some(next_ms.map_or(row.0, |next_ms: i64| next_ms.min(row.0)));
            }
        })?;
        due.iter().try_for_each(|row| backend.map_remove(self.left_rows, &VoidNamespace, &row.index))?;
        Ok(next_ms)
    }

    fn read_versions<K: Key, B: KeyedStateBackend<K>>(&mut self, backend: &mut B) -> StateResult<()> {
        let sorted = &mut self.sorted;
        sorted.clear();
        backend.map_scan(self.versions, &VoidNamespace, |time_ms, version: &TimedRow| {
            sorted.push((*time_ms, hash(version)));
        })?;
        sorted.sort_unstable();
        Ok(())
    }

    /// How many versions are not younger than this time.
    fn versions_until(&self, time_ms: i64) -> usize {
        self.sorted.partition_point(|(version_ms, _)| *version_ms <= time_ms)
    }

    /// Emits the left rows that are due with the version of their time, those that have one. A row is told from the others
    /// of its key by its index.
    fn emit_due(&self, key: u64, out: &mut Collector) {
        for row in &self.due {
            if let Some(last) = self.versions_until(row.time_ms).checked_sub(1) {
                out.emit_of(mix(key, row.index as u64), mix(row.hash, self.sorted[last].1));
            }
        }
    }

    /// Removes the versions that the watermark has passed, but for the last of them.
    fn remove_old_versions<K: Key, B: KeyedStateBackend<K>>(
        &self,
        backend: &mut B,
        watermark_ms: i64,
    ) -> StateResult<()> {
        let old = self.versions_until(watermark_ms).saturating_sub(1);
        let mut versions = self.sorted[..old].iter();
        versions.try_for_each(|(time_ms, _)| backend.map_remove(self.versions, &VoidNamespace, time_ms))
    }
}
