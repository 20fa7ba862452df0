//! What the harness costs, beside bare loops over the same stores, in one process and interleaved.
//!
//! Each comparison alternates its two sides, several times, and quotes the median of the ratios of neighbours with
//! their range: on a shared machine a ratio within one run is worth more than any absolute figure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hint::black_box;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use statebench::backend::heap::{Place, StateTable};
use statebench::backend::{HeapBackend, Metered, NullBackend, TtlBackend};
use statebench::measure::{Probe, Strategy, empty_interval_ns};
use statebench::operator::{Collector, Counter, MixOperator, Operator};
use statebench::result::Measurement;
use statebench::run::{Observer, PrefillFrom, Progress, TrialSpec, drive, run_trial};
use statebench::source::{BLOCK_EVENTS, Event, EventSource, Scratch};
use statebench::state::{Key, KeyGroups, KeyedStateBackend, Payload, TimeDomain, VoidNamespace, mix};
use statebench::workload::{
    BackendType, KeySampler, Operator as OperatorSpec, Options, Rng, Stream, Workload, WorkloadWire,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const REPEATS: usize = 7;
const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };

fn main() {
    // `cargo test --benches` runs benchmarks with this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let sections: &[(&str, fn())] = &[
        ("null", null_backend),
        ("heap", heap_beside_a_bare_loop),
        ("snapshot", snapshots),
        ("ttl", ttl),
        ("clock", virtual_clock),
        ("windows", windows),
        #[cfg(feature = "rocksdb")]
        ("rocksdb", rocksdb::beside_a_bare_loop),
        #[cfg(feature = "rocksdb")]
        ("looks", looks),
        ("timers", timers),
        ("samplers", samplers),
        ("parallel", two_subtasks),
        ("trace", trace_replay),
    ];
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    println!("| what | figure | median | range | goal |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, section) in sections {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            section();
        }
    }
}

fn row(what: &str, figure: &str, values: &[f64], unit: &str, goal: &str) {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let digits = if values[0] < 20.0 { 2 } else { 0 };
    println!(
        "| {what} | {figure} | {:.digits$}{unit} | {:.digits$} to {:.digits$} | {goal} |",
        values[values.len() / 2],
        values[0],
        values[values.len() - 1]
    );
}

fn wire(text: &str) -> WorkloadWire {
    toml::from_str(text).unwrap()
}

fn workload(text: &str) -> Workload {
    Workload::new(&wire(text), std::path::Path::new(".")).unwrap()
}

