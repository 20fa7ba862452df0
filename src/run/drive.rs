//! The hot loops. Nothing in them allocates, locks, logs or calls through a pointer.

use std::time::{Duration, Instant};

use crate::backend::Metered;
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult};

/// Runs the operator over a batch of events and returns the time that it took.
#[inline(never)] // one symbol in a profile
pub fn drive<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<Duration> {
    let start = Instant::now();
    backend.probe.resume(start);
    for event in batch {
        backend.probe.event_begin();
        backend.set_current_key(&event.key);
        operator.process(backend, event, out)?;
        backend.probe.event_end();
    }
    let end = Instant::now();
    backend.probe.pause(end);
    Ok(end - start)
}

/// Puts what a job that ran before would have left for the keys of a batch.
#[inline(never)]
pub fn prefill<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut B,
    operator: &mut O,
    batch: &mut [Event<K>],
) -> StateResult<()> {
    for event in batch {
        backend.set_current_key(&event.key);
        operator.prefill(backend, event)?;
    }
    Ok(())
}
