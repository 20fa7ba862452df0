//! A window of a key, and what happens in it: elements, timers, firing, clean-up.

use std::marker::PhantomData;

use super::{Clock, Contents};
use crate::operator::Collector;
use crate::state::{
    Codec, CodecError, JvmSize, Key, KeyedStateBackend, Serializer, StateResult, TimeWindow, Timer, TimerService, mix,
};
use crate::workload::Now;

/// A window, and the one under which its contents are kept: another one where windows have merged, since contents stay
/// where they are as long as they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    /// The window that events are in.
    pub window: TimeWindow,
    /// The namespace of its contents.
    pub state_window: TimeWindow,
}

impl Pane {
    /// A window that keeps its own contents.
    #[inline(always)]
    pub fn of(window: TimeWindow) -> Self {
        Self { window, state_window: window }
    }
}

/// A `Tuple2` of both windows.
impl Codec for Pane {
    const FIXED_LEN: Option<usize> = Some(32);
    fn serializer() -> Serializer {
        <(TimeWindow, TimeWindow)>::serializer()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.window.encode(out);
        self.state_window.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(Self { window: TimeWindow::decode(input)?, state_window: TimeWindow::decode(input)? })
    }
}

impl JvmSize for Pane {
    /// The tuple alone: its windows are the very objects that a timer and the contents refer to, and are weighed there.
    fn jvm_bytes(&self) -> u64 {
        24
    }
}

/// The panes of an operator, with Flink's `EventTimeTrigger` (or the same for processing time): a pane fires when the
/// time of its last millisecond has passed, and again with every event after that.
pub struct Panes<C, T> {
    contents: C,
    timers: TimerService<TimeWindow>,
    /// How long contents are kept after that, ms.
    allowed_lateness_ms: i64,
    /// Working space for the bytes of a key.
    scratch: Vec<u8>,
    clock: PhantomData<fn() -> T>,
}

impl<C: Contents, T: Clock> Panes<C, T> {
    /// Registers contents and timers.
    pub fn open<K: Key, B: KeyedStateBackend<K>>(allowed_lateness_ms: i64, backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            contents: C::open(backend)?,
            timers: backend.timer_service("window-timers")?,
            allowed_lateness_ms,
            scratch: Vec::new(),
            clock: PhantomData,
        })
    }

    /// When the contents of a window go, ms.
    #[inline(always)]
    fn cleanup_time(&self, window: &TimeWindow) -> i64 {
        window.max_timestamp().saturating_add(self.allowed_lateness_ms)
    }

    /// Whether a window takes no more events.
    #[inline(always)]
    pub fn is_late(&self, window: &TimeWindow, now: Now) -> bool {
        self.cleanup_time(window) <= T::passed(now)
    }

    /// Adds an element to a window that is not late.
    #[inline(always)]
    pub fn add<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        key: &K,
        pane: Pane,
        element: C::Element,
        out: &mut Collector,
    ) -> StateResult<()> {
        self.contents.add(backend, &pane.state_window, element)?;
        if window_is_over::<T>(&pane.window, out.now()) {
            self.fire(backend, key, pane, out)?;
        } else {
            self.register(backend, &pane.window, pane.window.max_timestamp())?;
        }
        // For the clean-up. Without allowed lateness it is the same timer again, and Flink registers it again.
        self.register(backend, &pane.window, self.cleanup_time(&pane.window))
    }

    /// Emits what a pane has come to.
    fn fire<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        key: &K,
        pane: Pane,
        out: &mut Collector,
    ) -> StateResult<()> {
        if let Some(result) = self.contents.result(backend, &pane.state_window)? {
            let TimeWindow { start_ms, end_ms } = pane.window;
            let origin = mix(mix(key.fingerprint(&mut self.scratch), start_ms as u64), end_ms as u64);
            out.emit_of(origin, result);
        }
        Ok(())
    }

    /// Takes the next timer that is due.
    pub fn take_timer<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        now: Now,
    ) -> StateResult<Option<Timer<K, TimeWindow>>> {
        backend.take_timer(self.timers, T::DOMAIN, T::passed(now))
    }

    /// Does what a timer of a pane is for; whether the pane is gone.
    pub fn on_timer<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        timer: &Timer<K, TimeWindow>,
        pane: Pane,
        out: &mut Collector,
    ) -> StateResult<bool> {
        if timer.time_ms == pane.window.max_timestamp() {
            self.fire(backend, &timer.key, pane, out)?;
        }
        let is_gone = timer.time_ms == self.cleanup_time(&pane.window);
        if is_gone {
            self.contents.clear(backend, &pane.state_window)?;
            // The trigger takes back its timer, though it has fired.
            self.delete(backend, &pane.window, pane.window.max_timestamp())?;
        }
        Ok(is_gone)
    }

    /// Lets a window take the place of those that it came of: their timers go, and their contents move to it.
    pub fn merge<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        merged: Pane,
        absorbed: &[Pane],
        now: Now,
    ) -> StateResult<()> {
        if !window_is_over::<T>(&merged.window, now) {
            self.register(backend, &merged.window, merged.window.max_timestamp())?;
        }
        for Pane { window, .. } in absorbed {
            self.delete(backend, window, window.max_timestamp())?;
            self.delete(backend, window, self.cleanup_time(window))?;
        }
        let others = absorbed.iter().map(|pane| pane.state_window).filter(|window| *window != merged.state_window);
        let sources: Vec<TimeWindow> = others.collect(); // no allocation where a window only grew
        if sources.is_empty() { Ok(()) } else { self.contents.merge(backend, &merged.state_window, &sources) }
    }

    #[inline(always)]
    fn register<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, time_ms: i64) -> StateResult<()> {
        b.register_timer(self.timers, T::DOMAIN, n, time_ms)
    }

    fn delete<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, time_ms: i64) -> StateResult<()> {
        b.delete_timer(self.timers, T::DOMAIN, n, time_ms)
    }
}

/// Whether the last millisecond of a window has passed.
#[inline(always)]
fn window_is_over<T: Clock>(window: &TimeWindow, now: Now) -> bool {
    window.max_timestamp() <= T::passed(now)
}
