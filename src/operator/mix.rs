//! A synthetic mix of state accesses.

use super::{Collector, Operator, payload_of_entry};
use crate::source::Event;
use crate::state::{
    Key, KeyedStateBackend, ListState, MapState, Payload, StateResult, ValueState, VoidNamespace, mix as mix_hash,
};
use crate::workload::{Mix, MixOperation};

/// Does what each event says with the state of its key. States that the mix never touches are not registered, as a
/// job would not have them.
pub struct MixOperator {
    value: ValueState<VoidNamespace, Payload>,
    list: Option<ListState<VoidNamespace, Payload>>,
    map: Option<MapState<VoidNamespace, i64, Payload>>,
    entries: i64,
}

impl<K: Key> Operator<K> for MixOperator {
    type Spec = Mix;

    fn open<B: KeyedStateBackend<K>>(mix: &Mix, backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            value: backend.value_state("value")?,
            list: if mix.has(MixOperation::Append) { Some(backend.list_state("list")?) } else { None },
            map: if mix.has(MixOperation::Scan) { Some(backend.map_state("map")?) } else { None },
            entries: i64::from(mix.entries),
        })
    }

    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        match self.map {
            Some(map) => (0..self.entries).try_for_each(|entry| {
                backend.map_put(map, &VoidNamespace, entry, payload_of_entry(&event.payload, entry))
            }),
            None => backend.update(self.value, &VoidNamespace, std::mem::take(&mut event.payload)),
        }
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let payload = std::mem::take(&mut event.payload);
        match event.operation {
            MixOperation::Read => {
                let read = backend.value(self.value, &VoidNamespace)?.map_or(0, |value| value.head());
                out.emit(event, read);
            }
            MixOperation::Update => backend.update(self.value, &VoidNamespace, payload)?,
            MixOperation::ReadModifyWrite => self.read_modify_write(backend, event, payload, out)?,
            MixOperation::Insert => match self.map {
                Some(map) => backend.map_put(map, &VoidNamespace, event.sequence as i64, payload)?,
                None => backend.update(self.value, &VoidNamespace, payload)?,
            },
            MixOperation::Append => {
                if let Some(list) = self.list {
                    backend.list_add(list, &VoidNamespace, payload)?;
                }
            }
            MixOperation::Delete => {
                backend.clear_value(self.value, &VoidNamespace)?;
                if let Some(list) = self.list {
                    backend.clear_list(list, &VoidNamespace)?;
                }
            }
            MixOperation::Scan => {
                if let Some(map) = self.map {
                    // A sum, since a map has no order.
                    let mut sum = 0_u64;
                    backend.map_scan(map, &VoidNamespace, |key, value: &Payload| {
                        sum = sum.wrapping_add(mix_hash(*key as u64, value.head()));
                    })?;
                    out.emit(event, sum);
                }
            }
        }
        Ok(())
    }
}

impl MixOperator {
    /// Changes the value in place, or starts it with the event's payload.
    #[inline(always)]
    fn read_modify_write<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &Event<K>,
        payload: Payload,
        out: &mut Collector,
    ) -> StateResult<()> {
        let mut value = backend.value_for_update(self.value, &VoidNamespace)?.unwrap_or(payload);
        out.emit(event, value.head());
        if let Some(head) = value.0.first_chunk_mut::<8>() {
            *head = u64::from_le_bytes(*head).wrapping_add(1).to_le_bytes();
        }
        backend.update(self.value, &VoidNamespace, value)
    }
}