struct Silent;
impl Observer for Silent {
    fn progress(&self, _: &Progress) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// A whole trial in this process: prefill, warm-up with calibration, measured part.
fn trial(text: &str, backend: BackendType) -> Measurement {
    counting_trial(text, backend, false)
}

/// The same, with RocksDB's counters on or off.
fn counting_trial(text: &str, backend: BackendType, counters: bool) -> Measurement {
    let folder = tempfile::tempdir().unwrap();
    let spec = TrialSpec {
        workload: wire(text),
        folder: ".".into(),
        options: Options::of(backend),
        stream_seed: 1,
        state_folder: folder.path().to_owned(),
        counters,
        prefill: PrefillFrom::Own,
        memory_group: None,
        handicap_percent: None,
    };
    run_trial(&spec, &Silent).unwrap().unwrap().measurement
}

/// (a) Events per second on the wall, on one core: drawn, routed, processed and timed, with nothing kept.
fn null_backend() {
    let cases = [("uniform", "≥ 25 M"), ("zipf", "≥ 10 M")];
    for (distribution, goal) in cases {
        let text = format!(
            "keys = {{ cardinality = 100_000_000, distribution = '{distribution}' }}\n\
             run = {{ events = 20_000_000, warm-up = 2_000_000, prefill = 0.0 }}"
        );
        let rates: Vec<f64> =
            (0..REPEATS).map(|_| trial(&text, BackendType::Null)).map(|m| m.events as f64 / m.wall_s / 1e6).collect();
        row("null backend, counter", &format!("M events/s, {distribution} keys over 10^8"), &rates, "", goal);
    }
}

/// Draws the events of a workload block by block and hands each block to `each`.
fn for_each_block(workload: &Workload, events: u64, mut each: impl FnMut(&mut [Event<i64>])) {
    let source = EventSource::open(workload, 1).unwrap();
    let (mut scratch, mut block) = (Scratch::default(), Vec::with_capacity(BLOCK_EVENTS));
    while source.take_block(u64::MAX, events, &mut scratch, |event| block.push(event)).unwrap().is_some() {
        each(&mut block);
        block.clear();
    }
}

fn nanos_per_event(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events as f64
}

/// The calibrated strategy of the heap at its costliest: one timed event in 64.
fn metered<B>(inner: B, strategy: Strategy) -> Metered<B> {
    let mut probe = Probe::new(empty_interval_ns(), 1);
    probe.set_strategy(strategy);
    Metered { inner, probe }
}

/// (b) A counter and a 100-byte read-modify-write on the heap backend, sampled, beside bare loops that are not timed:
/// over the same typed table, and over one plain `HashMap` with no key groups.
fn heap_beside_a_bare_loop() {
    for (keys, distribution) in [("100_000", "zipf"), ("1_000_000", "uniform")] {
        let text = format!("keys = {{ cardinality = {keys}, distribution = '{distribution}' }}");
        heap_counter(&text, &format!("{keys} keys {distribution}"));
        heap_read_modify_write(&text, &format!("{keys} keys {distribution}"));
    }
}

const HEAP_EVENTS: u64 = 2_000_000;

/// The time of `each` over the blocks of a workload, ns per event.
fn timed_blocks(spec: &Workload, mut each: impl FnMut(&mut [Event<i64>]) -> Duration) -> f64 {
    let mut time = Duration::ZERO;
    for_each_block(spec, HEAP_EVENTS, |block| time += each(block));
    nanos_per_event(time, HEAP_EVENTS)
}

/// The same for a bare loop over events.
fn bare_blocks(spec: &Workload, mut each: impl FnMut(&mut Event<i64>) -> u64) -> f64 {
    timed_blocks(spec, |block| {
        let start = Instant::now();
        let sum = block.iter_mut().fold(0_u64, |sum, event| sum.wrapping_add(each(event)));
        black_box(sum);
        start.elapsed()
    })
}

fn place(key: &i64) -> Place<'_, i64, VoidNamespace> {
    let code = key.hash_code();
    Place::new(key, code, &VoidNamespace, GROUPS.group_of(code).into())
}

fn heap_counter(text: &str, keys: &str) {
    let spec = workload(text);
    let mut heap = metered(HeapBackend::<i64>::new(GROUPS, 0), Strategy::Sampled(256));
    let mut counter = <Counter as Operator<i64>>::open(&(), &mut heap).unwrap();
    let mut out = Collector::default();
    let mut harness = || timed_blocks(&spec, |block| drive(&mut heap, &mut counter, block, &mut out).unwrap());
    let mut table = StateTable::<i64, VoidNamespace, i64>::new(GROUPS.max_parallelism.into());
    let mut same_table = || {
        bare_blocks(&spec, |event| {
            let count = table.get(place(&event.key)).copied().unwrap_or(0) + 1;
            table.put(place(&event.key), count);
            count as u64
        })
    };
    compare(&format!("heap counter, {keys}"), "the same table", "≥ 0.85", &mut harness, &mut same_table);
    let mut map: HashMap<i64, i64, foldhash::fast::FixedState> = HashMap::default();
    let mut plain_map = || {
        bare_blocks(&spec, |event| {
            let count = map.get(&event.key).copied().unwrap_or(0) + 1;
            map.insert(event.key, count);
            count as u64
        })
    };
    compare(&format!("heap counter, {keys}"), "one HashMap", "", &mut harness, &mut plain_map);
}

/// Changes a value in place as the mix does.
fn change(value: &mut Payload) -> u64 {
    let before = value.head();
    if let Some(head) = value.0.first_chunk_mut::<8>() {
        *head = u64::from_le_bytes(*head).wrapping_add(1).to_le_bytes();
    }
    before
}

