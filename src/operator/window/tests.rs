//! The accesses of the window operators, counted: those that Flink's `WindowOperator` makes at the same event.

use super::{EventTime, Listed, Reduced, SessionWindowOperator, WindowOperator};
use crate::backend::{HeapBackend, Metered};
use crate::measure::{AccessKind, Probe};
use crate::operator::{Collector, Operator, Sum};
use crate::source::Event;
use crate::state::{KeyGroups, KeyedStateBackend, Payload};
use crate::workload::{MixOperation, Now, SessionWindows, SlidingWindows};

/// An operator over a heap backend that counts.
struct Counted<O> {
    backend: Metered<HeapBackend<i64>>,
    operator: O,
    out: Collector,
}

impl<O: Operator<i64>> Counted<O> {
    fn open(spec: &O::Spec) -> Self {
        let inner = HeapBackend::new(KeyGroups { max_parallelism: 128, parallelism: 1 }, 0);
        let mut backend = Metered { inner, probe: Probe::new(0, 1) };
        let operator = O::open(spec, &mut backend).unwrap();
        Self { backend, operator, out: Collector::default() }
    }

    /// The accesses since the last call.
    fn accesses(&mut self) -> String {
        let recorder = self.backend.probe.recorder();
        let made = AccessKind::ALL.iter().zip(&recorder.accesses).filter(|(_, made)| !made.is_empty());
        let made: Vec<_> = made.map(|(kind, made)| format!("{} {}", made.len(), kind.name())).collect();
        recorder.clear();
        made.join(", ")
    }

    /// The accesses of an event of this time.
    fn event(&mut self, time_ms: i64) -> String {
        let mut event = Event {
            sequence: 0,
            time_ms,
            watermark_ms: self.out.now().watermark_ms,
            processing_ms: 0,
            key: 7,
            value: 1,
            other: 0,
            stream: 0,
            payload: Payload::default(),
            operation: MixOperation::Read,
        };
        self.backend.set_current_key(&7);
        self.operator.process(&mut self.backend, &mut event, &mut self.out).unwrap();
        self.accesses()
    }

    /// The accesses of a watermark, and what they emitted in all.
    fn watermark(&mut self, watermark_ms: i64) -> (String, u64) {
        let (now, before) = (Now { processing_ms: 0, watermark_ms }, self.out.digest().count);
        self.out.set_now(now);
        self.operator.on_time(&mut self.backend, now, &mut self.out).unwrap();
        (self.accesses(), self.out.digest().count - before)
    }
}

/// The accesses of a watermark that closes one window whose contents are reduced.
const CLOSES_ONE: &str = "1 reducing.get, 1 reducing.clear, 1 timer.delete, 2 timer.take";

#[test]
fn a_tumbling_window_registers_its_timer_for_trigger_and_clean_up() {
    let spec = SlidingWindows { size_ms: 10, slide_ms: 10, allowed_lateness_ms: 0 };
    let mut window = Counted::<WindowOperator<Reduced<Sum>, EventTime>>::open(&spec);
    assert_eq!(window.event(3), "1 reducing.add, 2 timer.register");
    assert_eq!(window.event(9), "1 reducing.add, 2 timer.register");
    assert_eq!(window.watermark(8), ("1 timer.take".to_owned(), 0));
    assert_eq!(window.watermark(9), (CLOSES_ONE.to_owned(), 1));
    assert_eq!(window.event(9), "", "it is late");
    assert_eq!(window.out.late_events(), 1);
    assert_eq!(window.backend.state_digest().unwrap().count, 0);
}

#[test]
fn a_window_with_allowed_lateness_fires_again_and_goes_later() {
    let spec = SlidingWindows { size_ms: 10, slide_ms: 10, allowed_lateness_ms: 5 };
    let mut window = Counted::<WindowOperator<Reduced<Sum>, EventTime>>::open(&spec);
    assert_eq!(window.event(3), "1 reducing.add, 2 timer.register");
    assert_eq!(window.watermark(9), ("1 reducing.get, 2 timer.take".to_owned(), 1));
    assert_eq!(window.event(4), "1 reducing.get, 1 reducing.add, 1 timer.register");
    assert_eq!(window.out.digest().count, 2);
    assert_eq!(window.watermark(14), ("1 reducing.clear, 1 timer.delete, 2 timer.take".to_owned(), 0));
    assert_eq!(window.event(4), "");
    assert_eq!(window.backend.state_digest().unwrap().count, 0);
}

#[test]
fn an_event_is_in_as_many_sliding_windows_as_begin_within_the_size() {
    let spec = SlidingWindows { size_ms: 10, slide_ms: 4, allowed_lateness_ms: 0 };
    let mut window = Counted::<WindowOperator<Listed, EventTime>>::open(&spec);
    assert_eq!(window.event(1), "3 list.add, 6 timer.register");
    assert_eq!(window.event(3), "2 list.add, 4 timer.register");
    // [-8, 2) and [-4, 6), of which the second event was only in the latter.
    assert_eq!(window.watermark(5), ("2 list.get, 2 list.clear, 2 timer.delete, 3 timer.take".to_owned(), 2));
    assert_eq!(window.event(1), "1 list.add, 2 timer.register", "two of its windows are late");
    assert_eq!(window.out.late_events(), 0, "the event is not");
}

#[test]
fn sessions_move_contents_only_where_two_become_one() {
    let spec = SessionWindows { gap_ms: 10, allowed_lateness_ms: 0 };
    let mut window = Counted::<SessionWindowOperator<Reduced<Sum>>>::open(&spec);
    let begins = "1 list.get, 1 list.update, 1 reducing.add, 2 timer.register";
    let grows = "1 list.get, 1 list.update, 1 reducing.add, 3 timer.register, 2 timer.delete";
    assert_eq!(window.event(0), begins);
    assert_eq!(window.event(5), grows, "to 15");
    assert_eq!(window.event(3), "1 list.get, 1 reducing.add, 2 timer.register", "it is as long as before");
    assert_eq!(window.event(30), begins);
    assert_eq!(window.event(22), grows, "from 22 to 40");
    assert_eq!(
        window.event(15),
        "1 list.get, 1 list.update, 1 reducing.add, 1 reducing.merge-namespaces, 3 timer.register, 4 timer.delete",
        "where one session ends and before the other begins"
    );
    assert_eq!(window.watermark(38), ("1 timer.take".to_owned(), 0));
    assert_eq!(window.watermark(39), (format!("1 list.get, 2 list.update, {CLOSES_ONE}"), 1));
    assert_eq!(window.event(29), "1 list.get", "it is late");
    assert_eq!(window.out.late_events(), 1);
    assert_eq!(window.backend.state_digest().unwrap().count, 0);
}

#[test]
fn a_late_event_may_belong_to_a_session_that_is_open() {
    let spec = SessionWindows { gap_ms: 10, allowed_lateness_ms: 0 };
    let mut window = Counted::<SessionWindowOperator<Reduced<Sum>>>::open(&spec);
    window.event(20);
    assert_eq!(window.watermark(25), ("1 timer.take".to_owned(), 0));
    window.event(12);
    assert_eq!(window.out.late_events(), 0);
    window.event(1);
    assert_eq!(window.out.late_events(), 1);
    assert_eq!(window.watermark(29).1, 1);
}
