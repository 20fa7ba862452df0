//! Deduplication, joins and ranks against references that keep everything in plain collections.

use std::collections::BTreeMap;

use super::{Shape, emits_what_the_reference_does};
use crate::operator::{Collector, FirstRow, LastRow, RowKind};
use crate::source::Event;
use crate::state::{CleanupStrategies, StateTtl, StateTtls, StateVisibility, UpdateType, mix};

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

/// What a row without bytes is to downstream.
fn row(value: i64) -> u64 {
    mix(value as u64, 0)
}

fn first_row(ttl_ms: i64) -> impl Fn(&[Event<i64>], &mut Collector) {
    move |events, out| {
        let mut seen_at = BTreeMap::new();
        for event in events {
            let is_known = seen_at.get(&event.key).is_some_and(|at| event.processing_ms - at < ttl_ms);
            if !is_known {
                seen_at.insert(event.key, event.processing_ms);
                out.emit(event, mix(RowKind::Insert as u64, event.value as u64));
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
        let mut last = BTreeMap::<i64, (i64, i64)>::new();
        for event in events {
            let before = last.insert(event.key, (event.processing_ms, event.value));
            let before = before.filter(|(at, _)| ttl_ms.is_none_or(|ttl_ms| event.processing_ms - at < ttl_ms));
            match before {
                None => out.emit(event, mix(RowKind::Insert as u64, row(event.value))),
                Some((_, value)) if value == event.value && ttl_ms.is_none() => {}
                Some((_, value)) => {
                    out.emit(event, mix(RowKind::UpdateBefore as u64, row(value)));
                    out.emit(event, mix(RowKind::UpdateAfter as u64, row(event.value)));
                }
            }
        }
    }
}

#[test]
fn the_last_row_replaces_the_one_before_unless_that_is_forgotten() {
    let shape = Shape { values: 3, ..Shape::default() };
    emits_what_the_reference_does::<LastRow>(&(), &StateTtls::new(), shape, last_row(None));
    emits_what_the_reference_does::<LastRow>(&(), &ttl_of(&["seen"], 30), shape, last_row(Some(30)));
}
