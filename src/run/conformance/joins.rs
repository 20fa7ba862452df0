//! Deduplication, joins and ranks against references that keep everything in plain collections.

use std::collections::BTreeMap;

use super::{Shape, emits_what_the_reference_does};
use crate::operator::{
    BroadcastRules, Collector, ContinuousJoin, FirstRow, IntervalJoin, LastRow, RegularJoin, RowKind, TemporalJoin,
    TopN,
};
use crate::source::Event;
use crate::state::{CleanupStrategies, Codec, StateTtl, StateTtls, StateVisibility, UpdateType, mix};
use crate::workload::{IntervalBounds, MixOperation, RuleSet, VALUE_RANGE};

/// A TTL that is renewed by writes.
fn ttl_of(states: &[&str], ttl_ms: i64) -> StateTtls {
    let ttl = StateTtl {
        ttl_ms,
        update_type: UpdateType::OnCreateAndWrite,
        visibility: StateVisibility::NeverReturnExpired,
        cleanup: CleanupStrategies::default(),
    };
    states.iter().map(|&state| (state.to_owned(), ttl)).collect()
}

/// What the row of an event is to downstream.
fn row(event: &Event<i64>) -> u64 {
    mix(event.value as u64, event.payload.head())
}

fn first_row(ttl_ms: i64) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        let mut seen_at = BTreeMap::new();
        for event in events {
            let is_known = seen_at.get(&event.key).is_some_and(|at| event.processing_ms - at < ttl_ms);
            if !is_known {
                seen_at.insert(event.key, event.processing_ms);
                out.emit(event, mix(mix(event.key as u64, event.value as u64), event.other as u64));
            }
        }
    }
}

#[test]
fn the_first_row_is_let_through_until_it_is_forgotten() {
    emits_what_the_reference_does::<FirstRow>(&(), &StateTtls::new(), Shape::default(), first_row(i64::MAX));
    emits_what_the_reference_does::<FirstRow>(&(), &ttl_of(&["seen"], 60), Shape::default(), first_row(60));
}

fn last_row(ttl_ms: Option<i64>) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        let mut last = BTreeMap::<i64, &Event<i64>>::new();
        for event in events {
            let is_live = |last: &&Event<i64>| ttl_ms.is_none_or(|ttl| event.processing_ms - last.processing_ms < ttl);
            match last.insert(event.key, event).filter(is_live) {
                None => out.emit(event, mix(RowKind::Insert as u64, row(event))),
                Some(before) if before.value == event.value && ttl_ms.is_none() => {}
                Some(before) => {
                    out.emit(event, mix(RowKind::UpdateBefore as u64, row(before)));
                    out.emit(event, mix(RowKind::UpdateAfter as u64, row(event)));
                }
            }
        }
    }
}

#[test]
fn the_last_row_replaces_the_one_before_unless_that_is_forgotten() {
    let shape = Shape { values: 3, equal_rows: true, ..Shape::default() };
    emits_what_the_reference_does::<LastRow>(&(), &StateTtls::new(), shape, last_row(None));
    emits_what_the_reference_does::<LastRow>(&(), &ttl_of(&["seen"], 30), shape, last_row(Some(30)));
}

fn regular_join(ttl_ms: i64) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        // Rows by key, side and value, each as often as it is there, with the time of its last change.
        let mut sides = BTreeMap::<(i64, u8, i64), (u32, &Event<i64>)>::new();
        for event in events {
            sides.retain(|_, (times, last)| *times > 0 && event.processing_ms - last.processing_ms < ttl_ms);
            let kind = if event.operation == MixOperation::Delete { RowKind::Delete } else { RowKind::Insert };
            let own = (event.key, event.stream, event.value);
            if kind == RowKind::Insert {
                let (times, last) = sides.entry(own).or_insert((0, event));
                (*times, *last) = (*times + 1, event);
            } else if let Some((times, last)) = sides.get_mut(&own) {
                (*times, *last) = (*times - 1, event);
            }
            for ((key, side, _), (times, other)) in &sides {
                if (*key, *side) == (event.key, 1 - event.stream) {
                    let (left, right) = if event.stream == 0 { (event, *other) } else { (*other, event) };
                    (0..*times).for_each(|_| out.emit(event, mix(kind as u64, mix(row(left), row(right)))));
                }
            }
        }
    }
}

