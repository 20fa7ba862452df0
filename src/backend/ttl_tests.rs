//! State with a TTL: heap, RocksDB and a model of Flink's documented behaviour in lock step, over random accesses and
//! steps of the clock, for every update type, visibility and clean-up strategy.
//!
//! Where expired entries are never seen, what is seen is exact. Where they may be, background work decides: then what
//! is seen must hold all that is live, and nothing but what is live or was expired and not yet seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{ExpiringState, HeapBackend, OpenMode, RocksDbBackend, SharedMemory, TtlBackend};
use crate::operator::Sum;
use crate::state::{
    Aggregate, AggregatingState, CleanupStrategies, CompactionFilterCleanup, IncrementalCleanup, KeyGroups,
    KeyedStateBackend, ListState, MapState, ReducingState, StateTtl, StateTtls, StateVisibility, UpdateType,
    ValueState, VoidNamespace,
};
use crate::workload::Options;

const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };
const TTL_MS: i64 = 10;
const SEQUENCES: u32 = 120;
const NAMES: [&str; 5] = ["value", "list", "map", "reduced", "aggregate"];

struct Total;
impl Aggregate for Total {
    type In = i64;
    type Accumulator = i64;
    type Out = i64;
    fn create() -> i64 {
        0
    }
    fn add(accumulator: &mut i64, element: i64) {
        *accumulator += element;
    }
    fn result(accumulator: &i64) -> i64 {
        *accumulator
    }
    fn merge(accumulator: &mut i64, other: i64) {
        *accumulator += other;
    }
}

/// One handle of each kind of state.
#[derive(Clone, Copy)]
struct Handles {
    value: ValueState<VoidNamespace, i64>,
    list: ListState<VoidNamespace, i64>,
    map: MapState<VoidNamespace, i64, i64>,
    reduced: ReducingState<VoidNamespace, Sum>,
    aggregate: AggregatingState<VoidNamespace, Total>,
}

fn open<B: ExpiringState<i64>>(backend: B) -> (TtlBackend<B>, Handles) {
    let mut backend = TtlBackend::new(backend);
    let handles = Handles {
        value: backend.value_state(NAMES[0]).unwrap(),
        list: backend.list_state(NAMES[1]).unwrap(),
        map: backend.map_state(NAMES[2]).unwrap(),
        reduced: backend.reducing_state(NAMES[3]).unwrap(),
        aggregate: backend.aggregating_state(NAMES[4]).unwrap(),
    };
    (backend, handles)
}

#[derive(Debug, Clone)]
enum Op {
    Value(Access),
    Reduced(Access),
    Aggregate(Access),
    ListGet,
    ListAdd(i64),
    ListUpdate(Vec<i64>),
    MapGet(i64),
    MapContains(i64),
    MapPut(i64, i64),
    MapRemove(i64),
    MapScan,
}

/// Access to a state of one value.
#[derive(Debug, Clone)]
enum Access {
    Get,
    Put(i64),
    Clear,
}

#[derive(Debug, Clone)]
enum Step {
    Do(u8, Op),
    Tick(i64),
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let access =
        || prop_oneof![3 => Just(Access::Get), 3 => (1_i64..9).prop_map(Access::Put), 1 => Just(Access::Clear)];
    let op = prop_oneof![
        3 => access().prop_map(Op::Value),
        2 => access().prop_map(Op::Reduced),
        2 => access().prop_map(Op::Aggregate),
        2 => Just(Op::ListGet),
        3 => (1_i64..9).prop_map(Op::ListAdd),
        1 => vec(1_i64..9, 0..4).prop_map(Op::ListUpdate),
        2 => (0_i64..3).prop_map(Op::MapGet),
        1 => (0_i64..3).prop_map(Op::MapContains),
        3 => (0_i64..3, 1_i64..9).prop_map(|(key, value)| Op::MapPut(key, value)),
        1 => (0_i64..3).prop_map(Op::MapRemove),
        2 => Just(Op::MapScan),
    ];
    let step = prop_oneof![
        12 => (0_u8..2, op).prop_map(|(key, op)| Step::Do(key, op)),
        5 => (0_i64..7).prop_map(Step::Tick),
        1 => Just(Step::Compact),
    ];
    vec(step, 1..60)
}

/// What an access shows: a list of user keys (or 0) and values, in the order of a list, sorted for a map.
type Seen = Vec<(i64, i64)>;

