//! A pipeline against plain code over sorted maps: the join of changelogs and the running totals behind it, through the
//! source, the exchange between operators and every backend.

use std::collections::BTreeMap;
use std::path::Path;

use crate::operator::{Collector, DIMENSION, Emitted};
use crate::run::{Observer, PrefillFrom, Progress, TrialSpec, run_trial};
use crate::source::{Event, EventSource, Scratch};
use crate::state::Digest;
use crate::workload::{MixOperation, Options, RowField, Workload, WorkloadWire};

const JOIN_TTL_MS: i64 = 400;
const TOTAL_TTL_MS: i64 = 30;
const EVENTS: u64 = 6_000;

fn workload(seed: u64, parallelism: u16) -> WorkloadWire {
    let text = format!(
        "keys.cardinality = 40
        source.cdc-orders = {{ segments = 7, recent = 300, customer-changes = 0.05 }}
        time = {{ out-of-orderness = 20, delayed = 0.2, delay = 30, watermark-interval = 10 }}
        run = {{ events = {}, warm-up = 4096, repeats = 1, parallelism = {parallelism}, seed = {seed} }}
        [[pipeline]]
        name = 'join'
        operator = 'changelog-join'
        states.orders.ttl.time = {JOIN_TTL_MS}
        states.customer.ttl.time = {JOIN_TTL_MS}
        [[pipeline]]
        name = 'total'
        operator = 'running-total'
        key = 'other'
        states.total.ttl = {{ time = {TOTAL_TTL_MS}, update-type = 'OnReadAndWrite' }}",
        EVENTS - 4096
    );
    toml::from_str(&text).unwrap()
}

struct Quiet;
impl Observer for Quiet {
    fn progress(&self, _: &Progress) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// Emitted results, late events, and the latest totals.
type Outcome = (Digest, BTreeMap<i64, i64>);

fn run(seed: u64, parallelism: u16, backend: &str) -> (Outcome, Digest) {
    let folder = crate::backend::test_folder();
    let mut options = Options::default();
    options.set("state.backend.type", backend).unwrap();
    let spec = TrialSpec {
        workload: workload(seed, parallelism),
        folder: ".".into(),
        options,
        stream_seed: seed,
        state_folder: folder.path().to_owned(),
        counters: false,
        prefill: PrefillFrom::Own,
        memory_group: None,
        handicap_percent: None,
    };
    let measurement = run_trial(&spec, &Quiet).unwrap().unwrap().measurement;
    assert_eq!(measurement.state_after_events, EVENTS);
    assert!(measurement.late_events > 0, "out of order");
    assert!(measurement.later[0].row_latency.summary.count > 0);
    let latest = measurement.latest.iter().map(|result| (result.key, result.value)).collect();
    ((measurement.emitted, latest), measurement.state)
}

/// What was written and when.
struct Written {
    version: i64,
    value: i64,
    at_ms: i64,
}

/// The value of a key unless it has expired.
fn live<'a, K: Ord>(state: &'a BTreeMap<K, Written>, key: &K, now_ms: i64, ttl_ms: i64) -> Option<&'a Written> {
    state.get(key).filter(|written| written.at_ms + ttl_ms > now_ms)
}

fn reference(events: &[Event<i64>]) -> Outcome {
    let mut joined = Collector::forwarding(Some(RowField::Other));
    let (mut orders, mut customers) = (BTreeMap::<(i64, i64), Written>::new(), BTreeMap::<i64, Written>::new());
    for event in events {
        let now_ms = event.processing_ms;
        let written = Written { version: event.time_ms, value: event.value, at_ms: now_ms };
        let customer = live(&customers, &event.key, now_ms, JOIN_TTL_MS).map(|held| (held.version, held.value));
        let emit =
            |joined: &mut Collector, value, other| joined.emit_row(event, Emitted { key: event.key, value, other });
        if event.stream == DIMENSION {
            if customer.is_some_and(|(version, _)| version > event.time_ms) {
                continue;
            }
            customers.insert(event.key, written);
            if customer.is_some_and(|(_, segment)| segment == event.value) {
                continue;
            }
            let of_customer = orders.range((event.key, i64::MIN)..=(event.key, i64::MAX));
            for (_, order) in of_customer.filter(|(_, order)| order.at_ms + JOIN_TTL_MS > now_ms) {
                if let Some((_, segment)) = customer {
                    emit(&mut joined, -order.value, segment);
                }
                emit(&mut joined, order.value, event.value);
            }
            continue;
        }
        let order = (event.key, event.other);
        let before = live(&orders, &order, now_ms, JOIN_TTL_MS).map(|held| (held.version, held.value));
        if before.is_some_and(|(version, _)| version > event.time_ms) {
            continue;
        }
        let is_deletion = event.operation == MixOperation::Delete;
        if is_deletion {
            orders.remove(&order);
        } else {
            orders.insert(order, written);
        }
        let Some((_, segment)) = customer else { continue };
        if let Some((_, amount)) = before {
            emit(&mut joined, -amount, segment);
        }
        if !is_deletion {
            emit(&mut joined, event.value, segment);
        }
    }
    let (mut out, mut totals, mut latest) = (Collector::default(), BTreeMap::<i64, Written>::new(), BTreeMap::new());
    for row in joined.take_rows() {
        let now_ms = row.processing_ms;
        let total = live(&totals, &row.key, now_ms, TOTAL_TTL_MS).map_or(0, |held| held.value) + row.value;
        totals.insert(row.key, Written { version: 0, value: total, at_ms: now_ms });
        out.emit(&row, total as u64);
        latest.insert(row.key, total);
    }
    let mut emitted = joined.digest();
    let second = out.digest();
    emitted.merge(Digest { sum: second.sum.wrapping_mul(3), count: second.count });
    (emitted, latest)
}

#[test]
fn rows_reach_the_next_operator_in_order_however_many_subtasks_there_are() {
    for seed in 0..20 {
        let source = Workload::new(&workload(seed, 1), Path::new(".")).unwrap();
        let source = EventSource::open(&source, seed).unwrap();
        let (mut scratch, mut events) = (Scratch::default(), Vec::new());
        while source.take_block(u64::MAX, EVENTS, &mut scratch, |event| events.push(event)).unwrap().is_some() {}
        let expected = reference(&events);
        let (outcome, state) = run(seed, 1, "hashmap");
        assert_eq!(outcome, expected, "seed {seed}");
        for parallelism in [2, 4] {
            assert_eq!(run(seed, parallelism, "hashmap"), (expected.clone(), state), "seed {seed} on {parallelism}");
        }
        let parallelism = [1, 2, 4][seed as usize % 3];
        assert_eq!(run(seed, parallelism, "rocksdb"), (expected, state), "seed {seed} on {parallelism}");
    }
}
