//! Canonical savepoints: sizes and bytes as in Flink, the way from backend to backend at another parallelism and back,
//! and what is damaged.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use super::heap::HeapSnapshot;
use super::snapshot::SnapshotInfo;
use super::tests::{TestKey, TestNamespace, Window};
use super::{CanonicalSnapshot, ExpiringState, HeapBackend, OpenMode, RocksDbBackend, TtlBackend};
use crate::operator::{Average, Sum};
use crate::state::{
    AggregatingState, CleanupStrategies, Digest, Key, KeyGroups, KeyedStateBackend, ListState, MapState, Payload,
    ReducingState, StateResult, StateTtl, StateTtls, StateVisibility, StringKey, TextNamespace, TimeDomain,
    TimerService, UpdateType, ValueState, VoidNamespace,
};
use crate::workload::Options;

/// Key groups of one byte and of two.
const GROUPS: [KeyGroups; 2] =
    [KeyGroups { max_parallelism: 16, parallelism: 1 }, KeyGroups { max_parallelism: 200, parallelism: 1 }];
const TTL_MS: i64 = 40;

type Written = (Vec<u8>, SnapshotInfo);

/// What is done with a backend of either kind.
trait Subject<K: Key>: ExpiringState<K> + Sized {
    fn start(folder: &Path, factory: &str, groups: (KeyGroups, u16), ttls: StateTtls) -> Self;
    /// The synchronous part of a savepoint; what is returned writes it, on any thread.
    fn begin(&mut self, compressed: bool) -> Box<dyn FnOnce() -> Written + Send>;
    fn take_in_savepoint(&mut self, written: &Written) -> StateResult<()>;
}

fn write<S>(snapshot: S, write: impl FnOnce(S, &mut Vec<u8>) -> std::io::Result<SnapshotInfo>) -> Written {
    let mut bytes = Vec::new();
    let info = write(snapshot, &mut bytes).unwrap();
    assert_eq!(info.bytes, bytes.len() as u64);
    (bytes, info)
}

impl<K: Key> Subject<K> for HeapBackend<K> {
    fn start(_: &Path, _: &str, (groups, subtask): (KeyGroups, u16), ttls: StateTtls) -> Self {
        Self::new(groups, subtask).with_ttls(ttls)
    }
    fn begin(&mut self, compressed: bool) -> Box<dyn FnOnce() -> Written + Send> {
        let snapshot = self.snapshot(compressed).unwrap();
        Box::new(|| write(snapshot, HeapSnapshot::write_canonical))
    }
    fn take_in_savepoint(&mut self, (bytes, info): &Written) -> StateResult<()> {
        self.restore_canonical(&mut Cursor::new(bytes), info)
    }
}

impl<K: Key> Subject<K> for RocksDbBackend<K> {
    fn start(folder: &Path, factory: &str, groups: (KeyGroups, u16), ttls: StateTtls) -> Self {
        let mut options = Options::default();
        for (key, value) in
            [("timer-service.factory", factory), ("writebuffer.size", "64kb"), ("timer-service.cache-size", "4")]
        {
            options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
        }
        Self::open(folder, &options, groups, None, OpenMode::default(), ttls).unwrap()
    }
    fn begin(&mut self, compressed: bool) -> Box<dyn FnOnce() -> Written + Send> {
        let snapshot = self.begin_canonical(compressed).unwrap();
        Box::new(|| write(snapshot, CanonicalSnapshot::write))
    }
    fn take_in_savepoint(&mut self, (bytes, info): &Written) -> StateResult<()> {
        self.restore_canonical(&mut Cursor::new(bytes), info)
    }
}

/// One state of each kind.
struct States<N> {
    value: ValueState<N, Payload>,
    list: ListState<N, Payload>,
    map: MapState<N, String, i64>,
    reduced: ReducingState<N, Sum>,
    aggregate: AggregatingState<N, Average>,
}