fn apply<B: ExpiringState<i64>>(backend: &mut TtlBackend<B>, h: Handles, op: &Op) -> Seen {
    let n = &VoidNamespace;
    let one = |value: Option<i64>| value.map(|value| (0, value)).into_iter().collect();
    match op {
        Op::Value(Access::Get) => return one(backend.value(h.value, n).unwrap().map(|value| *value)),
        Op::Value(Access::Put(value)) => backend.update(h.value, n, *value).unwrap(),
        Op::Value(Access::Clear) => backend.clear_value(h.value, n).unwrap(),
        Op::Reduced(Access::Get) => return one(backend.reducing_get(h.reduced, n).unwrap().map(|value| *value)),
        Op::Reduced(Access::Put(value)) => backend.reducing_add(h.reduced, n, *value).unwrap(),
        Op::Reduced(Access::Clear) => backend.clear_reducing(h.reduced, n).unwrap(),
        Op::Aggregate(Access::Get) => return one(backend.aggregating_get(h.aggregate, n).unwrap()),
        Op::Aggregate(Access::Put(value)) => backend.aggregating_add(h.aggregate, n, *value).unwrap(),
        Op::Aggregate(Access::Clear) => backend.clear_aggregating(h.aggregate, n).unwrap(),
        Op::ListGet => {
            let mut seen = Vec::new();
            backend.list_scan(h.list, n, |element| seen.push((0, *element))).unwrap();
            return seen;
        }
        Op::ListAdd(element) => backend.list_add(h.list, n, *element).unwrap(),
        Op::ListUpdate(list) => backend.list_update(h.list, n, list.clone()).unwrap(),
        Op::MapGet(key) => return one(backend.map_get(h.map, n, key).unwrap().map(|value| *value)),
        // Presence as a value.
        Op::MapContains(key) => return one(backend.map_contains(h.map, n, key).unwrap().then_some(1)),
        Op::MapPut(key, value) => backend.map_put(h.map, n, *key, *value).unwrap(),
        Op::MapRemove(key) => backend.map_remove(h.map, n, key).unwrap(),
        Op::MapScan => {
            let mut seen = Vec::new();
            backend.map_scan(h.map, n, |key, value| seen.push((*key, *value))).unwrap();
            seen.sort_unstable();
            return seen;
        }
    }
    Vec::new()
}

/// An entry of the model: user key (0 outside of maps), value, time of the last access.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    key: i64,
    value: i64,
    time_ms: i64,
}

/// All states of one key: lists in order; maps by user key.
#[derive(Debug, Default, Clone)]
struct Model {
    states: BTreeMap<&'static str, Vec<Held>>,
}

/// What may be seen: every entry that is live must be, one that has expired may be.
type Allowed = Vec<(bool, (i64, i64))>;

impl Model {
    /// A look at all entries of a state that `of` selects. Those that are live are renewed where reads renew; expired ones
    /// are gone after a look, but for those of a list that has live ones and is not rewritten.
    fn look(&mut self, state: &'static str, of: impl Fn(&Held) -> bool, ttl: &StateTtl, now_ms: i64) -> Allowed {
        let entries = self.states.entry(state).or_default();
        let is_live = |held: &Held| !ttl.has_expired(held.time_ms, now_ms);
        let seen = entries.iter().filter(|held| of(held)).map(|held| (is_live(held), (held.key, held.value))).collect();
        let renews = ttl.update_type == UpdateType::OnReadAndWrite;
        let keeps_expired = state == "list" && !renews && entries.iter().any(is_live);
        entries.retain_mut(|held| {
            if !of(held) {
                return true;
            }
            if is_live(held) && renews {
                held.time_ms = now_ms;
            }
            is_live(held) || keeps_expired
        });
        seen
    }

    /// Puts an entry in place of that of the same user key, combined with it if it is live.
    fn put(&mut self, state: &'static str, new: Held, combine: bool, ttl: &StateTtl) {
        let entries = self.states.entry(state).or_default();
        let before = entries.iter().position(|held| held.key == new.key).map(|position| entries.remove(position));
        let kept = before.filter(|held| combine && !ttl.has_expired(held.time_ms, new.time_ms));
        entries.push(Held { value: new.value + kept.map_or(0, |held| held.value), ..new });
    }

