//! The differential test: heap, RocksDB and a plain model in lock step over random sequences of operations.
//!
//! Sequences of one kind of state share a database, each with keys of its own, so that a thousand of them take
//! seconds; the database is flushed among the operations, and its buffers are small, so that entries are read from
//! memtables and from table files, and list appends are merged in both. In the end the state digests are compared.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::heap::HeapSnapshot;
use super::{ExpiringState, HeapBackend, OpenMode, RocksDbBackend, SharedMemory, TtlBackend};
use crate::state::{
    Aggregate, AggregatingState, CleanupStrategies, Codec, CodecError, Digest, JvmSize, Key, KeyGroups,
    KeyedStateBackend, ListState, MapState, Namespace, Payload, Reduce, ReducingState, Serializer, StateResult,
    StateTtl, StateTtls, StateVisibility, StringKey, TextNamespace, UpdateType, ValueState, VoidNamespace,
};
use crate::workload::Options;

const SEQUENCES: u32 = 1_000;
pub(super) const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };

/// Two backends with one handle each of the same state, and the model.
struct Rig<K, S, M> {
    heap: HeapBackend<K>,
    heap_state: S,
    rocksdb: RocksDbBackend<K>,
    rocksdb_state: S,
    model: M,
    sequences: i64,
    /// A snapshot of the heap that is written later, with the digest of what it saw.
    snapshot: Option<(HeapSnapshot, Digest)>,
    _folder: tempfile::TempDir,
}

/// The key types that the rig runs over.
pub(super) trait TestKey: Key {
    /// A key of a sequence.
    fn make(sequence: i64, key: u8) -> Self;
}
impl TestKey for i64 {
    fn make(sequence: i64, key: u8) -> Self {
        sequence * 8 + i64::from(key) - 4_000
    }
}
impl TestKey for StringKey {
    fn make(sequence: i64, key: u8) -> Self {
        // Of different lengths, one a prefix of another, and beyond ASCII.
        Self::new(
            ["", "k", "kk", "ké"][usize::from(key) % 4].to_owned() + &sequence.to_string() + &"中".repeat(key.into()),
        )
    }
}