impl<N: TestNamespace> States<N> {
    fn register<K: Key>(backend: &mut impl KeyedStateBackend<K>, suffix: &str) -> Self {
        let name = |name: &str| name.to_owned() + suffix;
        Self {
            value: backend.value_state(&name("value")).unwrap(),
            list: backend.list_state(&name("list")).unwrap(),
            map: backend.map_state(&name("map")).unwrap(),
            reduced: backend.reducing_state(&name("reduced")).unwrap(),
            aggregate: backend.aggregating_state(&name("aggregate")).unwrap(),
        }
    }

    fn change<K: Key>(&self, backend: &mut impl KeyedStateBackend<K>, n: &N, kind: u64, number: i64) {
        // Bytes that look like delimiters and null flags among them.
        let payload = || Payload([b',', 0, number as u8].repeat(number as usize % 5).into());
        let user_key = (number % 7).to_string();
        match kind {
            0 => backend.clear_value(self.value, n).unwrap(),
            1 | 2 => backend.update(self.value, n, payload()).unwrap(),
            3..=5 => backend.list_add(self.list, n, payload()).unwrap(),
            6 => backend.list_update(self.list, n, vec![payload(); number as usize % 3]).unwrap(),
            7 if N::make(1) != *n => backend.merge_list(self.list, n, &[N::make(1)]).unwrap(),
            7 => backend.clear_list(self.list, n).unwrap(),
            8 => backend.clear_map(self.map, n).unwrap(),
            9 => backend.map_remove(self.map, n, &user_key).unwrap(),
            10..=13 => backend.map_put(self.map, n, user_key, number).unwrap(),
            14 => backend.reducing_add(self.reduced, n, number % 1_000).unwrap(),
            _ => backend.aggregating_add(self.aggregate, n, number % 1_000).unwrap(),
        }
    }
}

/// A subtask with states of each kind without a TTL, with one, and with one that full snapshots clean up, and timers.
struct Subtask<K: Key, N, B> {
    backend: TtlBackend<B>,
    states: [States<N>; 3],
    timers: TimerService<N>,
    groups: KeyGroups,
    number: u16,
    marker: std::marker::PhantomData<K>,
    _folder: tempfile::TempDir,
}

const SUFFIXES: [&str; 3] = ["", "-ttl", "-ttl-cleaned"];

fn ttls() -> StateTtls {
    let mut ttls = StateTtls::new();
    for (suffix, full_snapshot) in [(SUFFIXES[1], false), (SUFFIXES[2], true)] {
        let cleanup = CleanupStrategies { full_snapshot, ..CleanupStrategies::default() };
        let (update_type, visibility) = (UpdateType::OnCreateAndWrite, StateVisibility::NeverReturnExpired);
        for name in ["value", "list", "map", "reduced", "aggregate"] {
            ttls.insert(name.to_owned() + suffix, StateTtl { ttl_ms: TTL_MS, update_type, visibility, cleanup });
        }
    }
    ttls
}

impl<K: TestKey, N: TestNamespace, B: Subject<K>> Subtask<K, N, B> {
    fn open(factory: &str, groups: KeyGroups, subtask: u16) -> Self {
        let folder = crate::backend::test_folder();
        let mut backend = TtlBackend::new(B::start(folder.path(), factory, (groups, subtask), ttls()));
        Self {
            states: SUFFIXES.map(|suffix| States::register(&mut backend, suffix)),
            timers: backend.timer_service("timers").unwrap(),
            backend,
            groups,
            number: subtask,
            marker: std::marker::PhantomData,
            _folder: folder,
        }
    }

