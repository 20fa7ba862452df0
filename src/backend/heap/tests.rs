//! The table under random operations and snapshots, beside a plain model; threads; leaks; the sizes on a Java heap.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;

use super::table::TableSnapshot;
use super::{HeapBackend, HeapSnapshot, Place, SnapshotInfo, StateTable};
use crate::state::{
    Codec, Digest, HeapUse, JVM_ENTRY, JvmHeap, JvmSize, Key, KeyGroups, KeyedStateBackend, ListState, MapState,
    ObjectMap, Payload, StringKey, TextNamespace, TimeDomain, TimerService, ValueState, VoidNamespace, jvm_references,
    write_header,
};

const GROUPS: KeyGroups = KeyGroups { max_parallelism: 4, parallelism: 1 };
const HEAP: JvmHeap = JvmHeap { bytes: 1 << 30 };

/// A value that counts how many of its kind there are.
struct Counting {
    number: i64,
    alive: Arc<AtomicI64>,
    /// Something that a double free or a use after free would trip over.
    boxed: Box<i64>,
}
impl Counting {
    fn new(number: i64, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive: Arc::clone(alive), boxed: Box::new(number) }
    }
    fn set(&mut self, number: i64) {
        self.number = number;
        *self.boxed = number;
    }
    fn get(&self) -> i64 {
        assert_eq!(self.number, *self.boxed);
        self.number
    }
}
impl Clone for Counting {
    fn clone(&self) -> Self {
        Self::new(self.get(), &self.alive)
    }
}
impl Drop for Counting {
    fn drop(&mut self) {
        assert!(self.alive.fetch_sub(1, Ordering::Relaxed) > 0, "dropped twice");
    }
}
impl JvmSize for Counting {
    fn jvm_bytes(&self) -> u64 {
        16 + (self.number.unsigned_abs() % 5) * 8
    }
}

