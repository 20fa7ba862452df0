//! Windows of one length, tumbling or sliding.

use super::pane::{Pane, Panes};
use super::{Clock, Contents};
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult, TimeDomain, TimeWindow};
use crate::workload::{Now, SlidingWindows};

/// Adds each event to the windows that its time is in, size / slide of them; a tumbling window slides by its size.
pub struct WindowOperator<C, T> {
    size_ms: i64,
    slide_ms: i64,
    panes: Panes<C, T>,
}

impl<K: Key, C: Contents, T: Clock> Operator<K> for WindowOperator<C, T> {
    type Spec = SlidingWindows;
    const HAS_PREFILL: bool = false;
    const HAS_PROCESSING_TIMERS: bool = matches!(T::DOMAIN, TimeDomain::ProcessingTime);

    fn open<B: KeyedStateBackend<K>>(spec: &SlidingWindows, backend: &mut B) -> StateResult<Self> {
        let panes = Panes::open(spec.allowed_lateness_ms, backend)?;
        Ok(Self { size_ms: spec.size_ms, slide_ms: spec.slide_ms, panes })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let time_ms = T::time_of(event);
        let element = C::element(event);
        let mut start_ms = TimeWindow::last_start(time_ms, self.slide_ms);
        let mut is_taken = false;
        // All windows but the earliest take a copy.
        while start_ms.saturating_sub(self.slide_ms) > time_ms.saturating_sub(self.size_ms) {
            is_taken |= self.add(backend, &event.key, start_ms, || element.clone(), out)?;
            start_ms -= self.slide_ms;
        }
        is_taken |= self.add(backend, &event.key, start_ms, || element, out)?;
        if !is_taken {
            out.count_late();
        }
        Ok(())
    }

    fn on_time<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, now: Now, out: &mut Collector) -> StateResult<u64> {
        let mut fired = 0;
        while let Some(timer) = self.panes.take_timer(backend, now)? {
            self.panes.on_timer(backend, &timer, Pane::of(timer.namespace), out)?;
            fired += 1;
        }
        Ok(fired)
    }
}

impl<C: Contents, T: Clock> WindowOperator<C, T> {
    /// Adds to the window that begins here, unless it is late; whether it was.
    #[inline(always)]
    fn add<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        key: &K,
        start_ms: i64,
        element: impl FnOnce() -> C::Element,
        out: &mut Collector,
    ) -> StateResult<bool> {
        let window = TimeWindow::of(start_ms, self.size_ms);
        if self.panes.is_late(&window, out.now()) {
            return Ok(false);
        }
        self.panes.add(backend, key, Pane::of(window), element(), out)?;
        Ok(true)
    }
}
