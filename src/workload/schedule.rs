//! What holds when: the rate of a generated stream, its mix and its hot keys, before the phases and in each of them.

use super::{Mix, Operator, Phase, Source, VirtualClock, Workload};

/// The conditions of a generated stream, by the sequence of its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// In order of their first event; the first ones hold from the start.
    all: Vec<Conditions>,
}

/// What holds for a part of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Sequence of the first event.
    first: u64,
    arrivals: Arrivals,
    /// Shares of the operator `mix`.
    pub mix: Option<Mix>,
    /// Positions in order of hotness by which keys are shifted.
    pub shift: u64,
}

/// When events arrive that come at a rate, or at one that changes evenly in time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Arrivals {
    /// Position of the first event on the clock, and when it arrives, ms.
    first: i64,
    start_ms: f64,
    /// Time between two events, ms.
    ms_per_event: f64,
    /// The same at the end of so many events, where the rate changes.
    ramp: Option<(f64, f64)>,
}

impl Arrivals {
    /// Time from the first event to that of a position, ms.
    #[inline]
    fn elapsed_ms(&self, events: f64) -> f64 {
        let Some((all, last_ms_per_event)) = self.ramp else { return events * self.ms_per_event };
        // With rates r and q at begin and end: q² - r² = 2 a n, and x events take 2 x / (r + √(r² + 2 a x)).
        let (first, last) = (1.0 / self.ms_per_event, 1.0 / last_ms_per_event);
        let square = first * first + (last * last - first * first) * events / all;
        2.0 * events / (first + square.max(0.0).sqrt())
    }

    #[inline]
    fn arrival_ms(&self, position: i64) -> i64 {
        (self.start_ms + self.elapsed_ms((position - self.first) as f64)).floor() as i64
    }
}

impl Conditions {
    /// When the event at this position of the clock arrives; those of a prefill have positions below 0.
    #[inline]
    pub fn arrival_ms(&self, position: i64) -> i64 {
        self.arrivals.arrival_ms(position)
    }
}

impl Schedule {
    /// The schedule of a workload's events.
    pub fn new(workload: &Workload) -> Self {
        let clock = &workload.clock;
        let mix = if let Operator::Mix(mix) = &workload.operator { Some(mix.clone()) } else { None };
        let arrivals = Arrivals { first: 0, start_ms: 0.0, ms_per_event: clock.ms_per_event(clock.rate()), ramp: None };
        let mut all = vec![Conditions { first: 0, arrivals, mix: mix.clone(), shift: 0 }];
        let position = |sequence: u64| match &workload.source {
            Source::Nexmark(nexmark) => nexmark.position(sequence) as i64,
            _ => sequence as i64,
        };
        let (mut first, mut before) = (workload.run.first_measured(), arrivals);
        for phase in &workload.phases {
            let events = (position(first + phase.events) - position(first)) as f64;
            let arrivals = next_arrivals(clock, phase, (position(first), events), &before);
            let shift = (phase.shift_keys * workload.keys.cardinality as f64).round() as u64;
            let mix = mix.as_ref().map(|mix| mix.with_shares(phase.shares));
            all.push(Conditions { first, arrivals, mix, shift: shift % workload.keys.cardinality });
            (first, before) = (first + phase.events, arrivals);
        }
        Self { all }
    }

    /// That of a prefill: what holds before the phases.
    pub fn of_prefill(workload: &Workload) -> Self {
        let mut schedule = Self::new(workload);
        schedule.all.truncate(1);
        schedule
    }

    /// What holds for the event of this sequence.
    #[inline]
    pub fn at(&self, sequence: u64) -> &Conditions {
        let after = self.all.partition_point(|conditions| conditions.first <= sequence);
        &self.all[after.saturating_sub(1)]
    }
}