/// The namespace types that the rig runs over.
pub(super) trait TestNamespace: Namespace + Ord {
    /// One of a few.
    fn make(namespace: u8) -> Self;
}
impl TestNamespace for TextNamespace {
    fn make(namespace: u8) -> Self {
        Self("n".repeat(namespace.into()))
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Window(i64);
impl Codec for Window {
    const FIXED_LEN: Option<usize> = Some(8);
    fn serializer() -> Serializer {
        i64::serializer()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        i64::decode(input).map(Self)
    }
}
impl JvmSize for Window {
    fn jvm_bytes(&self) -> u64 {
        24
    }
}
impl Namespace for Window {
    fn hash_code(&self) -> i32 {
        self.0 as i32
    }
}
impl TestNamespace for Window {
    fn make(namespace: u8) -> Self {
        Self(i64::from(namespace) - 1)
    }
}

impl<K: TestKey, S, M: Default> Rig<K, S, M> {
    fn new(in_heap: fn(&mut HeapBackend<K>) -> S, in_rocksdb: fn(&mut RocksDbBackend<K>) -> S) -> Self {
        let folder = crate::backend::test_folder();
        let mut options = Options::default();
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "2mb").unwrap();
        options.set("state.backend.rocksdb.writebuffer.size", "64kb").unwrap();
        let memory = SharedMemory::new(&options).unwrap().map(std::sync::Arc::new);
        let mut heap = HeapBackend::new(GROUPS, 0);
        let mut rocksdb =
            RocksDbBackend::open(folder.path(), &options, (GROUPS, 0), memory, OpenMode::default(), StateTtls::new())
                .unwrap();
        Self {
            heap_state: in_heap(&mut heap),
            rocksdb_state: in_rocksdb(&mut rocksdb),
            heap,
            rocksdb,
            model: M::default(),
            sequences: 0,
            snapshot: None,
            _folder: folder,
        }
    }
}

impl<K: TestKey, S, M> Rig<K, S, M> {
    /// Writes the snapshot that was begun some sequences ago, restores it into three subtasks and compares what they
    /// hold with what there was; then begins another.
    fn checkpoint(&mut self, register: fn(&mut HeapBackend<K>) -> S) {
        if let Some((snapshot, expected)) = self.snapshot.take() {
            let mut bytes = Vec::new();
            let info = snapshot.write(&mut bytes).unwrap();
            let mut restored = Digest::default();
            for subtask in 0..3 {
                let mut part = HeapBackend::new(KeyGroups { parallelism: 3, ..GROUPS }, subtask);
                register(&mut part);
                part.restore(&mut std::io::Cursor::new(&bytes), &info).unwrap();
                restored.merge(part.state_digest().unwrap());
            }
            assert_eq!(restored, expected);
        }
        let digest = self.heap.state_digest().unwrap();
        self.snapshot = Some((self.heap.snapshot(self.sequences % 2 == 0).unwrap(), digest));
    }
}

/// Keeps the longer payload; of two as long the later.
struct Longest;
impl Reduce for Longest {
    type Value = Payload;
    fn reduce(kept: &Payload, added: Payload) -> Payload {
        if kept.0.len() > added.0.len() { kept.clone() } else { added }
    }
}

struct CountAndSum;
impl Aggregate for CountAndSum {
    type In = i64;
    type Accumulator = (i64, i64);
    type Out = String;
    fn create() -> (i64, i64) {
        (0, 0)
    }
    fn add((count, sum): &mut (i64, i64), element: i64) {
        *count += 1;
        *sum = sum.wrapping_add(element);
    }
    fn merge((count, sum): &mut (i64, i64), other: (i64, i64)) {
        *count += other.0;
        *sum = sum.wrapping_add(other.1);
    }
    fn result((count, sum): &(i64, i64)) -> String {
        format!("{sum}/{count}")
    }
}

/// A step of a sequence: an operation on a key and namespace, or a flush of RocksDB's memtables.
#[derive(Debug, Clone)]
enum Step<Op> {
    Do { key: u8, namespace: u8, op: Op },
    Flush,
}

fn steps<Op: Clone + std::fmt::Debug>(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Vec<Step<Op>>> {
    let step = prop_oneof![
        30 => (0_u8..4, 0_u8..3, op).prop_map(|(key, namespace, op)| Step::Do { key, namespace, op }),
        1 => Just(Step::Flush),
    ];
    vec(step, 1..40)
}

fn payload() -> impl Strategy<Value = Payload> {
    // Bytes that look like delimiters and null flags among them.
    vec(prop_oneof![Just(b','), Just(0), any::<u8>()], 0..12).prop_map(|bytes| Payload(bytes.into()))
}

/// The state that a model keeps by sequence, key and namespace.
type Entries<N, T> = BTreeMap<(i64, u8, N), T>;

/// Namespaces that may be merged into another one.
fn sources() -> impl Strategy<Value = Vec<u8>> {
    vec(0_u8..3, 0..3)
}

/// The namespaces of these numbers, without the one that they are merged into.
fn sources_of<N: TestNamespace>(numbers: &[u8], target: &N) -> Vec<N> {
    numbers.iter().map(|&number| N::make(number)).filter(|source| source != target).collect()
}

/// Merges namespaces of a model that keeps everything that was added, in order.
fn merge_in_model<N: TestNamespace, T>(model: &mut Entries<N, Vec<T>>, at: (i64, u8, N), numbers: &[u8]) {
    let sources = sources_of(numbers, &at.2).into_iter();
    let merged: Vec<T> = sources.filter_map(|source| model.remove(&(at.0, at.1, source))).flatten().collect();
    if !merged.is_empty() {
        model.entry(at).or_default().extend(merged);
    }
}

#[expect(clippy::type_complexity, reason = "each function once, where it is called")]
/// Runs random sequences: what every operation returns must be equal in all three, and the digests in the end.
fn lock_step<K, N, S, M, Op>(
    register: (fn(&mut HeapBackend<K>) -> S, fn(&mut RocksDbBackend<K>) -> S),
    op: impl Strategy<Value = Op>,
    in_heap: fn(&mut HeapBackend<K>, S, &N, &Op) -> StateResult<String>,
    in_rocksdb: fn(&mut RocksDbBackend<K>, S, &N, &Op) -> StateResult<String>,
    in_model: fn(&mut Entries<N, M>, (i64, u8, N), &Op) -> String,
) where
    K: TestKey,
    N: TestNamespace,
    S: Copy,
    Op: Clone + std::fmt::Debug,
{
    let rig = RefCell::new(Rig::<K, S, Entries<N, M>>::new(register.0, register.1));
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let result =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)).run(&steps(op), |steps| {
            let rig = &mut *rig.borrow_mut();
            rig.sequences += 1;
            if rig.sequences % 49 == 0 {
                rig.checkpoint(register.0);
            }
            for step in steps {
                let Step::Do { key, namespace, op } = step else {
                    rig.rocksdb.flush().unwrap();
                    continue;
                };
                let full_key = K::make(rig.sequences, key);
                let namespace = N::make(namespace);
                rig.heap.set_current_key(&full_key);
                rig.rocksdb.set_current_key(&full_key);
                let expected = in_model(&mut rig.model, (rig.sequences, key, namespace.clone()), &op);
                prop_assert_eq!(&in_heap(&mut rig.heap, rig.heap_state, &namespace, &op).unwrap(), &expected);
                prop_assert_eq!(&in_rocksdb(&mut rig.rocksdb, rig.rocksdb_state, &namespace, &op).unwrap(), &expected);
            }
            Ok(())
        });
    result.unwrap();
    let rig = &mut *rig.borrow_mut();
    let digest = rig.heap.state_digest().unwrap();
    assert!(digest.count > 0);
    assert_eq!(digest, rig.rocksdb.state_digest().unwrap());
}

