//! The hot loops. Nothing in them allocates, locks, logs or calls through a pointer; what is dynamic is called once for
//! a batch, through [`Subtask`].

use std::path::Path;
use std::time::{Duration, Instant};

use crate::backend::{Metered, Observed, Prefill};
use crate::measure::{Probe, Stretch};
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{Digest, HeapUse, JvmHeap, Key, KeyedStateBackend, StateResult};

/// Runs the operator over a batch of events and returns the time that it took. Events that are not timed go to the
/// backend itself, with no instrument on the way; those that are go through the metered one.
///
/// # Errors
/// A state access failed.
pub fn drive<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<Duration> {
    let start = Instant::now();
    backend.probe.resume(start);
    let mut rest = batch;
    while !rest.is_empty() {
        rest = match backend.probe.next_stretch(rest.len()) {
            Stretch::Untimed(count) => {
                let (now, later) = rest.split_at_mut(count);
                drive_untimed(&mut backend.inner, operator, now, out)?;
                later
            }
            Stretch::Timed(count) => {
                let (now, later) = rest.split_at_mut(count);
                drive_timed(backend, operator, now, out)?;
                later
            }
        };
    }
    let end = Instant::now();
    backend.probe.pause(end);
    Ok(end - start)
}

#[inline(never)] // one symbol in a profile
fn drive_untimed<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut B,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    for event in batch {
        backend.set_current_key(&event.key);
        operator.process(backend, event, out)?;
    }
    Ok(())
}

#[inline(never)] // one symbol in a profile
fn drive_timed<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    backend.probe.begin();
    for event in batch {
        backend.probe.event_begin();
        backend.set_current_key(&event.key);
        operator.process(backend, event, out)?;
        backend.probe.event_end();
    }
    Ok(())
}

/// One subtask, whatever its backend and operator: what is done with it, a batch at a time.
pub trait Subtask<K>: Send {
    /// Puts what a job that ran before would have left for the keys of a batch.
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()>;
    /// From here on a prefill is collected, to be ingested at its end, where the backend can.
    fn begin_ingest(&mut self);
    /// Takes in what was collected.
    fn end_ingest(&mut self) -> StateResult<()>;
    /// Saves the state into a folder for other trials to be opened on.
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()>;
    /// Runs the operator over a batch and returns the time that it took.
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration>;
    /// Waits until the backend has no background work left.
    fn settle(&mut self) -> StateResult<()>;
    /// What the state takes on a Java heap of this size (modelled); none where it is not kept there.
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse>;
    /// What was emitted so far.
    fn emitted(&self) -> Digest;
    /// The digest over the state.
    fn state_digest(&mut self) -> StateResult<Digest>;
    /// The instrument.
    fn probe(&mut self) -> &mut Probe;
    /// The store below the backend.
    fn store(&self) -> &dyn Observed;
}

/// A subtask over one backend and one operator.
pub struct OperatorSubtask<K: Key, B: Prefill<K>, O> {
    backend: Metered<B>,
    operator: O,
    out: Collector,
    loader: Option<B::Loader>,
}

impl<K: Key, B: Prefill<K>, O: Operator<K>> OperatorSubtask<K, B, O> {
    /// Opens the operator on a backend.
    pub fn open(backend: B, spec: &O::Spec, probe: Probe) -> StateResult<Self> {
        let mut backend = Metered { inner: backend, probe };
        let operator = O::open(spec, &mut backend)?;
        Ok(Self { backend, operator, out: Collector::default(), loader: None })
    }
}

fn prefill<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
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

impl<K: Key, B: Prefill<K> + Observed + Send, O: Operator<K> + Send> Subtask<K> for OperatorSubtask<K, B, O> {
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        match &mut self.loader {
            Some(loader) => prefill(loader, &mut self.operator, batch),
            None => prefill(&mut self.backend.inner, &mut self.operator, batch),
        }
    }
    fn begin_ingest(&mut self) {
        self.loader = self.backend.inner.loader();
    }
    fn end_ingest(&mut self) -> StateResult<()> {
        self.loader.take().map_or(Ok(()), |loader| self.backend.inner.ingest(loader))
    }
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.backend.inner.save_prefill(folder)
    }
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration> {
        drive(&mut self.backend, &mut self.operator, batch, &mut self.out)
    }
    fn settle(&mut self) -> StateResult<()> {
        self.backend.settle()
    }
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        self.backend.heap_use(heap)
    }
    fn emitted(&self) -> Digest {
        self.out.digest()
    }
    fn state_digest(&mut self) -> StateResult<Digest> {
        self.backend.state_digest()
    }
    fn probe(&mut self) -> &mut Probe {
        &mut self.backend.probe
    }
    fn store(&self) -> &dyn Observed {
        &self.backend.inner
    }
}