fn heap_read_modify_write(text: &str, keys: &str) {
    let spec = workload(&format!("{text}\noperator.mix.read-modify-write = 1.0\nvalues.size = '100 b'"));
    let OperatorSpec::Mix(mix) = &spec.operator else { panic!("a mix") };
    let mut heap = metered(HeapBackend::<i64>::new(GROUPS, 0), Strategy::Sampled(256));
    let mut operator = <MixOperator as Operator<i64>>::open(mix, &mut heap).unwrap();
    let mut out = Collector::default();
    let mut harness = || timed_blocks(&spec, |block| drive(&mut heap, &mut operator, block, &mut out).unwrap());
    let mut table = StateTable::<i64, VoidNamespace, Payload>::new(GROUPS.max_parallelism.into());
    let mut same_table = || {
        bare_blocks(&spec, |event| {
            let added = std::mem::take(&mut event.payload);
            let mut value = table.modify(place(&event.key), std::mem::take).unwrap_or(added);
            let before = change(&mut value);
            table.put(place(&event.key), value);
            before
        })
    };
    let what = format!("heap read-modify-write of 100 b, {keys}");
    compare(&what, "the same table", "≥ 0.85", &mut harness, &mut same_table);
    let mut map: HashMap<i64, Payload, foldhash::fast::FixedState> = HashMap::default();
    let mut plain_map = || {
        bare_blocks(&spec, |event| {
            let added = std::mem::take(&mut event.payload);
            let mut value = map.get_mut(&event.key).map_or(added, std::mem::take);
            let before = change(&mut value);
            map.insert(event.key, value);
            before
        })
    };
    compare(&what, "one HashMap", "", &mut harness, &mut plain_map);
}

/// A file that takes bytes at a fixed rate.
struct Paced {
    started: Instant,
    bytes: u64,
    bytes_per_s: f64,
}

impl std::io::Write for Paced {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.bytes += buffer.len() as u64;
        let due = Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_s);
        std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        Ok(buffer.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How fast checkpoints go: as fast as a core encodes them, and at the rate at which real Flink was seen to write those of
/// its heap backend to a local disk, 107 MB in 0.4 to 0.85 s.
const WRITERS: [(&str, f64); 2] =
    [("as fast as one core encodes them", f64::INFINITY), ("at 180 MB/s, as Flink was seen to", 180e6)];

/// Throughput of the heap while checkpoints are written on another thread, back to back, beside the same heap without;
/// and how long the beginning of one keeps the operator waiting.
fn snapshots() {
    let text = "keys = { cardinality = 1_000_000, distribution = 'uniform' }";
    snapshots_during::<Counter>("counter", &workload(text), |_| &());
    let text = format!("{text}\noperator.mix.read-modify-write = 1.0\nvalues.size = '100 b'");
    snapshots_during::<MixOperator>("read-modify-write of 100 b", &workload(&text), |operator| match operator {
        OperatorSpec::Mix(mix) => mix,
        _ => panic!("a mix"),
    });
}

fn snapshots_during<O: Operator<i64>>(name: &str, spec: &Workload, of: impl Fn(&OperatorSpec) -> &O::Spec) {
    let mut heap = metered(HeapBackend::<i64>::new(GROUPS, 0), Strategy::Sampled(256));
    let mut operator = O::open(of(&spec.operator), &mut heap).unwrap();
    let prefill = EventSource::prefill(spec);
    let mut scratch = Scratch::default();
    let mut block = Vec::new();
    while prefill.take_block(u64::MAX, 1_000_000, &mut scratch, |event| block.push(event)).unwrap().is_some() {
        for event in &mut block {
            heap.set_current_key(&event.key);
            operator.prefill(&mut heap, event).unwrap();
        }
        block.clear();
    }
    let what = format!("heap {name}, 1,000,000 keys uniform");
    let (mut pauses, mut out) = (Vec::new(), Collector::default());
    for (how, bytes_per_s) in WRITERS {
        let (mut ratios, mut written) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let alone = timed_blocks(spec, |block| drive(&mut heap, &mut operator, block, &mut out).unwrap());
            let mut writer: Option<JoinHandle<()>> = None;
            let mut count = 0.0;
            let during = timed_blocks(spec, |block| {
                // Begun when the one before is written, and in no event's time: the pause is a figure of its own.
                if writer.as_ref().is_none_or(JoinHandle::is_finished) {
                    let start = Instant::now();
                    let snapshot = heap.inner.snapshot(false).unwrap();
                    pauses.push(start.elapsed().as_secs_f64() * 1e3);
                    count += 1.0;
                    writer = Some(std::thread::spawn(move || {
                        snapshot.write(&mut Paced { started: Instant::now(), bytes: 0, bytes_per_s }).unwrap();
                    }));
                }
                drive(&mut heap, &mut operator, block, &mut out).unwrap()
            });
            writer.unwrap().join().unwrap();
            written.push(count);
            ratios.push(alone / during);
        }
        row(&what, &format!("throughput while checkpoints are written over without, {how}"), &ratios, "", "≥ 0.75");
        row(&what, "checkpoints written meanwhile", &written, "", "");
    }
    while pauses.len() < 20 {
        let start = Instant::now();
        drop(heap.inner.snapshot(false).unwrap());
        pauses.push(start.elapsed().as_secs_f64() * 1e3);
    }
    row(&what, "pause that begins one, ms", &pauses, "", "< 5");
}