/// One operation of any backend, and its counterpart in the model, for a kind of state and both shapes of key.
macro_rules! differential {
    ($name:ident, $register:ident, $handle:ident<$($param:ty),*>, $op:ident, $strategy:expr, $apply:ident, $model:ident) => {
        #[test]
        fn $name() {
            lock_step::<i64, Window, $handle<Window, $($param),*>, _, $op>(
                (|heap| heap.$register("state").unwrap(), |rocksdb| rocksdb.$register("state").unwrap()),
                $strategy,
                $apply::<i64, Window, HeapBackend<i64>>,
                $apply::<i64, Window, RocksDbBackend<i64>>,
                $model::<Window>,
            );
            lock_step::<StringKey, TextNamespace, $handle<TextNamespace, $($param),*>, _, $op>(
                (|heap| heap.$register("state").unwrap(), |rocksdb| rocksdb.$register("state").unwrap()),
                $strategy,
                $apply::<StringKey, TextNamespace, HeapBackend<StringKey>>,
                $apply::<StringKey, TextNamespace, RocksDbBackend<StringKey>>,
                $model::<TextNamespace>,
            );
        }
    };
}

#[derive(Debug, Clone)]
enum ValueOp {
    Get,
    Update(Payload),
    Change(u8),
    Clear,
}

fn value_op() -> impl Strategy<Value = ValueOp> {
    prop_oneof![
        Just(ValueOp::Get),
        payload().prop_map(ValueOp::Update),
        any::<u8>().prop_map(ValueOp::Change),
        Just(ValueOp::Clear)
    ]
}

fn changed(value: Option<Payload>, by: u8) -> Payload {
    let mut bytes = value.unwrap_or_default().0.into_vec();
    bytes.push(by);
    Payload(bytes.into())
}

