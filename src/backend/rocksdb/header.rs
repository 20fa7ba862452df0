//! The header of what is written of a database: Flink's meta data of a checkpoint, and the front of a savepoint.

use super::RocksDbBackend;
use crate::state::{Header, Key, StateMeta, StateResult, write_header};

impl<K: Key> RocksDbBackend<K> {
    /// What tells of each state: those in the database in order of registration, then timers that are on the heap
    /// beside it.
    pub(super) fn metas(&self) -> impl Iterator<Item = &StateMeta> {
        self.states.iter().map(|state| &state.meta).chain(self.timers.metas())
    }

    /// The header of a snapshot of the states as they are registered now.
    pub(super) fn header(&self, compressed: bool) -> Vec<u8> {
        let metas: Vec<_> = self.metas().collect();
        write_header(compressed, &K::serializer(), metas.into_iter())
    }

    /// Checks that a header is one of this key type and of these states.
    ///
    /// # Errors
    /// It is damaged, or of something else, which the error names.
    pub(super) fn check_header(&self, bytes: &[u8]) -> StateResult<()> {
        Header::read(bytes)?.positions_in(&K::serializer(), self.metas()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::OpenMode;
    use super::*;
    use crate::backend::HeapBackend;
    use crate::state::{Codec, KeyGroups, KeyedStateBackend, StateTtls, StringKey, VoidNamespace};
    use crate::workload::Options;

    const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 3 };

    fn open<K: Key>(factory: &str) -> (tempfile::TempDir, RocksDbBackend<K>) {
        let folder = crate::backend::test_folder();
        let mut options = Options::default();
        options.set("state.backend.rocksdb.timer-service.factory", factory).unwrap();
        let backend =
            RocksDbBackend::open(folder.path(), &options, (GROUPS, 1), None, OpenMode::default(), StateTtls::new());
        (folder, backend.unwrap())
    }

    fn register<K: Key>(backend: &mut impl KeyedStateBackend<K>) {
        backend.value_state::<VoidNamespace, i64>("v").unwrap();
        backend.timer_service::<VoidNamespace>("t").unwrap();
        backend.map_state::<VoidNamespace, String, i64>("m").unwrap();
    }

    #[test]
    fn a_database_tells_of_its_states_as_the_heap_does() {
        let mut heap = HeapBackend::<i64>::new(GROUPS, 1);
        register(&mut heap);
        let written = write_header(true, &i64::serializer(), heap.metas());
        for factory in ["ROCKSDB", "HEAP"] {
            let (_folder, mut backend) = open::<i64>(factory);
            register(&mut backend);
            assert_eq!(backend.header(true) == written, factory == "ROCKSDB", "queues beside the database come last");
            assert_eq!(backend.header(true).len(), written.len());
            backend.check_header(&written).unwrap();
            assert_eq!(backend.key_groups(), 43..86);
        }
    }

    #[test]
    fn what_is_not_of_this_job_is_refused() {
        let (_folder, mut other) = open::<StringKey>("ROCKSDB");
        register(&mut other);
        let (_folder, mut backend) = open::<i64>("ROCKSDB");
        register(&mut backend);
        assert!(backend.check_header(&other.header(false)).is_err());
        let own = backend.header(false);
        backend.check_header(&own).unwrap();
        assert!(backend.check_header(&own[..own.len() - 1]).is_err());
        backend.value_state::<VoidNamespace, i64>("w").unwrap();
        insta::assert_snapshot!(backend.check_header(&own).unwrap_err(), @"the checkpoint does not fit this job: the state `w` of this job is not in it");
    }
}
