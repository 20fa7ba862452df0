//! How far the hit rate by cache size is off: real trials under five sizes of managed memory, of which one tells the curve.
//!
//! Each trial is a companion, in which RocksDB counts and the block cache is watched. The curve of the middle size is laid
//! beside what the others measured. Ingested, all pools have the same tree; put, each has that of its own write buffers, which asks for
//! other blocks. Indexes are partitioned in two of three cases: whole ones may fall out of their shard in one run and not in
//! another, which no curve of another run can tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[cfg(feature = "rocksdb")]
use statebench::result::{CacheCurve, Measurement};
#[cfg(feature = "rocksdb")]
use statebench::run::{Observer, PrefillFrom, Progress, TrialSpec, run_trial};
#[cfg(feature = "rocksdb")]
use statebench::workload::{BackendType, Options};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The pools, from the smallest; each is twice the one before. The third tells the curve.
#[cfg(feature = "rocksdb")]
const POOLS_MIB: [u64; 5] = [16, 32, 64, 128, 256];
#[cfg(feature = "rocksdb")]
const TELLS: usize = 2;

/// Workloads: a name, and the file without its events.
#[cfg(feature = "rocksdb")]
const WORKLOADS: [(&str, &str); 4] = [
    (
        "reads, zipf keys",
        "operator.mix = { read = 1.0 }\nkeys = { cardinality = 500_000, distribution.zipf.exponent = 0.8 }",
    ),
    ("reads, uniform keys", "operator.mix = { read = 1.0 }\nkeys = { cardinality = 500_000 }"),
    (
        "19 reads for each update, zipf keys",
        "operator.mix = { read = 0.95, update = 0.05 }\nkeys = { cardinality = 500_000, distribution.zipf.exponent = 0.8 }",
    ),
    ("reads and writes, uniform keys", "operator.mix = { read-modify-write = 1.0 }\nkeys = { cardinality = 500_000 }"),
];

#[cfg(not(feature = "rocksdb"))]
fn main() {}

#[cfg(feature = "rocksdb")]
fn main() {
    // `cargo test --benches` runs benchmarks with this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "| workload | index | prefill | pool | measured | by the curve of {} mb | off by, points | sampled |",
        POOLS_MIB[TELLS]
    );
    println!("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |");
    let (mut same_tree, mut own_tree) = (Vec::new(), Vec::new());
    for (name, workload) in WORKLOADS {
        same_tree.extend(compare(name, workload, "ingest", true));
        own_tree.extend(compare(name, workload, "puts", true));
        own_tree.extend(compare(name, workload, "puts", false));
    }
    println!();
    summary("all pools on one tree", same_tree);
    summary("each pool on a tree of its own write buffers", own_tree);
}

#[cfg(feature = "rocksdb")]
fn summary(what: &str, mut errors: Vec<f64>) {
    errors.sort_by(f64::total_cmp);
    let within = errors.iter().filter(|error| **error <= 2.0).count();
    println!(
        "{what}: {within} of {} within 2 points; median {:.2}, largest {:.2}",
        errors.len(),
        errors[errors.len() / 2],
        errors[errors.len() - 1]
    );
}

#[cfg(feature = "rocksdb")]
struct Silent;
#[cfg(feature = "rocksdb")]
impl Observer for Silent {
    fn progress(&self, _: &Progress) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// A companion trial with so much managed memory.
#[cfg(feature = "rocksdb")]
fn trial(workload: &str, prefill: &str, partitioned: bool, pool_mib: u64) -> Measurement {
    let text = format!(
        "{workload}\nvalues.size = '200 b'\n\
         run = {{ events = 400_000, warm-up = 200_000, prefill-by = '{prefill}', verify-events = 100 }}"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::of(BackendType::RocksDb);
    options.set("taskmanager.memory.managed.size", &format!("{pool_mib}mb")).unwrap();
    options.set("state.backend.rocksdb.memory.partitioned-index-filters", &partitioned.to_string()).unwrap();
    let spec = TrialSpec {
        workload: toml::from_str(&text).unwrap(),
        folder: ".".into(),
        options,
        stream_seed: 1,
        state_folder: folder.path().to_owned(),
        counters: true,
        prefill: PrefillFrom::Own,
        handicap_percent: None,
        memory_group: None,
    };
    run_trial(&spec, &Silent).unwrap().unwrap().measurement
}

#[cfg(feature = "rocksdb")]
fn compare(name: &str, workload: &str, prefill: &str, partitioned: bool) -> Vec<f64> {
    let trials = POOLS_MIB.map(|pool| trial(workload, prefill, partitioned, pool));
    let curve: &CacheCurve = trials[TELLS].cache_curve.as_ref().unwrap();
    let row = |(pool_mib, trial): (u64, &Measurement)| {
        let measured = 100.0 * trial.store_counters.unwrap().cache_hit_rate().unwrap();
        let point = curve.points.iter().find(|point| point.pool_bytes == pool_mib << 20).unwrap();
        let predicted = 100.0 * point.hit_rate;
        let index = if partitioned { "partitioned" } else { "whole" };
        println!(
            "| {name} | {index} | {prefill} | {pool_mib} mb | {measured:.1} % | {predicted:.1} % | {:.2} | {} |",
            (predicted - measured).abs(),
            curve.sampled
        );
        (predicted - measured).abs()
    };
    POOLS_MIB.into_iter().zip(&trials).map(row).collect()
}