/// A heap whose state `value` (or `count`) has a TTL that nothing reaches, beside the same heap without one.
fn ttl() {
    let text = "keys = { cardinality = 100_000, distribution = 'uniform' }\nvalues.size = '100 b'\noperator.mix.";
    for (access, share) in
        [("read", "read = 1.0"), ("write", "update = 1.0"), ("read-modify-write", "read-modify-write = 1.0")]
    {
        let spec = workload(&format!("{text}{share}"));
        for (name, cleanup) in [("no clean-up", "none"), ("Flink's default clean-up", "default")] {
            let timed =
                workload(&format!("{text}{share}\nstates.value.ttl = {{ time = '30 d', cleanup = '{cleanup}' }}"));
            let (mut with, mut without) = (mix_on_heap(&timed), mix_on_heap(&spec));
            let what = format!("heap {access} of 100 b, 100,000 keys uniform, TTL with {name}");
            let goal = if cleanup == "none" { "≥ 0.85" } else { "" };
            compare(&what, "the same state without a TTL", goal, &mut with, &mut without);
        }
    }
}

/// Runs the mix of a workload over a prefilled heap; returns ns per event.
fn mix_on_heap(spec: &Workload) -> impl FnMut() -> f64 + '_ {
    let OperatorSpec::Mix(mix) = &spec.operator else { panic!("a mix") };
    let heap = HeapBackend::<i64>::new(GROUPS, 0).with_ttls(spec.ttls.clone());
    let mut heap = metered(TtlBackend::new(heap), Strategy::Off);
    let mut operator = <MixOperator as Operator<i64>>::open(mix, &mut heap).unwrap();
    let (prefill, mut scratch, mut block) = (EventSource::prefill(spec), Scratch::default(), Vec::new());
    while prefill.take_block(u64::MAX, u64::MAX, &mut scratch, |event| block.push(event)).unwrap().is_some() {
        for event in &mut block {
            heap.set_current_time(event.processing_ms);
            heap.set_current_key(&event.key);
            operator.prefill(&mut heap, event).unwrap();
        }
        block.clear();
    }
    let mut out = Collector::default();
    move || timed_blocks(spec, |block| drive(&mut heap, &mut operator, block, &mut out).unwrap())
}

/// What the clock costs each event: the hot loop, which sets it and looks whether timers are due, beside a loop that does
/// not know of time, over a backend that keeps nothing.
fn virtual_clock() {
    let spec = workload("keys = { cardinality = 100_000, distribution = 'uniform' }");
    let mut backend = metered(NullBackend::default(), Strategy::Off);
    let mut counter = <Counter as Operator<i64>>::open(&(), &mut backend).unwrap();
    let mut out = Collector::default();
    let mut with = || timed_blocks(&spec, |block| drive(&mut backend, &mut counter, block, &mut out).unwrap());
    let (mut bare, mut out) = (NullBackend::default(), Collector::default());
    let mut counter = <Counter as Operator<i64>>::open(&(), &mut bare).unwrap();
    let mut without = || {
        timed_blocks(&spec, |block| {
            let start = Instant::now();
            for event in block {
                KeyedStateBackend::<i64>::set_current_key(&mut bare, &event.key);
                counter.process(&mut bare, event, &mut out).unwrap();
            }
            start.elapsed()
        })
    };
    compare("virtual clock, null backend", "operator and backend without a clock", "", &mut with, &mut without);
}