/// The arrivals of a phase that begins at a position and has so many events of the clock, behind another.
fn next_arrivals(clock: &VirtualClock, phase: &Phase, (first, events): (i64, f64), before: &Arrivals) -> Arrivals {
    let start_ms = before.start_ms + before.elapsed_ms((first - before.first) as f64) + phase.pause_ms as f64;
    let (rate, last) = phase.rate.unwrap_or((clock.rate(), clock.rate()));
    let ramp = (rate.to_bits() != last.to_bits()).then(|| (events, clock.ms_per_event(last)));
    Arrivals { first, start_ms, ms_per_event: clock.ms_per_event(rate), ramp }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{MixOperation, ROUND_EVENTS};
    use std::path::Path;

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    /// When the event of a sequence arrives, ms.
    fn arrival(schedule: &Schedule, sequence: u64) -> i64 {
        schedule.at(sequence).arrival_ms(sequence as i64)
    }

    const R: u64 = ROUND_EVENTS;

    #[test]
    fn without_phases_events_come_evenly() {
        let schedule = Schedule::new(&workload("time = { rate = 100, scale = 60 }"));
        assert_eq!([0, 1, 5, 1_000_000].map(|at| arrival(&schedule, at)), [0, 600, 3_000, 600_000_000]);
        assert_eq!(schedule.at(0).arrival_ms(-1), -600, "of a prefill");
    }

    #[test]
    fn a_phase_begins_where_the_one_before_ends_and_after_its_pause() {
        let text = "time.rate = 1000\nrun.warm-up = 1\nphase = [{ name = 'a', events = 4096, rate = 2000 }, \
                    { name = 'b', events = 4096, pause = '10 s' }, { name = 'c', events = 1 }]";
        let schedule = Schedule::new(&workload(text));
        let seen = [R - 1, R, R + 2, 2 * R - 1, 2 * R, 2 * R + 5, 3 * R].map(|at| arrival(&schedule, at));
        let begin_of_b = 4_096 + 2_048 + 10_000;
        assert_eq!(seen, [4_095, 4_096, 4_097, 4_096 + 2_047, begin_of_b, begin_of_b + 5, begin_of_b + 4_096]);
        assert_eq!(arrival(&Schedule::of_prefill(&workload(text)), 3 * R), 3 * 4_096, "a prefill knows no phases");
    }

    #[test]
    fn a_ramp_changes_the_rate_evenly_in_time() {
        for (rate, last) in [(1_000.0, 3_000.0), (3_000.0, 1_000.0)] {
            let text = format!(
                "run.warm-up = 0\nphase = [{{ name = 'a', events = 40960, rate = {rate}, ramp-to = {last} }}, \
                 {{ name = 'b', events = 1 }}]"
            );
            let schedule = Schedule::new(&workload(&text));
            // 40,960 events at 2,000 a second on average.
            assert_eq!((arrival(&schedule, 0), arrival(&schedule, 10 * R)), (0, 20_480));
            // In the first half of the time a quarter of the change less, or more, than half of the events.
            let half = (10_240.0 * f64::midpoint(rate, f64::midpoint(rate, last)) / 1_000.0) as u64;
            assert!((arrival(&schedule, half) - 10_240).abs() <= 1, "{}", arrival(&schedule, half));
            let times: Vec<_> = (0..=10 * R).map(|at| arrival(&schedule, at)).collect();
            assert!(times.is_sorted());
            let begin = times.iter().filter(|&&ms| ms < 100).count() as f64;
            assert!((begin / (rate / 10.0) - 1.0).abs() < 0.02, "{begin} in the first 100 ms");
        }
    }

    #[test]
    fn a_phase_is_as_long_as_its_events_on_the_clock() {
        let text = "source.nexmark.person = {}\nrun.warm-up = 0\n\
                    phase = [{ name = 'a', events = 4096 }, { name = 'b', events = 1, pause = 7 }]";
        let schedule = Schedule::new(&workload(text));
        // One record in 50 is a person.
        assert_eq!(schedule.at(R).arrival_ms(50 * R as i64), 50 * 4_096 + 7);
    }

    #[test]
    fn what_a_phase_does_not_set_is_as_before_it() {
        let text = "keys = { cardinality = 1000, distribution = 'zipf' }\noperator.mix.preset = 'ycsb-a'\n\
                    run.warm-up = 0\nphase = [{ name = 'a', events = 4096, shift-keys = 0.25, mix = { append = 1.0 } }, \
                    { name = 'b', events = 1, rate = 5 }]";
        let workload = workload(text);
        let schedule = Schedule::new(&workload);
        let (a, b) = (schedule.at(R - 1), schedule.at(R));
        assert_eq!((a.shift, b.shift), (250, 0));
        let share = |conditions: &Conditions, operation| conditions.mix.as_ref().unwrap().share(operation);
        assert!(share(a, MixOperation::Append) > 0.99 && share(a, MixOperation::Read) < 0.01);
        assert!(share(b, MixOperation::Append) < 0.01 && share(b, MixOperation::Read) > 0.49);
        // A state that only a phase needs is there from the start.
        let Operator::Mix(mix) = &workload.operator else { panic!() };
        assert!(mix.has(MixOperation::Append) && mix.has(MixOperation::Read) && !mix.has(MixOperation::Scan));
    }
}
