//! Canonical savepoints of the heap: its objects as RocksDB would keep them, and back.

use std::io::{self, Read, Seek, Write};

use super::object::Object;
use super::snapshot::{HeapSnapshot, cleaned};
use super::table::{Place, StateTable, TableSnapshot};
use super::{HeapBackend, TimerQueue};
use crate::backend::canonical::{CanonicalWriter, GroupWriter, StoredEntry, for_each_entry};
use crate::backend::snapshot::{Cleanup, SnapshotInfo, damaged, read_header};
use crate::state::{CompositeKey, Key, Namespace, StateError, StateResult};

/// Where the entries of a state go in a savepoint: into a key group, by its position and its number, under the number of
/// the state.
#[derive(Clone, Copy)]
pub(in crate::backend) struct GroupPlace {
    pub position: usize,
    pub group: u16,
    pub state: u16,
}

impl HeapSnapshot {
    /// Writes a canonical savepoint, which a backend of another kind restores too, and releases the snapshot.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write_canonical(self, out: &mut impl Write) -> io::Result<SnapshotInfo> {
        let mut writer = CanonicalWriter::begin(out, &self.header, self.compressed, self.states.len())?;
        let mut key = CompositeKey::new(self.max_parallelism);
        for (position, group) in self.key_groups.clone().enumerate() {
            writer.key_group(|out| {
                (0..self.states.len()).try_for_each(|state| {
                    let place = GroupPlace { position, group, state: state as u16 };
                    self.write_state(state, place, &mut key, out)
                })
            })?;
        }
        writer.finish(self.key_groups, self.states.into_iter().map(|state| state.name))
    }

    /// How many states are in it.
    #[cfg(feature = "rocksdb")]
    pub(in crate::backend) fn states(&self) -> usize {
        self.states.len()
    }

    /// Writes the entries that a state, given by its position in the snapshot, has in a key group.
    pub(in crate::backend) fn write_state(
        &self,
        state: usize,
        place: GroupPlace,
        key: &mut CompositeKey,
        out: &mut GroupWriter<'_>,
    ) -> io::Result<()> {
        let state = &self.states[state];
        state.table.write_stored(place, state.cleanup, key, out)
    }
}

/// Writes the entries of a table in a key group as RocksDB keeps them, without what a clean-up leaves out.
pub(super) fn write_table<K: Key, N: Namespace, V: Object<K, N>>(
    table: &TableSnapshot<K, N, V>,
    place: GroupPlace,
    cleanup: Option<Cleanup>,
    composite: &mut CompositeKey,
    out: &mut GroupWriter<'_>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    table.try_for_each(place.position, |key, namespace, value| {
        let Some(value) = cleaned::<K, N, V>(value, cleanup) else { return Ok(()) };
        composite.set_key(key, place.group);
        value.for_each_stored(composite, namespace, &mut bytes, &mut |key, value| out.entry(place.state, key, value))
    })
}

/// Puts an entry into a table that holds no such entry.
pub(super) fn read_into_table<K: Key, N: Namespace, V: Object<K, N>>(
    table: &mut StateTable<K, N, V>,
    first_group: u16,
    entry: StoredEntry<'_>,
) -> StateResult<()> {
    let (key, namespace, user_key) = entry.split_key::<K, N>()?;
    let place = Place::new(&key, key.hash_code(), &namespace, usize::from(entry.group.number - first_group));
    let mut object = Some(V::restore_stored(user_key, entry.value)?);
    let absorbed = table.modify(place, |kept| object.take().is_some_and(|object| kept.absorb(object)));
    if let Some(object) = object {
        table.insert_new(place, object);
    }
    if absorbed == Some(false) { Err(is_there_already(entry)) } else { Ok(()) }
}

/// Puts a timer into a queue that does not hold it.
pub(super) fn read_into_queue<K: Key, N: Namespace>(
    queue: &mut TimerQueue<K, N>,
    first_group: u16,
    entry: StoredEntry<'_>,
) -> StateResult<()> {
    let timer = entry.timer::<K, N>()?;
    let group = usize::from(entry.group.number - first_group);
    let place = Place::new(&timer.key, timer.key.hash_code(), &timer.namespace, group);
    if queue.insert(place, timer.time_ms)? { Ok(()) } else { Err(is_there_already(entry)) }
}

fn is_there_already(entry: StoredEntry<'_>) -> StateError {
    damaged(format!("an entry of key group {} is there already", entry.group.number))
}

impl<K: Key> HeapBackend<K> {
    /// Puts the entries of a canonical savepoint, which a backend of either kind wrote, into the states, as
    /// [`restore`](Self::restore) does those of a checkpoint.
    ///
    /// # Errors
    /// As there.
    pub fn restore_canonical(&mut self, source: &mut (impl Read + Seek), info: &SnapshotInfo) -> StateResult<()> {
        let positions = read_header(source, info, &K::serializer(), self.metas())?;
        let own = (self.key_groups(), self.groups);
        for_each_entry(source, info, own, positions.len(), |state, entry| self.restore_entry(positions[state], entry))
    }

    /// Puts an entry of an own key group into a state, given by its position.
    pub(in crate::backend) fn restore_entry(&mut self, state: usize, entry: StoredEntry<'_>) -> StateResult<()> {
        self.states[state].table.read_stored(self.first_group, entry)
    }
}