    /// Random operations on keys of the subtask; the clock goes on by the way.
    fn change(&mut self, random: &mut u64, now_ms: &mut i64, times: usize) {
        for _ in 0..times {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (kind, number) = (*random >> 60, (*random >> 24) as i64 & 0xfff_ffff);
            let key = K::make(number >> 8 & 0x1f, (number & 3) as u8);
            if self.groups.subtask_of(self.groups.group_of(key.hash_code())) != self.number {
                continue;
            }
            let namespace = N::make((number >> 3 & 3) as u8 % 3);
            *now_ms += i64::from(number % 19 == 0);
            self.backend.set_current_time(*now_ms);
            self.backend.set_current_key(&key);
            let timer = (self.timers, if number & 4 == 0 { TimeDomain::EventTime } else { TimeDomain::ProcessingTime });
            match number % 10 {
                0 | 1 => self.backend.register_timer(timer.0, timer.1, &namespace, number % 50 - 10).unwrap(),
                2 => self.backend.delete_timer(timer.0, timer.1, &namespace, number % 50 - 10).unwrap(),
                // All of them: of those of one time, the order is the backend's.
                3 if number % 7 == 0 => {
                    while self.backend.take_timer(timer.0, timer.1, number % 50 - 10).unwrap().is_some() {}
                }
                state => self.states[state as usize % 3].change(&mut self.backend, &namespace, kind, number),
            }
        }
    }

    fn digest(&mut self) -> Digest {
        self.backend.state_digest().unwrap()
    }
}

/// Entries by key group and state.
type Entries = BTreeMap<(u16, usize), Vec<(Vec<u8>, Vec<u8>)>>;

/// The entries of a savepoint by key group and state, sorted, and its header.
fn entries((bytes, info): &Written) -> (Vec<u8>, Entries) {
    let groups = KeyGroups { max_parallelism: 200, parallelism: 1 };
    let mut found = Entries::new();
    super::canonical::for_each_entry(&mut Cursor::new(bytes), info, (0..200, groups), 99, |state, entry| {
        found.entry((entry.group.number, state)).or_default().push((entry.key.to_vec(), entry.value.to_vec()));
        Ok(())
    })
    .unwrap();
    found.values_mut().for_each(|entries| entries.sort());
    let header = info.offsets.iter().copied().filter(|offset| *offset > 0).min().unwrap_or(info.bytes);
    (bytes[..header as usize].to_vec(), found)
}

/// Takes a savepoint of each subtask while it goes on, and restores them into backends of another kind, so many.
fn pass_on<K: TestKey, N: TestNamespace, A: Subject<K>, B: Subject<K>>(
    from: &mut [Subtask<K, N, A>],
    parallelism: u16,
    (factory, compressed): (&str, bool),
    (random, now_ms): (&mut u64, &mut i64),
) -> Vec<Subtask<K, N, B>> {
    let mut expected = Digest::default();
    let mut savepoints = Vec::new();
    let groups = KeyGroups { parallelism, ..from[0].groups };
    let before = *now_ms;
    for subtask in from {
        subtask.backend.set_current_time(before);
        expected.merge(subtask.digest());
        let write = subtask.backend.inner.begin(compressed);
        let writer = std::thread::spawn(write);
        subtask.change(random, now_ms, 400);
        savepoints.push(writer.join().unwrap());
    }
    // What was written is what was there, whatever came after it.
    *now_ms = before;
    let open = |subtask| {
        let mut restored = Subtask::<K, N, B>::open(factory, groups, subtask);
        restored.backend.set_current_time(before);
        savepoints.iter().for_each(|savepoint| restored.backend.inner.take_in_savepoint(savepoint).unwrap());
        restored
    };
    let mut restored: Vec<_> = (0..parallelism).map(open).collect();
    let mut digest = Digest::default();
    restored.iter_mut().for_each(|subtask| digest.merge(subtask.digest()));
    assert_eq!(digest, expected);
    assert!(digest.count > 100, "{}", digest.count);
    restored
}