    fn apply(&mut self, op: &Op, ttl: &StateTtl, now_ms: i64) -> Allowed {
        let held = |key, value| Held { key, value, time_ms: now_ms };
        let single = |model: &mut Self, state, access: &Access, combine| match access {
            Access::Get => model.look(state, |_| true, ttl, now_ms),
            Access::Put(value) => {
                model.put(state, held(0, *value), combine, ttl);
                Allowed::new()
            }
            Access::Clear => {
                model.states.remove(state);
                Allowed::new()
            }
        };
        match op {
            Op::Value(access) => return single(self, "value", access, false),
            Op::Reduced(access) => return single(self, "reduced", access, true),
            Op::Aggregate(access) => return single(self, "aggregate", access, true),
            Op::ListGet => return self.look("list", |_| true, ttl, now_ms),
            Op::ListAdd(element) => self.states.entry("list").or_default().push(held(0, *element)),
            Op::ListUpdate(list) => {
                self.states.insert("list", list.iter().map(|element| held(0, *element)).collect());
            }
            Op::MapGet(key) => {
                let seen = self.look("map", |held| held.key == *key, ttl, now_ms);
                return seen.into_iter().map(|(live, (_, value))| (live, (0, value))).collect();
            }
            Op::MapContains(key) => {
                let seen = self.look("map", |held| held.key == *key, ttl, now_ms);
                return seen.into_iter().map(|(live, _)| (live, (0, 1))).collect();
            }
            Op::MapPut(key, value) => self.put("map", held(*key, *value), false, ttl),
            Op::MapRemove(key) => self.states.entry("map").or_default().retain(|held| held.key != *key),
            Op::MapScan => {
                let mut seen = self.look("map", |_| true, ttl, now_ms);
                seen.sort_unstable_by_key(|(_, entry)| *entry);
                return seen;
            }
        }
        Allowed::new()
    }

    fn live_entries(&self, ttl: &StateTtl, now_ms: i64) -> u64 {
        self.states.values().flatten().filter(|held| !ttl.has_expired(held.time_ms, now_ms)).count() as u64
    }
}

/// Whether what was seen is allowed: all that is live, in order, and between it what has expired where that may be seen.
fn is_allowed(seen: &[(i64, i64)], allowed: &[(bool, (i64, i64))], ttl: &StateTtl) -> bool {
    let Some(((is_live, entry), rest)) = allowed.split_first() else { return seen.is_empty() };
    let may_see = *is_live || ttl.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp;
    let is_seen = || seen.first() == Some(entry) && is_allowed(&seen[1..], rest, ttl);
    (may_see && is_seen()) || (!is_live && is_allowed(seen, rest, ttl))
}