fn apply_value<K: Key, N: Namespace, B: KeyedStateBackend<K>>(
    backend: &mut B,
    state: ValueState<N, Payload>,
    namespace: &N,
    op: &ValueOp,
) -> StateResult<String> {
    match op {
        ValueOp::Get => return Ok(format!("{:?}", backend.value(state, namespace)?.as_deref())),
        ValueOp::Update(value) => backend.update(state, namespace, value.clone())?,
        ValueOp::Change(by) => {
            let value = backend.value_for_update(state, namespace)?;
            backend.update(state, namespace, changed(value, *by))?;
        }
        ValueOp::Clear => backend.clear_value(state, namespace)?,
    }
    Ok(String::new())
}

fn model_value<N: Ord>(model: &mut Entries<N, Payload>, at: (i64, u8, N), op: &ValueOp) -> String {
    match op {
        ValueOp::Get => return format!("{:?}", model.get(&at)),
        ValueOp::Update(value) => {
            model.insert(at, value.clone());
        }
        ValueOp::Change(by) => {
            let value = changed(model.remove(&at), *by);
            model.insert(at, value);
        }
        ValueOp::Clear => {
            model.remove(&at);
        }
    }
    String::new()
}
differential!(value_in_lock_step, value_state, ValueState<Payload>, ValueOp, value_op(), apply_value, model_value);

#[derive(Debug, Clone)]
enum ListOp {
    Get,
    Add(Payload),
    Update(Vec<Payload>),
    Clear,
    Merge(Vec<u8>),
}

fn list_op() -> impl Strategy<Value = ListOp> {
    prop_oneof![
        2 => Just(ListOp::Get),
        4 => payload().prop_map(ListOp::Add),
        1 => vec(payload(), 0..4).prop_map(ListOp::Update),
        1 => Just(ListOp::Clear),
        1 => sources().prop_map(ListOp::Merge)
    ]
}

fn apply_list<K: Key, N: TestNamespace, B: KeyedStateBackend<K>>(
    backend: &mut B,
    state: ListState<N, Payload>,
    namespace: &N,
    op: &ListOp,
) -> StateResult<String> {
    match op {
        ListOp::Get => {
            let mut list = Vec::new();
            backend.list_scan(state, namespace, |element| list.push(element.clone()))?;
            return Ok(format!("{list:?}"));
        }
        ListOp::Add(element) => backend.list_add(state, namespace, element.clone())?,
        ListOp::Update(list) => backend.list_update(state, namespace, list.clone())?,
        ListOp::Clear => backend.clear_list(state, namespace)?,
        ListOp::Merge(numbers) => backend.merge_list(state, namespace, &sources_of(numbers, namespace))?,
    }
    Ok(String::new())
}

fn model_list<N: TestNamespace>(model: &mut Entries<N, Vec<Payload>>, at: (i64, u8, N), op: &ListOp) -> String {
    match op {
        ListOp::Get => return format!("{:?}", model.get(&at).map_or(&[][..], Vec::as_slice)),
        ListOp::Add(element) => model.entry(at).or_default().push(element.clone()),
        ListOp::Update(list) => {
            model.insert(at, list.clone());
        }
        ListOp::Clear => {
            model.remove(&at);
        }
        ListOp::Merge(numbers) => merge_in_model(model, at, numbers),
    }
    String::new()
}
differential!(list_in_lock_step, list_state, ListState<Payload>, ListOp, list_op(), apply_list, model_list);

#[derive(Debug, Clone)]
enum MapOp {
    Get(String),
    Contains(String),
    Put(String, Payload),
    PutMany(u16),
    Remove(String),
    Scan,
    IsEmpty,
    Clear,
}