/// From one backend to the other and back, at 1, 2, 3 and 1 subtasks.
fn travel<K: TestKey, N: TestNamespace, A: Subject<K>, B: Subject<K>>(seed: u64, groups: KeyGroups, factory: &str) {
    let (mut random, mut now_ms) = (seed, 1_000);
    let compressed = seed.is_multiple_of(2);
    let mut first = Subtask::<K, N, A>::open(factory, groups, 0);
    first.change(&mut random, &mut now_ms, 3_000);
    let (random, now_ms) = (&mut random, &mut now_ms);
    let mut two = pass_on::<K, N, A, B>(&mut [first], 2, (factory, compressed), (random, now_ms));
    two.iter_mut().for_each(|subtask| subtask.change(random, now_ms, 300));
    let mut three = pass_on::<K, N, B, A>(&mut two, 3, (factory, !compressed), (random, now_ms));
    three.iter_mut().for_each(|subtask| subtask.change(random, now_ms, 300));
    let mut one = pass_on::<K, N, A, B>(&mut three, 1, (factory, compressed), (random, now_ms));
    assert_same_bytes::<K, N, B, A>(&mut one[0], (*random, *now_ms), factory);
}

/// What was restored goes on as what it came from, and both write the same savepoint, but for the order of entries in a
/// state and of queues that are on the heap beside a database.
fn assert_same_bytes<K: TestKey, N: TestNamespace, A: Subject<K>, B: Subject<K>>(
    one: &mut Subtask<K, N, A>,
    (random, now_ms): (u64, i64),
    factory: &str,
) {
    one.backend.set_current_time(now_ms);
    let savepoint = one.backend.inner.begin(false)();
    let mut other = Subtask::<K, N, B>::open(factory, one.groups, 0);
    other.backend.set_current_time(now_ms);
    other.backend.inner.take_in_savepoint(&savepoint).unwrap();
    one.change(&mut random.clone(), &mut now_ms.clone(), 500);
    other.change(&mut random.clone(), &mut now_ms.clone(), 500);
    assert_eq!(one.digest(), other.digest());
    for compressed in [false, true] {
        let (one, other) = (one.backend.inner.begin(compressed)(), other.backend.inner.begin(compressed)());
        let (one_entries, other_entries) = (entries(&one), entries(&other));
        assert!(one_entries == other_entries, "entries differ");
        assert_eq!(one.1.state_bytes, other.1.state_bytes);
        if !compressed {
            assert_eq!(one.1, other.1);
        }
    }
}

#[test]
fn savepoints_of_long_keys_go_from_backend_to_backend() {
    for (seed, factory) in [(1, "ROCKSDB"), (2, "ROCKSDB"), (3, "HEAP"), (4, "HEAP")] {
        let groups = GROUPS[seed as usize / 2 % 2];
        travel::<i64, Window, HeapBackend<i64>, RocksDbBackend<i64>>(seed, groups, factory);
        travel::<i64, Window, RocksDbBackend<i64>, HeapBackend<i64>>(seed + 10, groups, factory);
    }
}

#[test]
fn savepoints_of_string_keys_go_from_backend_to_backend() {
    for (seed, factory) in [(5, "ROCKSDB"), (6, "ROCKSDB"), (7, "HEAP"), (8, "HEAP")] {
        let groups = GROUPS[seed as usize / 2 % 2];
        travel::<StringKey, TextNamespace, HeapBackend<StringKey>, RocksDbBackend<StringKey>>(seed, groups, factory);
        travel::<StringKey, TextNamespace, RocksDbBackend<StringKey>, HeapBackend<StringKey>>(
            seed + 10,
            groups,
            factory,
        );
    }
}

