//! The hot loops. Nothing in them allocates, locks, logs or calls through a pointer; what is dynamic is called once for
//! a batch, through [`Subtask`].

use std::time::{Duration, Instant};

use crate::backend::Metered;
use crate::measure::{Probe, Stretch};
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{Digest, Key, KeyedStateBackend, StateResult};

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
    /// Runs the operator over a batch and returns the time that it took.
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration>;
    /// Waits until the backend has no background work left.
    fn settle(&mut self) -> StateResult<()>;
    /// What was emitted so far.
    fn emitted(&self) -> Digest;
    /// The digest over the state.
    fn state_digest(&mut self) -> StateResult<Digest>;
    /// The instrument.
    fn probe(&mut self) -> &mut Probe;
}

/// A subtask over one backend and one operator.
pub struct OperatorSubtask<B, O> {
    backend: Metered<B>,
    operator: O,
    out: Collector,
}

impl<B, O> OperatorSubtask<B, O> {
    /// Opens the operator on a backend.
    pub fn open<K: Key>(backend: B, spec: &O::Spec, probe: Probe) -> StateResult<Self>
    where
        B: KeyedStateBackend<K>,
        O: Operator<K>,
    {
        let mut backend = Metered { inner: backend, probe };
        let operator = O::open(spec, &mut backend)?;
        Ok(Self { backend, operator, out: Collector::default() })
    }
}

impl<K: Key, B: KeyedStateBackend<K> + Send, O: Operator<K> + Send> Subtask<K> for OperatorSubtask<B, O> {
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        for event in batch {
            self.backend.inner.set_current_key(&event.key);
            self.operator.prefill(&mut self.backend.inner, event)?;
        }
        Ok(())
    }
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration> {
        drive(&mut self.backend, &mut self.operator, batch, &mut self.out)
    }
    fn settle(&mut self) -> StateResult<()> {
        self.backend.settle()
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
}