struct Rig {
    heap: TtlBackend<HeapBackend<i64>>,
    rocksdb: TtlBackend<RocksDbBackend<i64>>,
    handles: (Handles, Handles),
    model: BTreeMap<i64, Model>,
    now_ms: i64,
    sequences: i64,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(ttl: StateTtl) -> Self {
        let ttls: StateTtls = NAMES.into_iter().map(|name| (name.to_owned(), ttl)).collect();
        let folder = crate::backend::test_folder();
        let mut options = Options::default();
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "2mb").unwrap();
        options.set("state.backend.rocksdb.writebuffer.size", "64kb").unwrap();
        let memory = SharedMemory::new(&options).unwrap().map(Arc::new);
        let rocksdb =
            RocksDbBackend::open(folder.path(), &options, (GROUPS, 0), memory, OpenMode::default(), ttls.clone());
        let (heap, heap_handles) = open(HeapBackend::new(GROUPS, 0).with_ttls(ttls));
        let (rocksdb, rocksdb_handles) = open(rocksdb.unwrap());
        Self {
            heap,
            rocksdb,
            handles: (heap_handles, rocksdb_handles),
            model: BTreeMap::new(),
            now_ms: 0,
            sequences: 0,
            _folder: folder,
        }
    }

    fn run(&mut self, steps: Vec<Step>, ttl: &StateTtl) -> Result<(), TestCaseError> {
        self.sequences += 1;
        for step in steps {
            match step {
                Step::Tick(ms) => self.now_ms += ms,
                Step::Compact if ttl.cleanup.compaction_filter.is_some() => self.rocksdb.inner.compact().unwrap(),
                Step::Compact => {}
                Step::Do(key, op) => {
                    let key = self.sequences * 2 + i64::from(key);
                    self.heap.set_current_time(self.now_ms);
                    self.rocksdb.set_current_time(self.now_ms);
                    self.heap.set_current_key(&key);
                    self.rocksdb.set_current_key(&key);
                    // What each backend still holds is its own affair once it has been seen there.
                    let allowed = self.model.entry(key).or_default().apply(&op, ttl, self.now_ms);
                    for seen in
                        [apply(&mut self.heap, self.handles.0, &op), apply(&mut self.rocksdb, self.handles.1, &op)]
                    {
                        prop_assert!(
                            is_allowed(&seen, &allowed, ttl),
                            "{:?} at {}: saw {:?} of {:?}",
                            op,
                            self.now_ms,
                            seen,
                            allowed
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// Random sequences under one TTL; returns the rig as they leave it.
fn lock_step(update_type: UpdateType, visibility: StateVisibility, cleanup: CleanupStrategies) -> Rig {
    let ttl = StateTtl { ttl_ms: TTL_MS, update_type, visibility, cleanup };
    let rig = RefCell::new(Rig::new(ttl));
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&steps(), |steps| rig.borrow_mut().run(steps, &ttl)).unwrap();
    let mut rig = rig.into_inner();
    rig.heap.set_current_time(rig.now_ms);
    rig.rocksdb.set_current_time(rig.now_ms);
    let live: u64 = rig.model.values().map(|model| model.live_entries(&ttl, rig.now_ms)).sum();
    let (heap, rocksdb) = (rig.heap.inner.census().unwrap(), rig.rocksdb.inner.census().unwrap());
    assert_eq!([heap.live_entries, rocksdb.live_entries], [live; 2]);
    assert_eq!(heap.live_bytes, rocksdb.live_bytes);
    assert_eq!(rig.heap.state_digest().unwrap(), rig.rocksdb.state_digest().unwrap());
    rig
}

fn of_everything(cleanup: CleanupStrategies) -> Vec<Rig> {
    let mut rigs = Vec::new();
    for update_type in [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite] {
        for visibility in [StateVisibility::NeverReturnExpired, StateVisibility::ReturnExpiredIfNotCleanedUp] {
            rigs.push(lock_step(update_type, visibility, cleanup));
        }
    }
    rigs
}

#[test]
fn without_clean_up_only_accesses_remove() {
    for rig in of_everything(CleanupStrategies::default()) {
        let cleaned = [rig.heap.cleaned::<i64>(), rig.rocksdb.cleaned::<i64>()];
        // Nothing but accesses removes anything, so both backends have met the same.
        assert_eq!(cleaned[0], cleaned[1]);
        assert!(cleaned[0].on_access > 0 && cleaned[0].incremental == 0 && cleaned[1].compaction_filter == 0);
    }
}

#[test]
fn incremental_clean_up_removes_only_what_has_expired() {
    for every_record in [false, true] {
        let incremental = Some(IncrementalCleanup { size: 3, every_record });
        for mut rig in of_everything(CleanupStrategies { incremental, ..CleanupStrategies::default() }) {
            assert!(rig.heap.cleaned::<i64>().incremental > 0);
            // Accesses enough to go round every table leave nothing that has expired.
            rig.heap.set_current_time(rig.now_ms + TTL_MS);
            rig.heap.set_current_key(&-1);
            for round in 0..2_000 {
                if round % 50 == 0 && rig.heap.inner.census().unwrap().expired_entries == 0 {
                    break;
                }
                for op in [Op::Value(Access::Get), Op::ListGet, Op::MapScan, Op::Reduced(Access::Get)] {
                    apply(&mut rig.heap, rig.handles.0, &op);
                }
                apply(&mut rig.heap, rig.handles.0, &Op::Aggregate(Access::Get));
            }
            let census = rig.heap.inner.census().unwrap();
            assert_eq!((census.live_entries, census.expired_entries), (0, 0));
        }
    }
}

#[test]
fn the_compaction_filter_removes_only_what_has_expired() {
    let filter = CompactionFilterCleanup { query_time_after_entries: Some(1), periodic_compaction_s: None };
    let cleanup = CleanupStrategies { compaction_filter: Some(filter), ..CleanupStrategies::default() };
    for mut rig in of_everything(cleanup) {
        assert!(rig.rocksdb.cleaned::<i64>().compaction_filter > 0);
        // What was merged but not yet put together is left to the compaction after the next.
        rig.rocksdb.set_current_time(rig.now_ms + TTL_MS);
        rig.rocksdb.inner.compact().unwrap();
        rig.rocksdb.inner.compact().unwrap();
        let census = rig.rocksdb.inner.census().unwrap();
        assert_eq!((census.live_entries, census.expired_entries), (0, 0));
    }
}