#[test]
fn the_regular_join_pairs_what_is_there_and_takes_pairs_back() {
    let shape = Shape { streams: 2, values: 4, equal_rows: true, retracts: true, ..Shape::default() };
    emits_what_the_reference_does::<RegularJoin>(&(), &StateTtls::new(), shape, regular_join(i64::MAX));
    let both = ttl_of(&["left", "right"], 80);
    emits_what_the_reference_does::<RegularJoin>(&(), &both, shape, regular_join(80));
}

fn continuous_join(finish_below: i64) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        let mut jobs = BTreeMap::<i64, &Event<i64>>::new();
        let mut waiting = BTreeMap::<i64, Vec<&Event<i64>>>::new();
        let pair = |out: &mut Collector, at: &Event<i64>, left: &Event<i64>, right: &Event<i64>| {
            out.emit(at, mix(RowKind::Insert as u64, mix(row(left), row(right))));
        };
        for event in events {
            match (event.stream, jobs.get(&event.key)) {
                (1, Some(job)) => pair(out, event, job, event),
                (1, None) => waiting.entry(event.key).or_default().push(event),
                _ => {
                    let tasks = waiting.remove(&event.key).unwrap_or_default();
                    if event.value < finish_below {
                        jobs.remove(&event.key);
                    } else {
                        tasks.iter().for_each(|task| pair(out, event, event, task));
                        jobs.insert(event.key, event);
                    }
                }
            }
        }
    }
}

#[test]
fn the_continuous_join_lasts_until_the_left_side_finishes() {
    let shape = Shape { streams: 2, ..Shape::default() };
    emits_what_the_reference_does::<ContinuousJoin>(&3, &StateTtls::new(), shape, continuous_join(3));
}

#[test]
fn the_top_n_changes_as_rows_enter_and_leave() {
    let n = 3;
    emits_what_the_reference_does::<TopN>(&n, &StateTtls::new(), Shape::default(), |events, out| {
        let mut ranks = BTreeMap::<i64, Vec<&Event<i64>>>::new();
        for event in events {
            let rank = ranks.entry(event.key).or_default();
            rank.push(event);
            rank.sort_by_key(|event| (-event.value, event.sequence));
            let left = (rank.len() > n as usize).then(|| rank.pop()).flatten();
            if left.is_none_or(|left| left.sequence != event.sequence) {
                let row = |event: &Event<i64>| mix(event.sequence, event.payload.head());
                out.emit(event, mix(RowKind::Insert as u64, row(event)));
                left.into_iter().for_each(|left| out.emit(event, mix(RowKind::Delete as u64, row(left))));
            }
        }
    });
}

fn interval_join(bounds: IntervalBounds) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        let (mut kept, mut watermark_ms) = (Vec::<&Event<i64>>::new(), i64::MIN);
        for event in events {
            if event.watermark_ms > watermark_ms {
                watermark_ms = event.watermark_ms;
                kept.retain(|kept| {
                    let after_ms = if kept.stream == 0 { bounds.upper_ms } else { -bounds.lower_ms };
                    kept.time_ms + after_ms.max(0) > watermark_ms
                });
            }
            if event.time_ms < watermark_ms {
                out.count_late();
                continue;
            }
            for other in kept.iter().filter(|other| other.key == event.key && other.stream != event.stream) {
                let (left, right) = if event.stream == 0 { (event, *other) } else { (*other, event) };
                if (bounds.lower_ms..=bounds.upper_ms).contains(&(right.time_ms - left.time_ms)) {
                    out.emit(event, mix(RowKind::Insert as u64, mix(row(left), row(right))));
                }
            }
            kept.push(event);
        }
    }
}

