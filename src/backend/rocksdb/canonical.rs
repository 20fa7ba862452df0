//! Canonical savepoints of a database: what its column families hold, merged in the order of key groups, and back.

use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use super::batch::Batch;
use super::family::Family;
use super::timers::Timers;
use super::view::View;
use super::{RocksDbBackend, WithoutExpired};
use crate::backend::canonical::{CanonicalWriter, GroupWriter, StoredEntry, for_each_entry};
use crate::backend::heap::{GroupPlace, HeapSnapshot};
use crate::backend::snapshot::{Cleanup, SnapshotInfo, read_header};
use crate::state::{CompositeKey, Key, StateContent, StateResult};

/// The state of a backend as it was when [`RocksDbBackend::begin_canonical`] was called, to be written on any thread
/// while the backend goes on. The database is open until it is dropped.
pub struct CanonicalSnapshot {
    header: Vec<u8>,
    key_groups: Range<u16>,
    max_parallelism: u16,
    names: Vec<String>,
    stored: Vec<StoredState>,
    view: View,
    /// The queues on the heap beside the database, whose numbers come after those of the stored states.
    queues: Option<HeapSnapshot>,
    compressed: bool,
}

/// A state in the database.
struct StoredState {
    family: Family,
    /// What a full snapshot leaves out, and how a value is rid of it.
    cleanup: Option<(Cleanup, WithoutExpired)>,
}

impl StoredState {
    /// Writes the entries from where the iterator stands as long as their keys begin with the key group.
    fn write_group(
        &self,
        iterator: &mut rocksdb::DBRawIterator<'_>,
        prefix: &[u8],
        state: u16,
        out: &mut GroupWriter<'_>,
    ) -> io::Result<()> {
        while let Some((key, value)) = iterator.item().filter(|(key, _)| key.starts_with(prefix)) {
            match self.cleanup {
                None => out.entry(state, key, value)?,
                Some((cleanup, without_expired)) => {
                    let left = without_expired(value, &|time| cleanup.is_expired(time)).map_err(io::Error::other)?;
                    if let Some(value) = left {
                        out.entry(state, key, &value)?;
                    }
                }
            }
            iterator.next();
        }
        iterator.status().map_err(io::Error::other)
    }
}

impl CanonicalSnapshot {
    /// Writes the savepoint and releases the snapshot.
    ///
    /// # Errors
    /// The writer fails, or the database cannot be read.
    pub fn write(self, out: &mut impl Write) -> io::Result<SnapshotInfo> {
        let mut writer = CanonicalWriter::begin(out, &self.header, self.compressed, self.names.len())?;
        let mut key = CompositeKey::new(self.max_parallelism);
        let prefix_bytes = key.prefix_len();
        let prefix = |group: u16| group.to_be_bytes();
        let mut iterators: Vec<_> = self.stored.iter().map(|state| self.view.iterator(state.family)).collect();
        iterators.iter_mut().for_each(|iterator| iterator.seek(&prefix(self.key_groups.start)[2 - prefix_bytes..]));
        for (position, group) in self.key_groups.clone().enumerate() {
            writer.key_group(|out| {
                let mut number = 0;
                for (state, iterator) in self.stored.iter().zip(&mut iterators) {
                    state.write_group(iterator, &prefix(group)[2 - prefix_bytes..], number, out)?;
                    number += 1;
                }
                let Some(queues) = &self.queues else { return Ok(()) };
                (0..queues.states()).try_for_each(|queue| {
                    let place = GroupPlace { position, group, state: number + queue as u16 };
                    queues.write_state(queue, place, &mut key, out)
                })
            })?;
        }
        writer.finish(self.key_groups.clone(), self.names)
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Begins a canonical savepoint: the synchronous part, which takes a snapshot of the database and flushes nothing
    /// but the batch of timers. Timers on the heap are copied. With `compressed` it is written with Flink's
    /// `execution.checkpointing.snapshot-compression`.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn begin_canonical(&mut self, compressed: bool) -> StateResult<CanonicalSnapshot> {
        self.timers.flush(&self.db)?;
        let now_ms = self.expiry.now_ms();
        let stored = self.states.iter().map(|state| {
            let cleanup = Cleanup::of(state.ttl, now_ms).map(|cleanup| (cleanup, state.kind.without_expired));
            StoredState { family: state.family, cleanup }
        });
        let stored = stored.collect();
        let queues = match &mut self.timers {
            Timers::Stored(_) => None,
            Timers::Heap(timers) => Some(timers.snapshot(compressed)?),
        };
        Ok(CanonicalSnapshot {
            header: self.header(compressed),
            key_groups: self.key_groups(),
            max_parallelism: self.groups.max_parallelism,
            names: self.metas().map(|meta| meta.name.clone()).collect(),
            stored,
            view: View::of(&self.db),
            queues,
            compressed,
        })
    }

