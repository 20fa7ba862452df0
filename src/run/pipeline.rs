//! The subtask of a pipeline: its operators side by side, each with a backend of its own.
//!
//! What is asked of a subtask as a whole is asked of all of them here. Rows go from one to the next in `stage.rs`, since
//! the next operator may belong to another subtask.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::drive::{Delivery, OperatorPart, PendingOperator, Subtask};
use super::observe::{add_shape, once};
use crate::backend::{
    Census, ChangelogStorage, CleanedEntries, MaterializePlan, Observed, SnapshotRequest, StoreEpisode,
};
use crate::checkpoint::CheckpointError;
use crate::measure::{Conditions, Pace, Probe, RealClock};
use crate::result::{
    CacheCurve, Changelog, RehashStalls, StoreBudget, StoreCounters, StoreSample, StoreShape, StoreUse,
};
use crate::source::Event;
use crate::state::{Digest, HeapUse, JvmHeap, StateResult};
use crate::workload::Now;

/// The operators of a pipeline in one subtask.
pub struct PipelineSubtask<K> {
    first: Box<dyn Subtask<K>>,
    later: Vec<Box<dyn Subtask<i64>>>,
    /// Whether the databases of its operators have one block cache.
    shares_memory: bool,
}

impl<K> PipelineSubtask<K> {
    /// Of the first operator, which takes events of the source, and those behind it. With `shares_memory` their databases
    /// have one block cache.
    pub fn new(first: Box<dyn Subtask<K>>, later: Vec<Box<dyn Subtask<i64>>>, shares_memory: bool) -> Self {
        Self { first, later, shares_memory }
    }

    /// Whether what the database at this place tells of its cache is not told by another.
    fn has_own_cache(&self, place: usize) -> bool {
        place == 0 || !self.shares_memory
    }

    fn stores(&self) -> impl Iterator<Item = &dyn Observed> {
        std::iter::once(self.first.store()).chain(self.later.iter().map(|operator| operator.store()))
    }
}

impl<K> Subtask<K> for PipelineSubtask<K> {
    fn delivery(&self) -> Delivery {
        self.first.delivery()
    }
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        self.first.prefill(batch)
    }
    fn begin_ingest(&mut self) {
        self.first.begin_ingest();
    }
    fn end_ingest(&mut self) -> StateResult<()> {
        self.first.end_ingest()
    }
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.first.save_prefill(folder)
    }
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.first.load_prefill(folder)
    }
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration> {
        self.first.process(batch)
    }
    fn process_paced(&mut self, batch: &mut [Event<K>], pace: &mut Pace<'_, RealClock<'_>>) -> StateResult<Duration> {
        self.first.process_paced(batch, pace)
    }
    fn later(&mut self) -> &mut [Box<dyn Subtask<i64>>] {
        &mut self.later
    }
    fn take_rows(&mut self) -> Vec<Event<i64>> {
        self.first.take_rows()
    }
    fn latest(&self) -> Vec<(i64, i64)> {
        self.later.last().map_or_else(|| self.first.latest(), |last| last.latest())
    }
    /// Of the first operator: those behind it move on when its rows have reached them.
    fn advance(&mut self, now: Now) -> StateResult<Duration> {
        self.first.advance(now)
    }
    fn census(&mut self) -> StateResult<Census> {
        let mut all = self.first.census()?;
        self.later.iter_mut().try_for_each(|operator| operator.census().map(|census| all.add(census)))?;
        Ok(all)
    }
    fn cleaned(&self) -> CleanedEntries {
        let mut all = self.first.cleaned();
        self.later.iter().for_each(|operator| all.add(operator.cleaned()));
        all
    }
    fn settle(&mut self) -> StateResult<()> {
        self.first.settle()?;
        self.later.iter_mut().try_for_each(|operator| operator.settle())
    }
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        let mut all = self.first.heap_use(heap)?;
        self.later.iter().filter_map(|operator| operator.heap_use(heap)).for_each(|used| all.add(used));
        Some(all)
    }
    fn heap_objects(&self) -> Option<u64> {
        let later = self.later.iter().filter_map(|operator| operator.heap_objects()).sum::<u64>();
        Some(self.first.heap_objects()? + later)
    }
    fn emitted(&self) -> Digest {
        let later = self.later.iter().map(|operator| operator.emitted());
        Digest::of_operators(std::iter::once(self.first.emitted()).chain(later))
    }
    fn late_events(&self) -> u64 {
        self.first.late_events() + self.later.iter().map(|operator| operator.late_events()).sum::<u64>()
    }
    fn state_digest(&mut self) -> StateResult<Digest> {
        let mut all = vec![self.first.state_digest()?];
        for operator in &mut self.later {
            all.push(operator.state_digest()?);
        }
        Ok(Digest::of_operators(all.into_iter()))
    }
    fn probe(&mut self) -> &mut Probe {
        self.first.probe()
    }
    fn store(&self) -> &dyn Observed {
        self
    }
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<PendingOperator> {
        self.first.begin_snapshot(request)
    }
    fn begin_log(&mut self, storage: ChangelogStorage, plan: MaterializePlan, now: Now) -> StateResult<()> {
        self.first.begin_log(storage, plan, now)
    }
    fn materialize_if_due(&mut self, now: Now) -> StateResult<Duration> {
        self.first.materialize_if_due(now)
    }
    fn end_log(&mut self) -> StateResult<Option<Changelog>> {
        self.first.end_log()
    }
    fn restore(&mut self, part: &OperatorPart<'_>) -> Result<(), CheckpointError> {
        self.first.restore(part)
    }
}