/// Time per event and entries held of a window workload as it gets longer.
fn windows() {
    let mut first = None;
    for factor in [1, 2, 4, 8] {
        let text = format!(
            "keys = {{ cardinality = 10_000, distribution = 'uniform' }}\ntime = {{ rate = 10_000 }}\n\
             operator.tumbling-window = {{ size = '5 s' }}\n\
             run = {{ events = {}, warm-up = 100_000, growth-samples = 8 }}",
            250_000 * factor
        );
        let (mut times, mut entries) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let measured = trial(&text, BackendType::HashMap);
            times.push(1e9 / measured.throughput_events_per_s);
            entries.push(measured.growth.unwrap().samples.iter().map(|s| s.live_entries as f64).fold(0.0, f64::max));
        }
        times.sort_by(f64::total_cmp);
        let base = *first.get_or_insert(times[1]);
        let what = format!("tumbling windows, heap, {factor} × 250,000 events");
        row(&what, "ns per event", &times, "", "");
        row(&what, "time per event over that of the shortest run", &[times[1] / base], "", "1");
        row(&what, "most entries held", &entries, "", "the same");
    }
}

/// Alternates two sides that return ns per event and prints the ratio of their throughputs.
fn compare(what: &str, beside: &str, goal: &str, harness: &mut dyn FnMut() -> f64, bare: &mut dyn FnMut() -> f64) {
    harness();
    bare();
    let (mut ratios, mut times) = (Vec::new(), (Vec::new(), Vec::new()));
    for repeat in 0..REPEATS {
        let (h, b) = if repeat % 2 == 0 {
            let h = harness();
            (h, bare())
        } else {
            let b = bare();
            (harness(), b)
        };
        ratios.push(b / h);
        times.0.push(h);
        times.1.push(b);
    }
    row(what, &format!("throughput over a bare loop's over {beside}"), &ratios, "", goal);
    row(what, "harness, ns per event", &times.0, "", "");
    row(what, "bare loop, ns per event", &times.1, "", "");
}

#[cfg(feature = "rocksdb")]
mod rocksdb {
    use super::*;
    use ::rocksdb::{DB, ReadOptions, WriteOptions};
    use std::sync::Arc;

    use statebench::backend::{OpenMode, RocksDbBackend, SharedMemory, rocksdb_options};
    use statebench::state::{CompositeKey, StateTtls};

    const KEYS: u64 = 500_000;
    const EVENTS: u64 = 200_000;

    /// One million timers in column families, and on the heap beside the database.
    pub fn timers() {
        for factory in ["ROCKSDB", "HEAP"] {
            let mut options = options();
            options.set("state.backend.rocksdb.timer-service.factory", factory).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let memory = SharedMemory::new(&options).unwrap().map(Arc::new);
            let mut backend = RocksDbBackend::open(
                folder.path(),
                &options,
                (GROUPS, 0),
                memory,
                OpenMode::default(),
                StateTtls::new(),
            )
            .unwrap();
            timers_beside_a_binary_heap(&format!("RocksDB, timers {factory}"), &mut backend, "");
        }
    }

    /// A database with its memory, filled like the backend's.
    struct Bare {
        db: DB,
        read: ReadOptions,
        write: WriteOptions,
        /// Composite keys and encoded values of a block, made before the clock starts.
        keys: Vec<[u8; 10]>,
        values: Vec<Vec<u8>>,
        scratch: Vec<u8>,
    }

    #[derive(Clone, Copy)]
    enum Op {
        Get,
        Put,
        ReadModifyWrite,
    }