    /// Puts the entries of a canonical savepoint, which a backend of either kind wrote, into the states, which are those
    /// that it was written from, and which hold none of its keys: of the key groups that this subtask owns; others are
    /// not read. A backend of another parallelism is restored from the savepoints of all subtasks, one after another.
    ///
    /// # Errors
    /// The savepoint cannot be read, is damaged, or is one of another key type or other states, which the error names;
    /// or the database cannot be written. The backend then holds a part of it, or nothing where the header says so.
    pub fn restore_canonical(&mut self, source: &mut (impl Read + Seek), info: &SnapshotInfo) -> StateResult<()> {
        let positions = read_header(source, info, &K::serializer(), self.metas())?;
        let own = (self.key_groups(), self.groups);
        let mut batch = Batch::new(&self.options);
        for_each_entry(source, info, own, positions.len(), |state, entry| {
            self.restore_entry(positions[state], entry, &mut batch)
        })?;
        batch.flush(&self.db)
    }

    /// Puts an entry into a state, given by its position among [`metas`](Self::metas).
    fn restore_entry(&mut self, position: usize, entry: StoredEntry<'_>, batch: &mut Batch) -> StateResult<()> {
        let stored = self.states.len();
        match (&mut self.timers, self.states.get(position)) {
            (_, Some(state)) if !matches!(state.meta.content, StateContent::Timers(_)) => {
                (state.kind.check)(entry)?;
                batch.put(state.family, entry.key, entry.value, &self.db)
            }
            (Timers::Stored(timers), Some(state)) => {
                (state.kind.check)(entry)?;
                timers.insert_into(state.family, entry.group.number, entry.key, &self.db)
            }
            (Timers::Heap(timers), None) => timers.restore_entry(position - stored, entry),
            // A queue is where the timers of the backend are, so there is no other case.
            _ => Err(crate::state::StateError::Snapshot(format!("it has no place for state {position}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::OpenMode;
    use super::*;
    use crate::state::{KeyGroups, KeyedStateBackend, StateTtls, TimeDomain, VoidNamespace};
    use crate::workload::Options;

    const GROUPS: KeyGroups = KeyGroups { max_parallelism: 4, parallelism: 1 };

    fn open(folder: &std::path::Path) -> RocksDbBackend<i64> {
        RocksDbBackend::open(folder, &Options::default(), (GROUPS, 0), None, OpenMode::default(), StateTtls::new())
            .unwrap()
    }

    #[test]
    fn a_savepoint_flushes_no_memtable_and_outlives_the_backend() {
        let folder = crate::backend::test_folder();
        let mut backend = open(&folder.path().join("first"));
        let value = backend.value_state::<VoidNamespace, i64>("v").unwrap();
        let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
        backend.set_current_key(&1);
        backend.update(value, &VoidNamespace, 7).unwrap();
        backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, 5).unwrap();
        let expected = backend.state_digest().unwrap();
        let snapshot = backend.begin_canonical(false).unwrap();
        assert!(backend.db.live_files().unwrap().is_empty());
        let refused = backend.value_state::<VoidNamespace, i64>("w").err().unwrap();
        assert!(refused.to_string().contains("while a savepoint is written"), "{refused}");
        backend.update(value, &VoidNamespace, 8).unwrap();
        assert!(backend.take_timer(timers, TimeDomain::EventTime, 5).unwrap().is_some());
        drop(backend);
        let mut bytes = Vec::new();
        let info = snapshot.write(&mut bytes).unwrap();
        let mut restored = open(&folder.path().join("second"));
        restored.value_state::<VoidNamespace, i64>("v").unwrap();
        let timers = restored.timer_service::<VoidNamespace>("t").unwrap();
        restored.restore_canonical(&mut Cursor::new(&bytes), &info).unwrap();
        assert_eq!(restored.state_digest().unwrap(), expected);
        let timer = restored.take_timer(timers, TimeDomain::EventTime, 5).unwrap().unwrap();
        assert_eq!((timer.key, timer.time_ms), (1, 5));
    }

    #[test]
    fn a_state_can_be_registered_again_when_the_savepoint_is_written() {
        let folder = crate::backend::test_folder();
        let mut backend = open(folder.path());
        let snapshot = backend.begin_canonical(true).unwrap();
        drop(snapshot);
        backend.value_state::<VoidNamespace, i64>("w").unwrap();
    }
}