/// Both backends leave out what has expired where the clean-up says so, elements of lists and entries of maps on their
/// own, and only there.
fn cleaned_up<B: Subject<i64>>() -> (u64, u64) {
    let mut subtask = Subtask::<i64, Window, B>::open("ROCKSDB", GROUPS[0], 0);
    let n = &Window::make(0);
    for (now_ms, number) in [(0, 1), (TTL_MS / 2, 2), (TTL_MS, 3)] {
        subtask.backend.set_current_time(now_ms);
        for states in &subtask.states[1..] {
            subtask.backend.set_current_key(&1);
            subtask.backend.list_add(states.list, n, Payload([number].into())).unwrap();
            subtask.backend.map_put(states.map, n, number.to_string(), 1).unwrap();
            subtask.backend.set_current_key(&i64::from(number));
            subtask.backend.update(states.value, n, Payload([number].into())).unwrap();
            subtask.backend.reducing_add(states.reduced, n, 1).unwrap();
            subtask.backend.aggregating_add(states.aggregate, n, 1).unwrap();
        }
    }
    let before = subtask.digest();
    let savepoint = subtask.backend.inner.begin(false)();
    assert_eq!(subtask.digest(), before, "live state keeps what has expired");
    let mut restored = Subtask::<i64, Window, B>::open("ROCKSDB", GROUPS[0], 0);
    restored.backend.set_current_time(TTL_MS);
    restored.backend.inner.take_in_savepoint(&savepoint).unwrap();
    assert_eq!(restored.digest(), before);
    let census = restored.backend.inner.census().unwrap();
    (census.live_entries, census.expired_entries)
}

#[test]
fn a_savepoint_leaves_out_what_the_cleanup_of_full_snapshots_removes() {
    // Of each of five states the first of three has expired; the state without the clean-up keeps it.
    assert_eq!(cleaned_up::<HeapBackend<i64>>(), (20, 5));
    assert_eq!(cleaned_up::<RocksDbBackend<i64>>(), (20, 5));
}

/// A value state `v` of longs with these entries.
fn longs<B: Subject<i64>>(groups: KeyGroups, values: &[(i64, i64)]) -> (tempfile::TempDir, B) {
    let folder = crate::backend::test_folder();
    let mut backend = B::start(folder.path(), "ROCKSDB", (groups, 0), StateTtls::new());
    let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
    for (key, value) in values {
        backend.set_current_key(key);
        backend.update(state, &VoidNamespace, *value).unwrap();
    }
    (folder, backend)
}

const FOUR: KeyGroups = KeyGroups { max_parallelism: 4, parallelism: 1 };
const OBSERVED: [(i64, i64); 3] = [(0, 1_000), (1, 1_001), (2, 1_002)];

fn as_in_flink<B: Subject<i64>>() {
    let (_folder, mut backend) = longs::<B>(FOUR, &OBSERVED);
    let (bytes, info) = backend.begin(false)();
    assert_eq!(bytes.len(), 449);
    assert_eq!(info.state_bytes, [("v".to_owned(), 3 * 26)].into());
    assert_eq!(info.offsets.iter().filter(|offset| **offset == 0).count(), 2, "{:?}", info.offsets);
    let (empty, info) = longs::<B>(FOUR, &[]).1.begin(true)();
    assert_eq!((empty.len(), info.offsets), (363, vec![0; 4]));
    // A compressed key group: the identifier of the stream and one chunk with its checksum.
    let (compressed, info) = backend.begin(true)();
    let group = &compressed[info.offsets[2] as usize..];
    assert_eq!(group[..11], *b"\xff\x06\0\0sNaPpY\0");
}

#[test]
fn a_savepoint_is_as_long_as_in_flink() {
    as_in_flink::<HeapBackend<i64>>();
    as_in_flink::<RocksDbBackend<i64>>();
}