fn map_op() -> impl Strategy<Value = MapOp> {
    let user_key = || prop_oneof!["", "a", "ab", "b", "\u{e9}"].prop_map(String::from);
    prop_oneof![
        2 => user_key().prop_map(MapOp::Get),
        1 => user_key().prop_map(MapOp::Contains),
        6 => (user_key(), payload()).prop_map(|(key, value)| MapOp::Put(key, value)),
        // Beyond the 128 entries that an iterator reads before it seeks again.
        1 => (120_u16..300).prop_map(MapOp::PutMany),
        2 => user_key().prop_map(MapOp::Remove),
        2 => Just(MapOp::Scan),
        1 => Just(MapOp::IsEmpty),
        1 => Just(MapOp::Clear)
    ]
}

fn apply_map<K: Key, N: Namespace, B: KeyedStateBackend<K>>(
    backend: &mut B,
    state: MapState<N, String, Payload>,
    namespace: &N,
    op: &MapOp,
) -> StateResult<String> {
    match op {
        MapOp::Get(key) => return Ok(format!("{:?}", backend.map_get(state, namespace, key)?.as_deref())),
        MapOp::Contains(key) => return Ok(backend.map_contains(state, namespace, key)?.to_string()),
        MapOp::Put(key, value) => backend.map_put(state, namespace, key.clone(), value.clone())?,
        MapOp::PutMany(count) => {
            for entry in 0..*count {
                backend.map_put(state, namespace, entry.to_string(), Payload::default())?;
            }
        }
        MapOp::Remove(key) => backend.map_remove(state, namespace, key)?,
        MapOp::Scan => {
            let mut seen = BTreeMap::new();
            let mut visits = 0;
            backend.map_scan(state, namespace, |key, value| {
                visits += 1;
                seen.insert(key.clone(), value.clone());
            })?;
            return Ok(format!("{visits} {seen:?}"));
        }
        MapOp::IsEmpty => return Ok(backend.map_is_empty(state, namespace)?.to_string()),
        MapOp::Clear => backend.clear_map(state, namespace)?,
    }
    Ok(String::new())
}

fn model_map<N: Ord>(model: &mut Entries<N, BTreeMap<String, Payload>>, at: (i64, u8, N), op: &MapOp) -> String {
    let map = model.entry(at).or_default();
    match op {
        MapOp::Get(key) => return format!("{:?}", map.get(key)),
        MapOp::Contains(key) => return map.contains_key(key).to_string(),
        MapOp::Put(key, value) => {
            map.insert(key.clone(), value.clone());
        }
        MapOp::PutMany(count) => map.extend((0..*count).map(|entry| (entry.to_string(), Payload::default()))),
        MapOp::Remove(key) => {
            map.remove(key);
        }
        MapOp::Scan => return format!("{} {map:?}", map.len()),
        MapOp::IsEmpty => return map.is_empty().to_string(),
        MapOp::Clear => map.clear(),
    }
    String::new()
}
differential!(map_in_lock_step, map_state, MapState<String, Payload>, MapOp, map_op(), apply_map, model_map);

#[derive(Debug, Clone)]
enum FoldOp<T> {
    Get,
    Add(T),
    Clear,
    Merge(Vec<u8>),
}

fn fold_op<T: Clone + std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = FoldOp<T>> {
    prop_oneof![
        2 => Just(FoldOp::Get),
        4 => element.prop_map(FoldOp::Add),
        1 => Just(FoldOp::Clear),
        1 => sources().prop_map(FoldOp::Merge)
    ]
}

fn apply_reducing<K: Key, N: TestNamespace, B: KeyedStateBackend<K>>(
    backend: &mut B,
    state: ReducingState<N, Longest>,
    namespace: &N,
    op: &FoldOp<Payload>,
) -> StateResult<String> {
    match op {
        FoldOp::Get => return Ok(format!("{:?}", backend.reducing_get(state, namespace)?.as_deref())),
        FoldOp::Add(value) => backend.reducing_add(state, namespace, value.clone())?,
        FoldOp::Clear => backend.clear_reducing(state, namespace)?,
        FoldOp::Merge(numbers) => backend.merge_reducing(state, namespace, &sources_of(numbers, namespace))?,
    }
    Ok(String::new())
}

