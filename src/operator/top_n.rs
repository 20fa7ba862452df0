//! The n rows of each key with the largest values.

use std::collections::BTreeMap;

use super::row::{Row, RowKind, row_hash};
use super::{Collector, Operator, payload_of_entry};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, MapState, Payload, StateResult, VoidNamespace, mix};
use crate::workload::VALUE_RANGE;

/// Keeps the n rows with the largest values and emits what enters and what leaves them, as Flink's
/// `AppendOnlyTopNFunction` without rank numbers: a map from a value to the rows that have it, in order of arrival, of
/// which the later ones rank lower. Flink keeps the maps of the keys used last (`table.exec.rank.topn-cache-size`, 10,000
/// rows) as sorted objects beside the state; here every event reads its map, as there where the cache misses.
pub struct TopN {
    sorted: MapState<VoidNamespace, i64, Vec<Row>>,
    n: usize,
}

impl<K: Key> Operator<K> for TopN {
    type Spec = u32;

    fn open<B: KeyedStateBackend<K>>(n: &u32, backend: &mut B) -> StateResult<Self> {
        Ok(Self { sorted: backend.map_state("sorted")?, n: *n as usize })
    }

    /// As many rows as there is room for.
    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        let mut sorted = BTreeMap::<i64, Vec<Row>>::new();
        for rank in 0..self.n as i64 {
            let value = mix(event.value as u64, rank as u64) % VALUE_RANGE;
            let row = (event.sequence as i64, payload_of_entry(&event.payload, rank));
            sorted.entry(value as i64).or_default().push(row);
        }
        sorted.into_iter().try_for_each(|(value, rows)| backend.map_put(self.sorted, &VoidNamespace, value, rows))
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let (mut held, mut least) = (0, i64::MAX);
        backend.map_scan(self.sorted, &VoidNamespace, |value, rows: &Vec<Row>| {
            held += rows.len();
            least = least.min(*value);
        })?;
        let is_full = held >= self.n;
        if is_full && event.value <= least {
            return Ok(());
        }
        let row = (event.sequence as i64, std::mem::take(&mut event.payload));
        let entered = row_hash(&row);
        let mut rows = self.rows(backend, event.value)?;
        rows.push(row);
        backend.map_put(self.sorted, &VoidNamespace, event.value, rows)?;
        if is_full {
            let left = self.retire(backend, least)?;
            out.emit_change(event, RowKind::Delete, row_hash(&left));
        }
        out.emit_change(event, RowKind::Insert, entered);
        Ok(())
    }
}

impl TopN {
    /// The rows of a value.
    fn rows<K: Key, B: KeyedStateBackend<K>>(&self, backend: &mut B, value: i64) -> StateResult<Vec<Row>> {
        Ok(backend.map_get(self.sorted, &VoidNamespace, &value)?.map(std::borrow::Cow::into_owned).unwrap_or_default())
    }

    /// Removes the last row of the least value.
    fn retire<K: Key, B: KeyedStateBackend<K>>(&self, backend: &mut B, least: i64) -> StateResult<Row> {
        let mut rows = self.rows(backend, least)?;
        let row = rows.pop().unwrap_or((0, Payload::default()));
        if rows.is_empty() {
            backend.map_remove(self.sorted, &VoidNamespace, &least)?;
        } else {
            backend.map_put(self.sorted, &VoidNamespace, least, rows)?;
        }
        Ok(row)
    }
}