    fn options() -> Options {
        let mut options = Options::of(BackendType::RocksDb);
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "256mb").unwrap();
        options.set("state.backend.rocksdb.memory.partitioned-index-filters", "true").unwrap();
        options
    }

    impl Bare {
        fn open(folder: &std::path::Path, memory: &SharedMemory) -> Self {
            let db_options = rocksdb_options(&options(), Some(memory)).unwrap();
            let mut db = DB::open(&db_options, folder).unwrap();
            db.create_cf("value", &db_options).unwrap();
            let mut write = WriteOptions::default();
            write.disable_wal(true);
            Self { db, read: ReadOptions::default(), write, keys: vec![], values: vec![], scratch: vec![] }
        }

        fn prepare(&mut self, block: &[Event<i64>]) {
            let mut composite = CompositeKey::new(GROUPS.max_parallelism);
            self.keys.clear();
            self.values.clear();
            for event in block {
                composite.set_key(&event.key, GROUPS.group_of(event.key.hash_code()));
                self.keys.push(composite.with_namespace::<i64, _>(&VoidNamespace).try_into().unwrap());
                let mut value = Vec::new();
                statebench::state::Codec::encode(&event.payload, &mut value);
                self.values.push(value);
            }
        }

        fn run(&mut self, op: Op) -> Duration {
            let family = self.db.cf_handle("value").unwrap();
            let start = Instant::now();
            let mut sum = 0_u64;
            for (key, value) in self.keys.iter().zip(&self.values) {
                match op {
                    Op::Get => {
                        let read = self.db.get_pinned_cf_opt(family, key, &self.read).unwrap();
                        sum = sum.wrapping_add(read.map_or(0, |bytes| u64::from(bytes[4])));
                    }
                    Op::Put => self.db.put_cf_opt(family, key, value, &self.write).unwrap(),
                    Op::ReadModifyWrite => {
                        self.scratch.clear();
                        match self.db.get_pinned_cf_opt(family, key, &self.read).unwrap() {
                            Some(bytes) => self.scratch.extend_from_slice(&bytes),
                            None => self.scratch.extend_from_slice(value),
                        }
                        self.scratch[4] = self.scratch[4].wrapping_add(1);
                        self.db.put_cf_opt(family, key, &self.scratch, &self.write).unwrap();
                    }
                }
            }
            black_box(sum);
            start.elapsed()
        }
    }

    /// (c) Get, put and read-modify-write of 100 bytes on the RocksDB backend, every access timed and recorded, beside
    /// a bare loop over the `rocksdb` crate with the same options, keys and values.
    pub fn beside_a_bare_loop() {
        let keys =
            format!("keys = {{ cardinality = {KEYS}, distribution.zipf.exponent = 0.8 }}\nvalues.size = '100 b'\n");
        let cases = [
            ("get", "read", Op::Get),
            ("put", "update", Op::Put),
            ("get and put", "read-modify-write", Op::ReadModifyWrite),
        ];
        for (name, share, op) in cases {
            let spec = workload(&format!("{keys}operator.mix.{share} = 1.0"));
            let folder = tempfile::tempdir().unwrap();
            let memory = SharedMemory::new(&options()).unwrap().map(Arc::new);
            let backend = RocksDbBackend::<i64>::open(
                &folder.path().join("a"),
                &options(),
                (GROUPS, 0),
                memory,
                OpenMode::default(),
                StateTtls::new(),
            );
            let mut harness = metered(backend.unwrap(), Strategy::Every);
            let OperatorSpec::Mix(mix) = &spec.operator else { panic!("a mix") };
            let mut operator = <MixOperator as Operator<i64>>::open(mix, &mut harness).unwrap();
            let memory = SharedMemory::new(&options()).unwrap().unwrap();
            let mut bare = Bare::open(&folder.path().join("b"), &memory);

            let prefill = EventSource::prefill(&spec);
            let (mut scratch, mut block) = (Scratch::default(), Vec::new());
            while prefill.take_block(u64::MAX, KEYS, &mut scratch, |event| block.push(event)).unwrap().is_some() {
                bare.prepare(&block);
                bare.run(Op::Put);
                for event in &mut block {
                    harness.set_current_key(&event.key);
                    operator.prefill(&mut harness, event).unwrap();
                }
                block.clear();
            }
            <Metered<_> as KeyedStateBackend<i64>>::settle(&mut harness).unwrap();
            bare.db.wait_for_compact(&::rocksdb::WaitForCompactOptions::default()).unwrap();

            // Both sides take turns at every block: they see the same minute of the machine.
            let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..REPEATS {
                let (mut h, mut b, mut out) = (Duration::ZERO, Duration::ZERO, Collector::default());
                let mut turn = false;
                for_each_block(&spec, EVENTS, |block| {
                    bare.prepare(block);
                    turn = !turn;
                    if turn {
                        b += bare.run(op);
                    }
                    h += drive(&mut harness, &mut operator, block, &mut out).unwrap();
                    if !turn {
                        b += bare.run(op);
                    }
                });
                ratios.push(b.as_secs_f64() / h.as_secs_f64());
                ours.push(nanos_per_event(h, EVENTS) / 1e3);
                theirs.push(nanos_per_event(b, EVENTS) / 1e3);
            }
            let what = format!("RocksDB {name} of 100 b, {KEYS} keys zipf 0.8");
            row(&what, "throughput over the bare loop's", &ratios, "", "≥ 0.95");
            row(&what, "harness, µs per event", &ours, "", "");
            row(&what, "bare loop, µs per event", &theirs, "", "");
        }
    }
}