fn model_reducing<N: TestNamespace>(
    model: &mut Entries<N, Vec<Payload>>,
    at: (i64, u8, N),
    op: &FoldOp<Payload>,
) -> String {
    match op {
        // From all that was added: the longest, the last of them.
        FoldOp::Get => return format!("{:?}", model.get(&at).and_then(|all| all.iter().max_by_key(|p| p.0.len()))),
        FoldOp::Add(value) => model.entry(at).or_default().push(value.clone()),
        FoldOp::Clear => {
            model.remove(&at);
        }
        FoldOp::Merge(numbers) => merge_in_model(model, at, numbers),
    }
    String::new()
}
type PayloadFold = FoldOp<Payload>;
differential!(
    reducing_in_lock_step,
    reducing_state,
    ReducingState<Longest>,
    PayloadFold,
    fold_op(payload()),
    apply_reducing,
    model_reducing
);

fn apply_aggregating<K: Key, N: TestNamespace, B: KeyedStateBackend<K>>(
    backend: &mut B,
    state: AggregatingState<N, CountAndSum>,
    namespace: &N,
    op: &FoldOp<i64>,
) -> StateResult<String> {
    match op {
        FoldOp::Get => return Ok(format!("{:?}", backend.aggregating_get(state, namespace)?)),
        FoldOp::Add(value) => backend.aggregating_add(state, namespace, *value)?,
        FoldOp::Clear => backend.clear_aggregating(state, namespace)?,
        FoldOp::Merge(numbers) => backend.merge_aggregating(state, namespace, &sources_of(numbers, namespace))?,
    }
    Ok(String::new())
}

fn model_aggregating<N: TestNamespace>(model: &mut Entries<N, Vec<i64>>, at: (i64, u8, N), op: &FoldOp<i64>) -> String {
    match op {
        FoldOp::Get => {
            let all = model.get(&at);
            let result =
                |all: &Vec<i64>| format!("{}/{}", all.iter().fold(0, |sum: i64, v| sum.wrapping_add(*v)), all.len());
            return format!("{:?}", all.map(result));
        }
        FoldOp::Add(value) => model.entry(at).or_default().push(*value),
        FoldOp::Clear => {
            model.remove(&at);
        }
        FoldOp::Merge(numbers) => merge_in_model(model, at, numbers),
    }
    String::new()
}
type LongFold = FoldOp<i64>;
differential!(
    aggregating_in_lock_step,
    aggregating_state,
    AggregatingState<CountAndSum>,
    LongFold,
    fold_op(any::<i64>()),
    apply_aggregating,
    model_aggregating
);

#[test]
fn merging_leaves_out_what_has_expired_and_moves_a_lone_value_with_its_time() {
    let ttl = StateTtl {
        ttl_ms: 10,
        update_type: UpdateType::OnCreateAndWrite,
        visibility: StateVisibility::NeverReturnExpired,
        cleanup: CleanupStrategies::default(),
    };
    let ttls: StateTtls = ["longest", "count", "list"].map(|name| (name.to_owned(), ttl)).into();
    let folder = crate::backend::test_folder();
    merge_expiring(TtlBackend::new(HeapBackend::<i64>::new(GROUPS, 0).with_ttls(ttls.clone())));
    let rocksdb =
        RocksDbBackend::<i64>::open(folder.path(), &Options::default(), (GROUPS, 0), None, OpenMode::default(), ttls);
    merge_expiring(TtlBackend::new(rocksdb.unwrap()));
}

