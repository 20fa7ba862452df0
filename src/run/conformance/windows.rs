//! Windows: tumbling, sliding and sessions, incremental and holistic, with late events and allowed lateness.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{Shape, emits_what_the_reference_does};
use crate::operator::{
    Aggregated, Average, Collector, EventTime, Joined, Listed, Max, Operator, ProcessingTime, Reduced,
    SessionWindowOperator, Sum, Summary, WindowOperator,
};
use crate::source::Event;
use crate::state::{Codec, StateTtls, mix};
use crate::workload::{SessionWindows, SlidingWindows};

/// What the events of a window come to, if anything.
type Fold = fn(&[&Event<i64>]) -> Option<u64>;

#[expect(clippy::unnecessary_wraps, reason = "one shape for all folds")]
fn sum(events: &[&Event<i64>]) -> Option<u64> {
    Some(events.iter().map(|event| event.value).sum::<i64>() as u64)
}
fn max(events: &[&Event<i64>]) -> Option<u64> {
    events.iter().map(|event| event.value as u64).max()
}
fn average(events: &[&Event<i64>]) -> Option<u64> {
    sum(events).map(|sum| mix(events.len() as u64, sum))
}
fn summary(events: &[&Event<i64>]) -> Option<u64> {
    Some(mix(average(events)?, max(events)?))
}
#[expect(clippy::unnecessary_wraps, reason = "one shape for all folds")]
fn list(events: &[&Event<i64>]) -> Option<u64> {
    let sum = events.iter().map(|event| mix(event.payload.head(), 0)).fold(0, u64::wrapping_add);
    Some(mix(sum, events.len() as u64))
}
/// All pairs of a left and a right row.
fn pairs(events: &[&Event<i64>]) -> Option<u64> {
    let row = |event: &Event<i64>| mix(event.value as u64, event.payload.head());
    let (mut sum, mut count) = (0_u64, 0);
    for left in events.iter().filter(|event| event.stream == 0) {
        for right in events.iter().filter(|event| event.stream == 1) {
            (sum, count) = (sum.wrapping_add(mix(row(left), row(right))), count + 1);
        }
    }
    (count > 0).then(|| mix(sum, count))
}

/// A window that is kept: key, start, end, and the events in it.
struct Window<'a>(i64, i64, i64, Vec<&'a Event<i64>>);

impl Window<'_> {
    fn emit(&self, fold: Fold, out: &mut Collector) {
        let key = self.0.fingerprint(&mut Vec::new());
        if let Some(result) = fold(&self.3) {
            out.emit_of(mix(mix(key, self.1 as u64), self.2 as u64), result);
        }
    }
}

/// Emits the windows whose end the watermark passes as it rises to `to_ms`, and drops those whose lateness is over.
fn raise(kept: &mut Vec<Window<'_>>, from_ms: i64, to_ms: i64, lateness_ms: i64, fold: Fold, out: &mut Collector) {
    for window in kept.iter().filter(|window| window.2 > from_ms.saturating_add(1) && window.2 <= to_ms + 1) {
        window.emit(fold, out);
    }
    kept.retain(|window| window.2 + lateness_ms > to_ms + 1);
}