/// One million timers of 100,000 keys, in no order, that one watermark fires: beside a binary heap of times and keys
/// alone, which cannot delete a timer and takes one that is registered twice for two.
fn timers() {
    timers_beside_a_binary_heap("heap", &mut HeapBackend::new(GROUPS, 0), "≥ 1 M");
    #[cfg(feature = "rocksdb")]
    rocksdb::timers();
}

const TIMERS: u64 = 1_000_000;

/// Times and keys of the timers, the same for both sides.
fn timer(number: u64) -> (i64, i64) {
    let random = mix(number, 1);
    ((random >> 32) as i64, (random % 100_000) as i64)
}

fn timers_beside_a_binary_heap(what: &str, backend: &mut impl KeyedStateBackend<i64>, goal: &str) {
    let (service, n) = (backend.timer_service::<VoidNamespace>("timers").unwrap(), &VoidNamespace);
    let mut heap = BinaryHeap::new();
    let millions_per_s = |time: Duration| TIMERS as f64 / time.as_secs_f64() / 1e6;
    let (mut registered, mut fired, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let start = Instant::now();
        for (time_ms, key) in (0..TIMERS).map(timer) {
            backend.set_current_key(&key);
            backend.register_timer(service, TimeDomain::EventTime, n, time_ms).unwrap();
        }
        registered.push(millions_per_s(start.elapsed()));
        let (start, mut sum) = (Instant::now(), 0);
        while let Some(timer) = backend.take_timer(service, TimeDomain::EventTime, i64::MAX).unwrap() {
            sum += timer.key;
        }
        let ours = millions_per_s(start.elapsed());
        heap.extend((0..TIMERS).map(timer).map(Reverse));
        let (start, mut bare_sum) = (Instant::now(), 0);
        while let Some(Reverse((_, key))) = heap.pop() {
            bare_sum += key;
        }
        let theirs = millions_per_s(start.elapsed());
        assert_eq!(sum, bare_sum, "every timer fired once");
        fired.push(ours);
        bare.push(theirs);
        ratios.push(ours / theirs);
    }
    let what = format!("{what}, 1,000,000 timers at one watermark");
    row(&what, "M timers/s fired", &fired, "", goal);
    row(&what, "the same of a bare BinaryHeap", &bare, "", "");
    row(&what, "ratio of the two", &ratios, "", "");
    row(&what, "M timers/s registered", &registered, "", "");
}

/// (d) Draws per second of each key distribution.
fn samplers() {
    const BLOCKS: u64 = 2_000;
    let distributions = ["uniform", "zipf", "hotspot", "latest", "exponential", "sequential", "moving", "ephemeral"];
    for distribution in distributions {
        let spec = workload(&format!("keys = {{ cardinality = 100_000_000, distribution = '{distribution}' }}"));
        let sampler = KeySampler::new(&spec.keys, 1);
        let mut ids = vec![0; BLOCK_EVENTS];
        let rates: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let start = Instant::now();
                for block in 0..BLOCKS {
                    let mut rng = Rng::for_block(1, Stream::Keys, block);
                    sampler.fill(&mut rng, block * BLOCK_EVENTS as u64, &mut ids);
                    black_box(&ids);
                }
                (BLOCKS * BLOCK_EVENTS as u64) as f64 / start.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        row("key sampler over 10^8", &format!("M draws/s, {distribution}"), &rates, "", "");
    }
}

