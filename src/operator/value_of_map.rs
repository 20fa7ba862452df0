//! The same as the map operator, with the whole map in one value.

use super::{Collector, Operator, entry_of, payload_of_entry};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, ObjectMap, Payload, StateResult, ValueState, VoidNamespace};

/// The map as a value state: RocksDB reads and writes all of it for each change of one entry.
pub struct ValueOfMap {
    map: ValueState<VoidNamespace, ObjectMap<i64, Payload>>,
    entries: u32,
}

impl<K: Key> Operator<K> for ValueOfMap {
    type Spec = u32;

    fn open<B: KeyedStateBackend<K>>(entries: &u32, backend: &mut B) -> StateResult<Self> {
        Ok(Self { map: backend.value_state("map")?, entries: *entries })
    }

    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        let payload = |entry| payload_of_entry(&event.payload, entry);
        let map = (0..i64::from(self.entries)).map(|entry| (entry, payload(entry))).collect();
        backend.update(self.map, &VoidNamespace, map)
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let entry = entry_of(event, self.entries);
        let mut map = backend.value_for_update(self.map, &VoidNamespace)?.unwrap_or_default();
        let before = map.insert(entry, std::mem::take(&mut event.payload)).map_or(0, |payload| payload.head());
        backend.update(self.map, &VoidNamespace, map)?;
        out.emit(event, before);
        Ok(())
    }
}