fn merge_expiring<B: ExpiringState<i64>>(mut backend: TtlBackend<B>) {
    let longest = backend.reducing_state::<Window, Longest>("longest").unwrap();
    let count = backend.aggregating_state::<Window, CountAndSum>("count").unwrap();
    let list = backend.list_state::<Window, i64>("list").unwrap();
    backend.set_current_key(&7);
    for (time_ms, window) in [(0, 1), (5, 2), (12, 3)] {
        backend.set_current_time(time_ms);
        backend.reducing_add(longest, &Window(window), Payload([window as u8].into())).unwrap();
        backend.aggregating_add(count, &Window(window), window).unwrap();
        backend.list_add(list, &Window(window), window).unwrap();
    }
    let merge = |backend: &mut TtlBackend<B>, target: i64, sources: &[i64]| {
        let sources: Vec<_> = sources.iter().map(|source| Window(*source)).collect();
        backend.merge_reducing(longest, &Window(target), &sources).unwrap();
        backend.merge_aggregating(count, &Window(target), &sources).unwrap();
        backend.merge_list(list, &Window(target), &sources).unwrap();
    };
    let read = |backend: &mut TtlBackend<B>, window: i64| {
        let mut elements = Vec::new();
        backend.list_scan(list, &Window(window), |element| elements.push(*element)).unwrap();
        let longest = backend.reducing_get(longest, &Window(window)).unwrap().map(|longest| longest.0[0]);
        (longest, backend.aggregating_get(count, &Window(window)).unwrap(), elements)
    };
    let (gone, both) = ((None, None, vec![]), (Some(3), Some("5/2".to_owned())));
    // At 12 ms the value of 0 ms has expired: it is moved, but leaves nothing in what it meets.
    merge(&mut backend, 4, &[1]);
    merge(&mut backend, 4, &[2, 3]);
    // What two values made is of 12 ms, and keeps that time when it is moved alone; list elements keep their own.
    backend.set_current_time(20);
    merge(&mut backend, 5, &[4]);
    backend.set_current_time(21);
    assert_eq!(read(&mut backend, 5), (both.0, both.1, vec![3]));
    assert_eq!([1, 2, 3, 4].map(|window| read(&mut backend, window)), [(); 4].map(|()| gone.clone()));
    backend.set_current_time(22);
    assert_eq!(read(&mut backend, 5), gone);
}

#[test]
fn a_name_is_taken_once() {
    let mut heap = HeapBackend::<i64>::new(GROUPS, 0);
    assert!(heap.value_state::<VoidNamespace, i64>("a").is_ok());
    assert!(heap.list_state::<VoidNamespace, i64>("a").is_err());
    let folder = crate::backend::test_folder();
    let mut rocksdb = RocksDbBackend::<i64>::open(
        folder.path(),
        &Options::default(),
        (GROUPS, 0),
        None,
        OpenMode::default(),
        StateTtls::new(),
    )
    .unwrap();
    assert!(rocksdb.value_state::<VoidNamespace, i64>("a").is_ok());
    assert!(rocksdb.list_state::<VoidNamespace, i64>("a").is_err());
    assert!(rocksdb.list_state::<VoidNamespace, i64>("default").is_err(), "RocksDB reserves it");
}

#[test]
fn subtasks_have_disjoint_state_that_sums_to_the_whole() {
    let fill = |backend: &mut HeapBackend<i64>, keys: &mut dyn Iterator<Item = i64>| {
        let state = backend.value_state::<VoidNamespace, i64>("a").unwrap();
        for key in keys {
            backend.set_current_key(&key);
            backend.update(state, &VoidNamespace, key * 2).unwrap();
        }
        backend.state_digest().unwrap()
    };
    let whole = fill(&mut HeapBackend::new(GROUPS, 0), &mut (0..1_000));
    let groups = KeyGroups { parallelism: 3, ..GROUPS };
    let mut parts = Digest::default();
    for subtask in 0..3 {
        let owned = |key: &i64| groups.subtask_of(groups.group_of(key.hash_code())) == subtask;
        parts.merge(fill(&mut HeapBackend::new(groups, subtask), &mut (0..1_000).filter(owned)));
    }
    assert_eq!(parts, whole);
}
