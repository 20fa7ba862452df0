//! Buffers the payloads of each key and hands them on together.

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, ListState, Payload, StateResult, ValueState, VoidNamespace, mix};

/// Appends each payload to a list; at every n-th event of a key reads the list, emits it and clears it. The number of
/// elements is kept in a value state beside it, since a list does not tell its length without being read.
pub struct ListBuffer {
    list: ListState<VoidNamespace, Payload>,
    length: ValueState<VoidNamespace, i64>,
    clear_every: i64,
}

impl<K: Key> Operator<K> for ListBuffer {
    type Spec = u32;

    fn open<B: KeyedStateBackend<K>>(clear_every: &u32, backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            list: backend.list_state("buffer")?,
            length: backend.value_state("length")?,
            clear_every: i64::from(*clear_every),
        })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let length = backend.value(self.length, &VoidNamespace)?.map_or(0, |length| *length) + 1;
        backend.list_add(self.list, &VoidNamespace, std::mem::take(&mut event.payload))?;
        if length < self.clear_every {
            return backend.update(self.length, &VoidNamespace, length);
        }
        let mut content = 0;
        backend.list_scan(self.list, &VoidNamespace, |payload: &Payload| content = mix(content, payload.head()))?;
        out.emit(event, content);
        backend.clear_list(self.list, &VoidNamespace)?;
        backend.clear_value(self.length, &VoidNamespace)
    }
}