/// Looking at RocksDB's inside every 100 ms, and RocksDB's counters, beside the same job without.
#[cfg(feature = "rocksdb")]
fn looks() {
    let of = |interval: &str, counters: bool| {
        let text = format!(
            "keys = {{ cardinality = 500_000 }}\noperator.mix = {{ read-modify-write = 1.0 }}\n\
             run = {{ duration = '3 s', warm-up = '1 s', prefill-by = 'ingest', timeline-interval = '{interval}' }}"
        );
        counting_trial(&text, BackendType::RocksDb, counters)
    };
    let on_the_wall = |measured: &Measurement| measured.events as f64 / measured.wall_s;
    let (mut walls, mut shares, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for repeat in 0..REPEATS {
        let mut order = [("100 ms", true), ("1 h", true), ("1 h", false)];
        order.rotate_left(repeat % 3);
        let [mut often, mut never, mut uncounted] = [const { None }; 3];
        for (interval, counters) in order {
            let measured = of(interval, counters);
            match (interval, counters) {
                ("100 ms", _) => often = Some(measured),
                (_, true) => never = Some(measured),
                (_, false) => uncounted = Some(measured),
            }
        }
        let (often, never, uncounted) = (often.unwrap(), never.unwrap(), uncounted.unwrap());
        walls.push(on_the_wall(&often) / on_the_wall(&never));
        shares.push(100.0 * often.timing.looking_share.unwrap());
        counts.push(never.throughput_events_per_s / uncounted.throughput_events_per_s);
    }
    let what = "RocksDB read-modify-write, 500,000 keys uniform";
    row(what, "events on the wall, looked at every 100 ms over never", &walls, "×", "≥ 0.99×");
    row(what, "share of the time that looks took, every 100 ms, %", &shares, "", "< 1");
    row(what, "throughput with RocksDB's counters over without", &counts, "×", "");
}

/// (e) Two subtasks beside one, on the heap: events over the time of the busiest subtask.
fn two_subtasks() {
    let of = |parallelism: u16| {
        let text = format!(
            "keys = {{ cardinality = 1_000_000 }}\n\
             run = {{ events = 4_000_000, warm-up = 500_000, parallelism = {parallelism} }}"
        );
        trial(&text, BackendType::HashMap).throughput_events_per_s
    };
    let ratios: Vec<f64> = (0..REPEATS)
        .map(|repeat| {
            if repeat % 2 == 0 {
                let one = of(1);
                of(2) / one
            } else {
                let two = of(2);
                two / of(1)
            }
        })
        .collect();
    row("heap counter, parallelism 2", "throughput over parallelism 1", &ratios, "×", "≥ 1.7×");
}

/// Replay of a trace beside generated events, on the heap: events per second on the wall. The trace is the sample of
/// `workloads/data`, repeated behind itself so that opening the file does not count.
fn trace_replay() {
    let sample = std::fs::read_to_string("workloads/data/flights-sample.csv").unwrap();
    let (header, rows) = sample.split_once('\n').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.csv");
    std::fs::write(&path, format!("{header}\n{}", rows.repeat(40))).unwrap();
    let trace = format!(
        "source.trace = {{ path = '{}', time = 'date', key = ['origin', 'destination'], value = 'delay', \
         disorder = '3 d' }}\nkeys.type = 'string'\nrun.warm-up = 4096\noperator.aggregate.function = 'summary'",
        path.display()
    );
    let generated = "keys = { cardinality = 3_200, type.string.length = '7 b' }\nrun = { events = 1_000_000, \
                     warm-up = 4096 }\noperator.aggregate.function = 'summary'";
    let rates = |text: &str| {
        let m = trial(text, BackendType::HashMap);
        (m.throughput_events_per_s, m.events as f64 / m.wall_s)
    };
    let (mut busy, mut wall) = (Vec::new(), Vec::new());
    for repeat in 0..REPEATS {
        let (g, t) = if repeat % 2 == 0 {
            let g = rates(generated);
            (g, rates(&trace))
        } else {
            let t = rates(&trace);
            (rates(generated), t)
        };
        busy.push(t.0 / g.0);
        wall.push(t.1 / g.1);
    }
    let what = "replay of a CSV trace, heap";
    row(what, "events/s over generated events", &busy, "×", "≥ 0.9×");
    row(what, "the same on the wall, reading included", &wall, "×", "");
}
