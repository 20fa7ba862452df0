//! Windows of events with no gap between them.

use super::merging::MergingWindowSet;
use super::pane::Panes;
use super::{Contents, EventTime};
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult, TimeWindow, Timer};
use crate::workload::{Now, SessionWindows};

/// Gives each event a window that lasts for the gap, and merges it with those that it touches. The windows of a key are
/// a list in its state, which is read with every event and written with every one that changes them.
pub struct SessionWindowOperator<C> {
    gap_ms: i64,
    windows: MergingWindowSet,
    panes: Panes<C, EventTime>,
}

impl<K: Key, C: Contents> Operator<K> for SessionWindowOperator<C> {
    type Spec = SessionWindows;
    const HAS_PREFILL: bool = false;

    fn open<B: KeyedStateBackend<K>>(spec: &SessionWindows, backend: &mut B) -> StateResult<Self> {
        let panes = Panes::open(spec.allowed_lateness_ms, backend)?;
        Ok(Self { gap_ms: spec.gap_ms, windows: MergingWindowSet::open(backend)?, panes })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        self.windows.load(backend)?;
        let pane = self.windows.add(TimeWindow::of(event.time_ms, self.gap_ms));
        if !self.windows.absorbed().is_empty() {
            self.panes.merge(backend, pane, self.windows.absorbed(), out.now())?;
        }
        // A late event that touches a session still open has become a part of it.
        if self.panes.is_late(&pane.window, out.now()) {
            self.windows.retire(&pane.window);
            out.count_late();
        } else {
            let element = C::element(event);
            self.panes.add(backend, &event.key, pane, element, out)?;
        }
        self.windows.persist(backend)
    }

    fn on_time<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, now: Now, out: &mut Collector) -> StateResult<u64> {
        let mut fired = 0;
        while let Some(timer) = self.panes.take_timer(backend, now)? {
            self.on_timer(backend, &timer, out)?;
            fired += 1;
        }
        Ok(fired)
    }
}

impl<C: Contents> SessionWindowOperator<C> {
    fn on_timer<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        timer: &Timer<K, TimeWindow>,
        out: &mut Collector,
    ) -> StateResult<()> {
        self.windows.load(backend)?;
        let Some(pane) = self.windows.pane_of(&timer.namespace) else { return Ok(()) };
        if self.panes.on_timer(backend, timer, pane, out)? {
            self.windows.retire(&pane.window);
            // Flink writes the set here and once more when it has done with the timer.
            self.windows.persist(backend)?;
        }
        self.windows.persist(backend)
    }
}