/// Windows of one length on event time.
fn sliding(spec: &SlidingWindows, fold: Fold, events: &[Event<i64>], out: &mut Collector) {
    let (mut kept, mut watermark_ms) = (Vec::new(), i64::MIN);
    for event in events {
        raise(&mut kept, watermark_ms, event.watermark_ms, spec.allowed_lateness_ms, fold, out);
        watermark_ms = event.watermark_ms;
        let starts = (event.time_ms - spec.size_ms + 1..=event.time_ms).filter(|start| start % spec.slide_ms == 0);
        let ends = starts.map(|start| start + spec.size_ms);
        let ends: Vec<_> = ends.filter(|end| end + spec.allowed_lateness_ms > watermark_ms + 1).collect();
        for end in &ends {
            let at = kept.iter().position(|window: &Window<'_>| (window.0, window.2) == (event.key, *end));
            let at = at.unwrap_or_else(|| {
                kept.push(Window(event.key, end - spec.size_ms, *end, Vec::new()));
                kept.len() - 1
            });
            kept[at].3.push(event);
            if *end <= watermark_ms + 1 {
                kept[at].emit(fold, out);
            }
        }
        if ends.is_empty() {
            out.count_late();
        }
    }
}

/// Windows of sessions.
fn sessions(spec: &SessionWindows, fold: Fold, events: &[Event<i64>], out: &mut Collector) {
    let (mut kept, mut watermark_ms): (Vec<Window<'_>>, _) = (Vec::new(), i64::MIN);
    for event in events {
        raise(&mut kept, watermark_ms, event.watermark_ms, spec.allowed_lateness_ms, fold, out);
        watermark_ms = event.watermark_ms;
        let mut session = Window(event.key, event.time_ms, event.time_ms + spec.gap_ms, vec![event]);
        let meets = |window: &mut Window<'_>| {
            window.0 == event.key && window.1 <= event.time_ms + spec.gap_ms && event.time_ms <= window.2
        };
        for met in kept.extract_if(.., meets) {
            session.1 = session.1.min(met.1);
            session.2 = session.2.max(met.2);
            session.3.extend(met.3);
        }
        if session.2 + spec.allowed_lateness_ms <= watermark_ms + 1 {
            out.count_late();
            continue;
        }
        if session.2 <= watermark_ms + 1 {
            session.emit(fold, out);
        }
        kept.push(session);
    }
}

/// Compares an operator with its reference, and makes sure that the streams had events too late for it.
fn check<O: Operator<i64>>(spec: &O::Spec, shape: Shape, reference: impl Fn(&[Event<i64>], &mut Collector)) {
    let (late, fired) = (Cell::new(0), Cell::new(0));
    emits_what_the_reference_does::<O>(spec, &StateTtls::new(), shape, |events, out| {
        reference(events, out);
        late.set(late.get() + out.late_events());
        fired.set(fired.get() + out.digest().count);
    });
    assert!(late.get() > 100 && fired.get() > 500, "{} late, {} fired", late.get(), fired.get());
}

/// Events up to 60 ms behind a watermark that waits for 20.
fn late() -> Shape {
    Shape { delay_ms: 60, streams: 2, ..Shape::default() }
}

fn tumbling(allowed_lateness_ms: i64) -> SlidingWindows {
    SlidingWindows { size_ms: 20, slide_ms: 20, allowed_lateness_ms }
}

macro_rules! conform {
    ($($name:ident: $operator:ty, $spec:expr, $reference:ident, $fold:ident;)*) => {$(
        #[test]
        fn $name() {
            let spec = $spec;
            check::<$operator>(&spec, late(), |events, out| $reference(&spec, $fold, events, out));
        }
    )*};
}
conform! {
    tumbling_sums: WindowOperator<Reduced<Sum>, EventTime>, tumbling(0), sliding, sum;
    tumbling_lists: WindowOperator<Listed, EventTime>, tumbling(0), sliding, list;
    tumbling_joins: WindowOperator<Joined, EventTime>, tumbling(0), sliding, pairs;
    sliding_joins: WindowOperator<Joined, EventTime>,
        SlidingWindows { size_ms: 25, slide_ms: 10, allowed_lateness_ms: 15 }, sliding, pairs;
    tumbling_averages_with_allowed_lateness: WindowOperator<Aggregated<Average>, EventTime>,
        tumbling(15), sliding, average;
    sliding_summaries: WindowOperator<Aggregated<Summary>, EventTime>,
        SlidingWindows { size_ms: 25, slide_ms: 10, allowed_lateness_ms: 0 }, sliding, summary;
    sliding_lists_with_allowed_lateness: WindowOperator<Listed, EventTime>,
        SlidingWindows { size_ms: 30, slide_ms: 10, allowed_lateness_ms: 5 }, sliding, list;
    session_sums: SessionWindowOperator<Reduced<Sum>>,
        SessionWindows { gap_ms: 10, allowed_lateness_ms: 0 }, sessions, sum;
    session_lists: SessionWindowOperator<Listed>,
        SessionWindows { gap_ms: 10, allowed_lateness_ms: 0 }, sessions, list;
    session_summaries_with_allowed_lateness: SessionWindowOperator<Aggregated<Summary>>,
        SessionWindows { gap_ms: 8, allowed_lateness_ms: 15 }, sessions, summary;
}

/// On processing time nothing is late, and a window closes when a later event arrives.
#[test]
fn tumbling_maxima_on_processing_time() {
    let reference = |events: &[Event<i64>], out: &mut Collector| {
        let mut windows = BTreeMap::<_, Vec<_>>::new();
        for event in events {
            windows.entry((event.processing_ms.div_euclid(20) * 20, event.key)).or_default().push(event);
        }
        let now_ms = events.last().unwrap().processing_ms;
        for ((start_ms, key), events) in windows.into_iter().filter(|((start_ms, _), _)| start_ms + 20 <= now_ms) {
            Window(key, start_ms, start_ms + 20, events).emit(max, out);
        }
    };
    emits_what_the_reference_does::<WindowOperator<Reduced<Max>, ProcessingTime>>(
        &tumbling(0),
        &StateTtls::new(),
        late(),
        reference,
    );
}