#[derive(Debug, Clone)]
enum Op {
    Get(u16),
    Put(u16, i64),
    Modify(u16),
    Add(u16, i64),
    Remove(u16),
    Take(u16),
    /// Many puts, so that the maps grow.
    PutMany(u16, u16),
    Snapshot,
    /// Checks and releases one of the snapshots.
    Release(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0_u16..600;
    prop_oneof![
        6 => key().prop_map(Op::Get),
        6 => (key(), any::<i64>()).prop_map(|(key, value)| Op::Put(key, value)),
        6 => key().prop_map(Op::Modify),
        6 => (key(), any::<i64>()).prop_map(|(key, value)| Op::Add(key, value)),
        3 => key().prop_map(Op::Remove),
        3 => key().prop_map(Op::Take),
        2 => (key(), 1_u16..300).prop_map(|(first, count)| Op::PutMany(first, count)),
        2 => Just(Op::Snapshot),
        2 => any::<usize>().prop_map(Op::Release),
    ]
}

type Table = StateTable<i64, VoidNamespace, Counting>;
type Model = BTreeMap<i64, i64>;

/// Runs `access` with the place of a key in a table of one key group, so that chains are long.
fn at<R>(key: u16, access: impl FnOnce(Place<'_, i64, VoidNamespace>) -> R) -> R {
    let key = i64::from(key);
    access(Place::new(&key, key.hash_code(), &VoidNamespace, 0))
}

fn content(table: &Table) -> Model {
    let mut content = Model::new();
    table.for_each(|_, key, _, value| assert!(content.insert(*key, value.get()).is_none()));
    content
}

fn content_of(snapshot: &TableSnapshot<i64, VoidNamespace, Counting>) -> Model {
    let mut content = Model::new();
    let visit = |key: &i64, _: &VoidNamespace, value: &Counting| {
        assert!(content.insert(*key, value.get()).is_none());
        Ok::<_, ()>(())
    };
    snapshot.try_for_each(0, visit).unwrap();
    assert_eq!(snapshot.entries(0), content.len());
    content
}

/// What the entries of a table take, counted anew.
fn recount<V: JvmSize + Clone + Send + Sync>(table: &StateTable<i64, VoidNamespace, V>) -> u64 {
    let mut bytes = 0;
    table.for_each(|_, key, _, value| bytes += JVM_ENTRY + key.jvm_bytes() + value.jvm_bytes());
    bytes
}

fn apply(table: &mut Table, model: &mut Model, alive: &Arc<AtomicI64>, op: &Op) {
    let put = |table: &mut Table, model: &mut Model, key: u16, number: i64| {
        at(key, |place| table.put(place, Counting::new(number, alive)));
        model.insert(key.into(), number);
    };
    match *op {
        Op::Get(key) => {
            let got = at(key, |place| table.get(place).map(Counting::get));
            assert_eq!(got, model.get(&key.into()).copied());
        }
        Op::Put(key, number) => put(table, model, key, number),
        Op::Modify(key) => {
            let changed = at(key, |place| table.modify(place, |value| value.set(value.get().wrapping_add(1))));
            assert_eq!(changed.is_some(), model.contains_key(&key.into()));
            model.entry(key.into()).and_modify(|number| *number = number.wrapping_add(1));
        }
        Op::Add(key, number) => {
            at(key, |place| {
                let make = |number| Counting::new(number, alive);
                table.transform(place, number, make, |value, number| {
                    value.set(value.get() ^ number);
                    0
                });
            });
            model.entry(key.into()).and_modify(|kept| *kept ^= number).or_insert(number);
        }
        Op::Take(key) => {
            let taken = at(key, |place| table.take(place)).map(|value| value.get());
            assert_eq!(taken, model.remove(&key.into()));
        }
        Op::Remove(key) => {
            at(key, |place| table.remove(place));
            model.remove(&key.into());
        }
        Op::PutMany(first, count) => (first..first + count).for_each(|key| put(table, model, key, key.into())),
        Op::Snapshot | Op::Release(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snapshots_keep_what_they_saw_and_nothing_leaks(ops in vec(op(), 1..200), drop_table_first: bool) {
        let alive = Arc::new(AtomicI64::new(0));
        let mut table = Table::new(1);
        let mut model = Model::new();
        let mut snapshots = Vec::new();
        for op in &ops {
            match op {
                Op::Snapshot => snapshots.push((table.snapshot().unwrap(), model.clone())),
                Op::Release(index) if !snapshots.is_empty() => {
                    let (snapshot, expected) = snapshots.swap_remove(index % snapshots.len());
                    prop_assert_eq!(content_of(&snapshot), expected);
                }
                op => apply(&mut table, &mut model, &alive, op),
            }
            let used = table.heap_use(HEAP);
            prop_assert_eq!(used.entries as usize, model.len());
            let counted = recount(&table) + used.array_bytes;
            if snapshots.is_empty() {
                // What was retired is freed with the last snapshot, but for what the table has yet to hand over.
                prop_assert!(used.live_bytes >= counted);
            } else {
                prop_assert!(used.live_bytes > counted);
            }
        }
        prop_assert_eq!(&content(&table), &model);
        if drop_table_first {
            drop(table);
            for (snapshot, expected) in &snapshots {
                prop_assert_eq!(&content_of(snapshot), expected);
            }
            drop(snapshots);
        } else {
            for (snapshot, expected) in snapshots {
                prop_assert_eq!(content_of(&snapshot), expected);
            }
            prop_assert_eq!(content(&table), model);
            // The next snapshot finds that all are released: nothing is left but the table.
            drop(table.snapshot());
            let used = table.heap_use(HEAP);
            prop_assert_eq!(used.live_bytes, recount(&table) + used.array_bytes);
            prop_assert_eq!(alive.load(Ordering::Relaxed), used.entries as i64);
            drop(table);
        }
        prop_assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_snapshot_is_read_while_the_table_changes() {
    let alive = Arc::new(AtomicI64::new(0));
    let mut table = Table::new(1);
    let mut model = Model::new();
    let mut random = 1_u64;
    let mut change = |table: &mut Table, model: &mut Model, times: usize| {
        for _ in 0..times {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (key, number) = ((random >> 33) as u16 % 3_000, (random >> 20) as i64);
            let op = match random >> 61 {
                0 => Op::Remove(key),
                1 => Op::Get(key),
                2 | 3 => Op::Put(key, number),
                4 => Op::Add(key, number),
                _ => Op::Modify(key),
            };
            apply(table, model, &alive, &op);
        }
    };
    change(&mut table, &mut model, 2_000);
    std::thread::scope(|scope| {
        for _ in 0..60 {
            let (snapshot, expected) = (table.snapshot().unwrap(), model.clone());
            let reader = scope.spawn(move || {
                for _ in 0..3 {
                    assert_eq!(content_of(&snapshot), expected);
                }
            });
            while !reader.is_finished() {
                change(&mut table, &mut model, 100);
            }
            reader.join().unwrap();
        }
    });
    assert_eq!(content(&table), model);
    drop(table);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

/// Numbers of entries and of values that the first touch of one of two entries copies.
#[test]
fn the_first_touch_copies_and_a_replacement_does_not() {
    let alive = Arc::new(AtomicI64::new(0));
    let mut table = Table::new(1);
    let mut model = Model::new();
    apply(&mut table, &mut model, &alive, &Op::Put(1, 7));
    let count = || alive.load(Ordering::Relaxed);
    let allocated = |table: &Table| table.heap_use(HEAP).allocated_bytes;
    let size = Counting::new(7, &alive).jvm_bytes();
    let snapshot = table.snapshot().unwrap();
    let before = allocated(&table);
    apply(&mut table, &mut model, &alive, &Op::Get(1));
    assert_eq!((count(), allocated(&table) - before), (2, JVM_ENTRY + size), "a read copies entry and object");
    apply(&mut table, &mut model, &alive, &Op::Modify(1));
    assert_eq!((count(), allocated(&table) - before), (2, JVM_ENTRY + size), "once");
    drop(snapshot);
    assert_eq!(count(), 2, "the table has not handed over what it retired");
    let second = table.snapshot().unwrap();
    assert_eq!(count(), 1);
    let before = allocated(&table);
    apply(&mut table, &mut model, &alive, &Op::Put(1, 7));
    assert_eq!((count(), allocated(&table) - before), (2, JVM_ENTRY + size), "the new object, no copy of the old one");
    drop(second);
    apply(&mut table, &mut model, &alive, &Op::Modify(1));
    assert_eq!(content(&table), model);
}

#[test]
fn maps_grow_in_steps_and_never_shrink() {
    let mut table = StateTable::<i64, VoidNamespace, i64>::new(1);
    let arrays = |table: &StateTable<i64, VoidNamespace, i64>| table.heap_use(HEAP).array_bytes;
    let put = |table: &mut StateTable<_, _, _>, key| at(key, |place| table.put(place, 1_000));
    (0..97).for_each(|key| put(&mut table, key));
    assert_eq!(arrays(&table), 16 + 4 * 128, "97 are one more than three quarters of 128: the next begins to grow");
    put(&mut table, 97);
    assert_eq!(arrays(&table), 16 + 4 * 128 + 16 + 4 * 256, "both arrays while it grows");
    for step in 0.. {
        assert!(step <= 98 / 4, "each operation moves at least 4 entries");
        if arrays(&table) == 16 + 4 * 256 {
            break;
        }
        at(500, |place| assert!(table.get(place).is_none()));
    }
    (0..98).for_each(|key| at(key, |place| table.remove(place)));
    assert_eq!(
        table.heap_use(HEAP),
        HeapUse { live_bytes: 1_040, array_bytes: 1_040, entries: 0, ..table.heap_use(HEAP) }
    );
}

/// A backend of one state with the keys that `fill` puts, 500,000 entries over 128 key groups.
fn bytes_per_entry<K: Key>(entries: u64, fill: impl Fn(&mut HeapBackend<K>)) -> f64 {
    let mut backend = HeapBackend::new(KeyGroups { max_parallelism: 128, parallelism: 1 }, 0);
    fill(&mut backend);
    backend.heap_use(HEAP).unwrap().live_bytes as f64 / entries as f64
}

#[test]
fn entries_take_what_they_take_in_flink() {
    let close = |modelled: f64, measured: f64| {
        assert!((modelled / measured - 1.0).abs() < 0.03, "modelled {modelled}, measured {measured}");
    };
    let keys = 1_000..501_000_i64;
    let longs = bytes_per_entry::<i64>(500_000, |backend| {
        let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
        for key in keys.clone() {
            backend.set_current_key(&key);
            backend.update(state, &VoidNamespace, key).unwrap();
        }
    });
    close(longs, 97.1);
    let strings = bytes_per_entry::<StringKey>(500_000, |backend| {
        let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
        for key in keys.clone() {
            backend.set_current_key(&StringKey::new(format!("{key:016}")));
            backend.update(state, &VoidNamespace, key).unwrap();
        }
    });
    close(strings, 129.7);
    let payloads = bytes_per_entry::<i64>(500_000, |backend| {
        let state = backend.value_state::<VoidNamespace, Payload>("v").unwrap();
        for key in keys.clone() {
            backend.set_current_key(&key);
            backend.update(state, &VoidNamespace, Payload(vec![0; 100].into())).unwrap();
        }
    });
    close(payloads, 193.3);
    let maps = bytes_per_entry::<i64>(500_000, |backend| {
        let state = backend.map_state::<VoidNamespace, i64, i64>("m").unwrap();
        for key in 1_000..51_000 {
            backend.set_current_key(&key);
            (0..10).for_each(|entry| backend.map_put(state, &VoidNamespace, 1_000 + entry, key).unwrap());
        }
    });
    close(maps, 100.2);
}

/// A backend with one long in a value state `v` for each of the first `n` keys.
fn longs(n: i64) -> HeapBackend<i64> {
    let mut backend = HeapBackend::new(GROUPS, 0);
    let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
    for key in 0..n {
        backend.set_current_key(&key);
        backend.update(state, &VoidNamespace, key).unwrap();
    }
    backend
}

fn written(snapshot: HeapSnapshot) -> (Vec<u8>, SnapshotInfo) {
    let mut bytes = Vec::new();
    let info = snapshot.write(&mut bytes).unwrap();
    assert_eq!(info.bytes, bytes.len() as u64);
    (bytes, info)
}

#[test]
fn a_checkpoint_is_as_long_as_in_flink() {
    // Observed in Flink, where the header takes 363 bytes.
    for (n, bytes) in [(0, 403), (3, 454), (1_000, 17_403)] {
        let (written, info) = written(longs(n).snapshot(false).unwrap());
        assert_eq!(written.len(), bytes);
        assert_eq!((info.key_groups, info.offsets.len(), info.offsets[0]), (0..4, 4, 363));
        assert_eq!(info.state_bytes, [("v".to_owned(), 17 * n as u64)].into());
    }
    let (empty, _) = written(longs(0).snapshot(true).unwrap());
    assert_eq!(empty.len(), 475);
    let (compressed, info) = written(longs(1_000).snapshot(true).unwrap());
    assert!(compressed.len() < 17_403 * 2 / 3, "{}", compressed.len());
    assert_eq!(info.state_bytes["v"], 17_000);
}

#[test]
fn a_checkpoint_has_the_layout_of_flink() {
    let mut backend = HeapBackend::<i64>::new(KeyGroups { max_parallelism: 1, parallelism: 1 }, 0);
    let value = backend.value_state::<TextNamespace, i64>("v").unwrap();
    let list = backend.list_state::<VoidNamespace, i64>("l").unwrap();
    let map = backend.map_state::<VoidNamespace, String, i64>("m").unwrap();
    let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
    backend.set_current_key(&42);
    backend.update(value, &TextNamespace("N".into()), 7).unwrap();
    backend.list_add(list, &VoidNamespace, 1).unwrap();
    backend.list_add(list, &VoidNamespace, 2).unwrap();
    backend.map_put(map, &VoidNamespace, "k".into(), 3).unwrap();
    backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, 1_000).unwrap();
    backend.register_timer(timers, TimeDomain::ProcessingTime, &VoidNamespace, -5).unwrap();
    let (bytes, info) = written(backend.snapshot(false).unwrap());
    let hex = bytes[info.offsets[0] as usize..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let expected = [
        "00000000",                                             // key group
        "0000 00000001 024e 000000000000002a 0000000000000007", // namespace, key, value
        "0001 00000001 00 000000000000002a 00000002 0000000000000001 0000000000000002",
        "0002 00000001 00 000000000000002a 00000001 026b 00 0000000000000003",
        "0003 00000001 80000000000003e8 000000000000002a 00", // time with its sign flipped, key, namespace
        "0004 00000001 7ffffffffffffffb 000000000000002a 00",
    ];
    assert_eq!(hex, expected.concat().replace(' ', ""));
}

fn domain(number: i64) -> TimeDomain {
    if number & 16 == 0 { TimeDomain::EventTime } else { TimeDomain::ProcessingTime }
}

/// A backend with a state of each kind and timers, and operations on all of them that follow from a seed.
struct Everything {
    backend: HeapBackend<i64>,
    value: ValueState<VoidNamespace, Payload>,
    list: ListState<TextNamespace, i64>,
    map: MapState<VoidNamespace, String, i64>,
    maps: ValueState<VoidNamespace, ObjectMap<i64, i64>>,
    timers: TimerService<TextNamespace>,
    random: u64,
}

impl Everything {
    fn new(groups: KeyGroups, subtask: u16) -> Self {
        let mut backend = HeapBackend::new(groups, subtask);
        Self {
            value: backend.value_state("value").unwrap(),
            list: backend.list_state("list").unwrap(),
            map: backend.map_state("map").unwrap(),
            maps: backend.value_state("maps").unwrap(),
            timers: backend.timer_service("timers").unwrap(),
            backend,
            random: 1,
        }
    }

    fn change(&mut self, times: usize) {
        let Self { backend, value, list, map, maps, timers, random } = self;
        for _ in 0..times {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (key, number) = ((*random >> 33) as i64 % 2_000, (*random >> 20) as i64);
            let namespace = TextNamespace("n".repeat(number as usize % 3));
            backend.set_current_key(&key);
            match *random >> 60 {
                0 => backend.clear_value(*value, &VoidNamespace).unwrap(),
                1..4 => backend.update(*value, &VoidNamespace, Payload(vec![7; number as usize % 40].into())).unwrap(),
                4 => {
                    let mut kept = backend.value_for_update(*maps, &VoidNamespace).unwrap().unwrap_or_default();
                    kept.insert(number % 9, number);
                    backend.update(*maps, &VoidNamespace, kept).unwrap();
                }
                5 => backend.clear_list(*list, &namespace).unwrap(),
                6 => backend.list_update(*list, &namespace, vec![number; number as usize % 4]).unwrap(),
                7..10 => backend.list_add(*list, &namespace, number).unwrap(),
                10 => backend.map_remove(*map, &VoidNamespace, &(number % 8).to_string()).unwrap(),
                11 => backend.clear_map(*map, &VoidNamespace).unwrap(),
                12 => backend.register_timer(*timers, domain(number), &namespace, number % 100).unwrap(),
                13 if number % 8 > 0 => {
                    backend.delete_timer(*timers, domain(number), &namespace, number % 100).unwrap();
                }
                13 => drop(backend.take_timer(*timers, domain(number), number % 100).unwrap()),
                _ => backend.map_put(*map, &VoidNamespace, (number % 8).to_string(), number).unwrap(),
            }
        }
    }
}

#[test]
fn a_checkpoint_written_while_the_state_changes_is_that_of_a_frozen_copy() {
    let mut changing = Everything::new(GROUPS, 0);
    for compressed in [false, true, false] {
        changing.change(20_000);
        // The same operations from the same beginning: chains and maps have the same order.
        let mut frozen = Everything::new(GROUPS, 0);
        while frozen.random != changing.random {
            frozen.change(1);
        }
        let expected = written(frozen.backend.snapshot(compressed).unwrap());
        let snapshot = changing.backend.snapshot(compressed).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || written(snapshot));
            while !writer.is_finished() {
                changing.change(50);
            }
            assert!(writer.join().unwrap() == expected);
        });
    }
}

#[test]
fn a_checkpoint_is_restored_at_any_parallelism() {
    let at = |parallelism: u16| KeyGroups { max_parallelism: 7, parallelism };
    let mut whole = Everything::new(at(1), 0);
    whole.change(30_000);
    let digest = whole.backend.state_digest().unwrap();
    let mut checkpoints = vec![written(whole.backend.snapshot(false).unwrap())];
    for parallelism in [3, 2, 7, 1] {
        let (mut sum, mut next) = (Digest::default(), Vec::new());
        for subtask in 0..parallelism {
            let mut part = Everything::new(at(parallelism), subtask);
            for (bytes, info) in &checkpoints {
                part.backend.restore(&mut Cursor::new(bytes), info).unwrap();
            }
            sum.merge(part.backend.state_digest().unwrap());
            next.push(written(part.backend.snapshot(parallelism == 2).unwrap()));
        }
        assert_eq!(sum, digest, "parallelism {parallelism}");
        checkpoints = next;
    }
}

/// The sizes on a Java heap of a state that was changed at random are those of the same state written once.
#[test]
fn running_sizes_are_those_of_a_recount() {
    let mut state = Everything::new(GROUPS, 0);
    for round in 0..5 {
        state.change(10_000);
        let snapshot = (round % 2 == 0).then(|| state.backend.snapshot(false).unwrap());
        state.change(5_000);
        drop(snapshot);
        // The next snapshot notices that all are released.
        drop(state.backend.snapshot(false).unwrap());
        let used = state.backend.heap_use(HEAP).unwrap();
        assert_eq!(used.live_bytes, state.backend.recount(HEAP), "round {round}");
    }
}

#[test]
fn objects_are_counted_as_flink_holds_them() {
    let mut backend = HeapBackend::<i64>::new(GROUPS, 0);
    let value = backend.value_state::<VoidNamespace, Payload>("v").unwrap();
    let map = backend.map_state::<VoidNamespace, i64, i64>("m").unwrap();
    let list = backend.list_state::<VoidNamespace, Payload>("l").unwrap();
    let objects = |backend: &HeapBackend<i64>| backend.heap_objects().unwrap();
    let empty = objects(&backend);
    for key in 1_000..1_010 {
        backend.set_current_key(&key);
        backend.update(value, &VoidNamespace, Payload(vec![0; 9].into())).unwrap();
    }
    // Entry, key and array; tables are there from the start.
    assert_eq!(objects(&backend), empty + 10 * 3);
    // Entry, key, map and table, with node, key and value of each entry; of the values one in two is shared.
    (0..8).for_each(|entry| backend.map_put(map, &VoidNamespace, 500 + entry, 1_000 * (entry % 2)).unwrap());
    assert_eq!(objects(&backend), empty + 10 * 3 + 4 + 8 * 2 + 4);
    // Entry, key, list and array, and the elements.
    (0..3).for_each(|_| backend.list_add(list, &VoidNamespace, Payload(Box::default())).unwrap());
    assert_eq!(objects(&backend), empty + 10 * 3 + 4 + 8 * 2 + 4 + 4 + 3);
    // Timer, node and key.
    let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
    let before = objects(&backend);
    backend.set_current_key(&1_000);
    backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, 5).unwrap();
    assert!((before + 3..=before + 4).contains(&objects(&backend)), "a group's first timer makes its table");
    backend.set_current_key(&1_001);
    backend.clear_value(value, &VoidNamespace).unwrap();
    assert!(objects(&backend) < before + 3);
}

#[test]
fn timers_take_on_a_java_heap_what_they_take_in_flink() {
    let mut backend = HeapBackend::<i64>::new(GROUPS, 0);
    let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
    // A queue begins with an array of 129 references and an empty map for each of 4 key groups.
    let empty = backend.heap_use(HEAP).unwrap();
    assert_eq!((empty.live_bytes, empty.array_bytes), (2 * (536 + 4 * 48), 2 * 536));
    assert_eq!(empty.allocated_bytes, empty.live_bytes);
    backend.set_current_key(&1_000);
    (0..200).for_each(|time| backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, time).unwrap());
    let full = backend.heap_use(HEAP).unwrap();
    // The timer, its node and its `Long`; the queue's array of 193, then 289; a map's table of 64, then 128, 256, 512.
    assert_eq!(full.entries, 200);
    assert_eq!(full.array_bytes - empty.array_bytes, jvm_references(289) - jvm_references(129) + jvm_references(512));
    assert_eq!(full.live_bytes - empty.live_bytes - (full.array_bytes - empty.array_bytes), 200 * (32 + 32 + 24));
    let arrays: u64 = [193, 289, 64, 128, 256, 512].map(jvm_references).iter().sum();
    assert_eq!(full.allocated_bytes - empty.allocated_bytes, 200 * (32 + 32) + arrays);
    // Arrays do not shrink; a copy of the queue's is held while a snapshot is written.
    let snapshot = backend.snapshot(false).unwrap();
    assert_eq!(backend.heap_use(HEAP).unwrap().live_bytes - full.live_bytes, jvm_references(200) + jvm_references(0));
    drop(snapshot);
    while backend.take_timer(timers, TimeDomain::EventTime, 1_000).unwrap().is_some() {}
    let left = backend.heap_use(HEAP).unwrap();
    assert_eq!(left.live_bytes, empty.live_bytes + full.array_bytes - empty.array_bytes);
}

#[test]
fn what_is_damaged_is_refused() {
    for compressed in [false, true] {
        let (bytes, info) = written(longs(200).snapshot(compressed).unwrap());
        let restore = |bytes: &[u8], info: &SnapshotInfo| {
            let mut backend = longs(0);
            backend.restore(&mut Cursor::new(bytes), info).map(|()| backend.state_digest().unwrap())
        };
        assert_eq!(restore(&bytes, &info).unwrap(), longs(200).state_digest().unwrap());
        for len in 0..bytes.len() {
            assert!(restore(&bytes[..len], &info).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x80;
            // A checksum finds every flip that changes what is read; without one, a value may become another value.
            let restored = restore(&flipped, &info);
            assert!(at >= info.offsets[0] as usize || restored.is_err(), "byte {at} of the header");
            if let (true, Ok(digest)) = (compressed, restored) {
                assert_eq!(digest, longs(200).state_digest().unwrap(), "byte {at}");
            }
        }
        let mut offsets = info.clone();
        offsets.offsets.swap(1, 2);
        assert!(restore(&bytes, &offsets).is_err());
        offsets.offsets.pop();
        assert!(restore(&bytes, &offsets).is_err());
        let huge = SnapshotInfo { bytes: u64::MAX, ..info.clone() };
        assert!(restore(&bytes, &huge).is_err());
        let mut twice = longs(200);
        assert!(twice.restore(&mut Cursor::new(&bytes), &info).is_err(), "its keys are there already");
    }
    let mut none = HeapBackend::<i64>::new(GROUPS, 0);
    let (bytes, info) = written(longs(3).snapshot(false).unwrap());
    insta::assert_snapshot!(none.restore(&mut Cursor::new(&bytes), &info).unwrap_err(), @"the checkpoint does not fit this job: its state `v` is not one of this job");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, compressed: bool, offsets in vec(0_u64..300, 4)) {
        let mut backend = longs(0);
        let info = |bytes: &[u8], key_groups: Range<u16>, offsets| {
            let state_bytes = BTreeMap::new();
            SnapshotInfo { bytes: bytes.len() as u64, key_groups, offsets, compressed, state_bytes }
        };
        let _ = backend.restore(&mut Cursor::new(&bytes), &info(&bytes, 0..4, offsets));
        // A header and the first bytes of a key group that are right lead deeper.
        let header = write_header(compressed, &i64::serializer(), backend.metas());
        let framed = [header.as_slice(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 3], &bytes].concat();
        let _ = backend.restore(&mut Cursor::new(&framed), &info(&framed, 0..1, vec![header.len() as u64]));
    }
}