impl<K> Observed for PipelineSubtask<K> {
    fn store_budget(&self) -> Option<StoreBudget> {
        self.first.store().store_budget()
    }
    fn store_use(&self) -> StateResult<Option<StoreUse>> {
        let mut all: Option<StoreUse> = None;
        for (store, place) in self.stores().zip(0..) {
            if let Some(used) = store.store_use()? {
                all.get_or_insert_default().add(&once(used, self.has_own_cache(place)));
            }
        }
        Ok(all)
    }
    fn store_counters(&self) -> Option<StoreCounters> {
        self.stores().filter_map(Observed::store_counters).reduce(|sum, counters| sum.plus(&counters))
    }
    fn begin_counting(&self) {
        self.first.store().begin_counting();
    }
    fn cache_curve(&self) -> Option<CacheCurve> {
        self.first.store().cache_curve()
    }
    fn store_shape(&self) -> StateResult<Option<StoreShape>> {
        let mut all: Option<StoreShape> = None;
        for (store, place) in self.stores().zip(0..) {
            if let Some(shape) = store.store_shape()? {
                add_shape(all.get_or_insert_default(), shape, self.has_own_cache(place));
            }
        }
        Ok(all)
    }
    fn store_sample(&self) -> StateResult<Option<StoreSample>> {
        let mut all: Option<StoreSample> = None;
        for (store, place) in self.stores().zip(0..) {
            if let Some(sample) = store.store_sample()? {
                all.get_or_insert_default().add(&sample, &once(sample.used, self.has_own_cache(place)));
            }
        }
        Ok(all)
    }
    /// Of the first operator, as the probe is; those behind it have their own.
    fn conditions(&self) -> Option<Arc<Conditions>> {
        self.first.store().conditions()
    }
    fn take_episodes(&self) -> (Vec<StoreEpisode>, u64) {
        let (mut all, mut unlisted) = (Vec::new(), 0);
        for store in self.stores() {
            let (episodes, more) = store.take_episodes();
            all.extend(episodes);
            unlisted += more;
        }
        (all, unlisted)
    }
    fn rehash_stalls(&self) -> Option<RehashStalls> {
        self.stores().filter_map(Observed::rehash_stalls).reduce(RehashStalls::plus)
    }
    fn episodes_going_on(&self) -> Vec<StoreEpisode> {
        self.stores().flat_map(Observed::episodes_going_on).collect()
    }
}