#[test]
fn the_interval_join_pairs_what_is_near_in_time() {
    let shape = Shape { streams: 2, step_ms: 4, ..Shape::default() };
    for (lower_ms, upper_ms) in [(-20, 30), (5, 25), (-25, -5), (0, 0)] {
        let bounds = IntervalBounds { lower_ms, upper_ms };
        emits_what_the_reference_does::<IntervalJoin>(&bounds, &StateTtls::new(), shape, interval_join(bounds));
    }
}

/// What a key of the temporal join has.
#[derive(Default)]
struct Dimension<'a> {
    /// The earliest time that has come since the last look at it.
    waits_for_ms: Option<i64>,
    /// Left rows with their numbers.
    waiting: Vec<(u64, &'a Event<i64>)>,
    left_rows: u64,
    versions: BTreeMap<i64, &'a Event<i64>>,
}

impl<'a> Dimension<'a> {
    fn add(&mut self, event: &'a Event<i64>) {
        if event.stream == 0 {
            self.waiting.push((self.left_rows, event));
            self.left_rows += 1;
        } else {
            self.versions.insert(event.time_ms, event);
        }
        self.waits_for_ms = Some(self.waits_for_ms.map_or(event.time_ms, |ms| ms.min(event.time_ms)));
    }

    fn raise(&mut self, key: i64, watermark_ms: i64, out: &mut Collector) {
        if self.waits_for_ms.is_none_or(|ms| ms > watermark_ms) {
            return;
        }
        let (due, waiting): (Vec<_>, Vec<_>) = self.waiting.iter().partition(|(_, left)| left.time_ms <= watermark_ms);
        for (number, left) in due {
            if let Some((_, version)) = self.versions.range(..=left.time_ms).next_back() {
                out.emit_of(mix(key.fingerprint(&mut Vec::new()), number), mix(row(left), row(version)));
            }
        }
        if let Some((&last_ms, _)) = self.versions.range(..=watermark_ms).next_back() {
            self.versions = self.versions.split_off(&last_ms);
        }
        self.waits_for_ms = waiting.iter().map(|(_, left)| left.time_ms).min();
        self.waiting = waiting;
    }
}

#[test]
fn the_temporal_join_finds_the_version_of_the_time() {
    let shape = Shape { streams: 2, step_ms: 5, ..Shape::default() };
    emits_what_the_reference_does::<TemporalJoin>(&(), &StateTtls::new(), shape, |events, out| {
        let (mut keys, mut watermark_ms) = (BTreeMap::<i64, Dimension<'_>>::new(), i64::MIN);
        for event in events {
            if event.watermark_ms > watermark_ms {
                watermark_ms = event.watermark_ms;
                keys.iter_mut().for_each(|(key, dimension)| dimension.raise(*key, watermark_ms, out));
            }
            keys.entry(event.key).or_default().add(event);
        }
    });
}

#[test]
fn rules_reach_every_subtask_and_match_what_comes_after_them() {
    // Three rules of three values each: at 0, at a third and at two thirds of the range.
    let spec = RuleSet::new(3, 0.5, 3.0 / VALUE_RANGE as f64).unwrap();
    let shape = Shape { streams: 2, ..Shape::default() };
    emits_what_the_reference_does::<BroadcastRules>(&spec, &StateTtls::new(), shape, |events, out| {
        let low = |start: i64| start * 998 / 1_000;
        let mut rules: BTreeMap<i64, i64> = [(0, low(0)), (1, low(333)), (2, low(666))].into();
        let mut counts = BTreeMap::<(i64, i64), i64>::new();
        for event in events {
            if event.stream == 1 {
                rules.insert(event.other, low(event.value));
                continue;
            }
            for (id, _) in rules.iter().filter(|(_, low)| (**low..**low + 3).contains(&event.value)) {
                let count = counts.entry((event.key, *id)).or_default();
                *count += 1;
                out.emit(event, mix(mix(event.key as u64, *count as u64), *id as u64));
            }
        }
    });
}