#[test]
fn a_savepoint_has_the_layout_of_flink() {
    let (_folder, mut backend) = longs::<RocksDbBackend<i64>>(FOUR, &OBSERVED[..2]);
    let (bytes, info) = backend.begin(false)();
    assert_eq!(info.offsets, [0, 0, 363, 0]);
    let hex = bytes[363..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let expected = [
        "0000",
        "0000000a 02000000000000000000 00000008 00000000000003e8",
        "0000000a 82000000000000000100 00000008 00000000000003e9",
        "ffff",
    ];
    assert_eq!(hex, expected.concat().replace(' ', ""));
}

fn refused<B: Subject<i64>>(written: &Written) -> StateResult<Digest> {
    let (_folder, mut backend) = longs::<B>(FOUR, &[]);
    backend.take_in_savepoint(written).and_then(|()| backend.state_digest())
}

#[test]
fn what_is_damaged_is_refused() {
    let values: Vec<_> = (0..30).map(|key| (key, key)).collect();
    for compressed in [false, true] {
        let (_folder, mut backend) = longs::<HeapBackend<i64>>(FOUR, &values);
        let whole = backend.begin(compressed)();
        let digest = backend.state_digest().unwrap();
        assert_eq!(refused::<HeapBackend<i64>>(&whole).unwrap(), digest);
        assert_eq!(refused::<RocksDbBackend<i64>>(&whole).unwrap(), digest);
        let (bytes, info) = &whole;
        for len in 0..bytes.len() {
            let cut = (bytes[..len].to_vec(), info.clone());
            assert!(refused::<HeapBackend<i64>>(&cut).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut flipped = whole.clone();
            flipped.0[at] ^= 1 << (at % 8);
            let restored = refused::<HeapBackend<i64>>(&flipped);
            assert!(at >= info.offsets[0] as usize || restored.is_err(), "byte {at} of the header");
            // A checksum finds every flip that changes what is read; without one, a value may become another value.
            if let (true, Ok(restored)) = (compressed, restored) {
                assert_eq!(restored, digest, "byte {at}");
            }
        }
        // A database is opened anew for each.
        for at in (0..bytes.len()).step_by(29) {
            let mut flipped = whole.clone();
            flipped.0[at] ^= 1 << (at % 8);
            let (in_heap, in_database) =
                (refused::<HeapBackend<i64>>(&flipped), refused::<RocksDbBackend<i64>>(&flipped));
            // A database does not look whether an entry of the savepoint is there already.
            let is_twice = in_heap.as_ref().is_err_and(|error| error.to_string().contains("is there already"));
            assert!(is_twice || in_heap.ok() == in_database.ok(), "byte {at}");
        }
        for offsets in [[0, 1, 1, 0], [1, 0, 3, 2]] {
            let mut other = whole.clone();
            other.1.offsets = offsets.iter().map(|group| info.offsets[*group]).collect();
            assert!(refused::<HeapBackend<i64>>(&other).is_err(), "{offsets:?}");
            other.1.offsets.pop();
            assert!(refused::<HeapBackend<i64>>(&other).is_err());
        }
        let huge = (bytes.clone(), SnapshotInfo { bytes: u64::MAX, ..info.clone() });
        assert!(refused::<HeapBackend<i64>>(&huge).is_err());
        assert!(backend.take_in_savepoint(&whole).is_err(), "its keys are there already");
    }
}

/// Why a savepoint of one entry is refused, which `change` has made another one.
fn why(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (_folder, mut backend) = longs::<HeapBackend<i64>>(FOUR, &OBSERVED[..1]);
    let (mut bytes, mut info) = backend.begin(false)();
    let mut group = bytes.split_off(363);
    change(&mut group);
    bytes.extend(group);
    info.bytes = bytes.len() as u64;
    let said =
        [refused::<HeapBackend<i64>>(&(bytes.clone(), info.clone())), refused::<RocksDbBackend<i64>>(&(bytes, info))]
            .map(|refused| refused.unwrap_err().to_string());
    assert_eq!(said[0], said[1]);
    said[0].clone()
}

#[test]
fn what_is_refused_says_why() {
    let said = [
        why(|group| group[1] = 1),
        why(|group| group[6] = 0x81),
        why(|group| group[14] = 2),
        why(|group| group[6] = 2),
        why(|group| group[5] = 0),
        why(|group| group[2] = 0xff),
        why(|group| group[15] = 1),
        why(|group| group.truncate(20)),
        why(|group| group.extend([0, 0])),
        why(|group| group.truncate(0)),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    the checkpoint is damaged: it has a state 1, and its header has none
    the checkpoint is damaged: a key in key group 2 does not begin with it
    the checkpoint is damaged: a key in key group 2 belongs to 3
    the checkpoint is damaged: a key group is cut short
    the checkpoint is damaged: a key is empty
    the checkpoint is damaged: a length is negative
    state bytes do not decode as VoidNamespace: the byte is not 0
    the checkpoint is damaged: a key group is cut short
    the checkpoint is damaged: a key group ends before its last byte
    the checkpoint is damaged: a key group is cut short
    ");
}

#[test]
fn an_entry_must_be_one_of_its_state() {
    let folder = crate::backend::test_folder();
    for kind in ["list", "map", "timer"] {
        let mut heap = HeapBackend::<i64>::new(FOUR, 0);
        let list = heap.list_state::<VoidNamespace, i64>("list").unwrap();
        let map = heap.map_state::<VoidNamespace, String, i64>("map").unwrap();
        let timers = heap.timer_service::<VoidNamespace>("t").unwrap();
        heap.set_current_key(&0);
        match kind {
            "list" => heap.list_update(list, &VoidNamespace, vec![1, 2]).unwrap(),
            "map" => heap.map_put(map, &VoidNamespace, "k".into(), 1).unwrap(),
            _ => heap.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, 7).unwrap(),
        }
        let (bytes, info) = heap.begin(false)();
        let start = info.offsets.iter().copied().max().unwrap() as usize;
        let mut database: RocksDbBackend<i64> =
            Subject::start(&folder.path().join(kind), "ROCKSDB", (FOUR, 0), StateTtls::new());
        database.list_state::<VoidNamespace, i64>("list").unwrap();
        database.map_state::<VoidNamespace, String, i64>("map").unwrap();
        database.timer_service::<VoidNamespace>("t").unwrap();
        let mut differ = 0;
        for (at, bit) in (start..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let mut fresh = HeapBackend::<i64>::new(FOUR, 0);
            fresh.list_state::<VoidNamespace, i64>("list").unwrap();
            fresh.map_state::<VoidNamespace, String, i64>("map").unwrap();
            fresh.timer_service::<VoidNamespace>("t").unwrap();
            let flipped = (flipped, info.clone());
            let in_heap = fresh.take_in_savepoint(&flipped).is_ok();
            assert_eq!(
                in_heap,
                database.take_in_savepoint(&flipped).is_ok(),
                "{kind}: bit {bit} of byte {}",
                at - start
            );
            differ += usize::from(!in_heap);
        }
        // Most bits are lengths, marks, key and namespace.
        assert!(differ > 100, "{kind}: {differ}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, compressed: bool, offsets in proptest::collection::vec(0_u64..900, 4)) {
        let (_folder, mut backend) = longs::<HeapBackend<i64>>(FOUR, &[]);
        let (mut written, mut info) = backend.begin(compressed)();
        // A header and the number of a state that are right lead deeper.
        info.offsets[2] = written.len() as u64;
        written.extend([0, 0, 0, 0, 0, 10, 0x82]);
        written.extend(&bytes);
        info.bytes = written.len() as u64;
        let _ = backend.take_in_savepoint(&(written.clone(), info.clone()));
        info.offsets = offsets;
        let _ = backend.take_in_savepoint(&(written, info));
    }
}

#[test]
fn a_savepoint_of_another_job_is_refused_by_name() {
    let (_folder, mut backend) = longs::<HeapBackend<i64>>(FOUR, &OBSERVED);
    let written = backend.begin(false)();
    let (_folder, mut other) = longs::<RocksDbBackend<i64>>(FOUR, &[]);
    other.list_state::<VoidNamespace, i64>("l").unwrap();
    insta::assert_snapshot!(other.take_in_savepoint(&written).unwrap_err(), @"the checkpoint does not fit this job: the state `l` of this job is not in it");
}
