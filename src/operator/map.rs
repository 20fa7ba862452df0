//! One entry of a map of each key, read, changed and written.

use super::{Collector, Operator, entry_of, payload_of_entry};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, MapState, Payload, StateResult, VoidNamespace};

/// The map as a map state: RocksDB stores one entry for each user key.
pub struct MapOperator {
    map: MapState<VoidNamespace, i64, Payload>,
    entries: u32,
}

impl<K: Key> Operator<K> for MapOperator {
    type Spec = u32;

    fn open<B: KeyedStateBackend<K>>(entries: &u32, backend: &mut B) -> StateResult<Self> {
        Ok(Self { map: backend.map_state("map")?, entries: *entries })
    }

    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        for entry in 0..i64::from(self.entries) {
            backend.map_put(self.map, &VoidNamespace, entry, payload_of_entry(&event.payload, entry))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let entry = entry_of(event, self.entries);
        let before = backend.map_get(self.map, &VoidNamespace, &entry)?.map_or(0, |payload| payload.head());
        backend.map_put(self.map, &VoidNamespace, entry, std::mem::take(&mut event.payload))?;
        out.emit(event, before);
        Ok(())
    }
}
