//! The highest rate of events at which a latency is kept: a search over open loops.

use std::time::Duration;

use super::base::Base;
use super::{RunError, RunOptions, RunWith, Runner};
use crate::result::{CONFIRMATIONS, MaxRate, Outcome, RateTrial, RunResult, VariantInfo};
use crate::workload::{LoadWire, Plan, PlannedTrial, Workload};

/// What a search looks for.
#[derive(Debug, Clone, Copy)]
pub struct RateTarget {
    /// The 99th percentile of the response time that has to be kept.
    pub p99: Duration,
}

/// The rate is found when it and one that is too high are nearer to each other than this.
const NEAR: f64 = 1.05;
/// The first rate, as a share of what a closed loop does.
const FIRST_SHARE: f64 = 0.8;
/// Trials that a search may take.
const MOST_TRIALS: usize = 24;
/// Rates below this share of a closed loop's are not tried: no rate keeps the latency then.
const LEAST_SHARE: f64 = 1e-3;

/// A search by bisection: rates that keep the latency below rates that do not.
struct RateSearch {
    closed: f64,
    trials: Vec<RateTrial>,
    /// The highest rate that is known to keep it, with the trials that say so.
    passed: Option<(f64, u32)>,
    /// The lowest rate that is known not to.
    failed: Option<f64>,
}

impl RateSearch {
    fn new(closed_events_per_s: f64) -> Self {
        Self { closed: closed_events_per_s, trials: Vec::new(), passed: None, failed: None }
    }

    /// The rate to try next; none when the search is over.
    fn next(&self) -> Option<f64> {
        if self.trials.len() >= MOST_TRIALS {
            return None;
        }
        let rate = match (self.passed, self.failed) {
            (None, None) => FIRST_SHARE * self.closed,
            (Some((passed, _)), None) => 1.25 * passed,
            (None, Some(failed)) => failed / 2.0,
            (Some((passed, times)), Some(failed)) if failed / passed <= NEAR => {
                return (times < CONFIRMATIONS).then_some(passed);
            }
            (Some((passed, _)), Some(failed)) => (passed * failed).sqrt(),
        };
        let rate = three_digits(rate);
        (rate >= (LEAST_SHARE * self.closed).max(1.0)).then_some(rate)
    }

    /// Notes what a trial at a rate came to.
    fn note(&mut self, trial: RateTrial) {
        let RateTrial { events_per_s: rate, kept, .. } = trial;
        self.trials.push(trial);
        if !kept {
            // What was lower and kept the latency stands, unless this says that it was luck.
            self.failed = Some(self.failed.map_or(rate, |failed| failed.min(rate)));
        }
        let failed = self.failed.unwrap_or(f64::INFINITY);
        let standing = || {
            let kept = self.trials.iter().filter(|trial| trial.kept && trial.events_per_s < failed);
            kept.map(|trial| trial.events_per_s)
        };
        let best = standing().fold(0.0, f64::max);
        let times = standing().filter(|rate| *rate >= best).count() as u32;
        self.passed = (best > 0.0).then_some((best, times));
    }

    /// How often this rate was tried.
    fn tried(&self, rate: f64) -> u32 {
        self.trials.iter().filter(|trial| trial.events_per_s.total_cmp(&rate).is_eq()).count() as u32
    }
}

/// Rates with three digits, which are as good as any and easier to read.
fn three_digits(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 2.0);
    (rate / unit).round() * unit
}

/// Looks for the highest rate of each cell of a plan. The result holds every trial, as those of a matrix over the rate.
///
/// # Errors
/// As [`run_plan`](super::run_plan).
pub fn find_max_rates(plan: &Plan, options: &RunOptions, target: RateTarget) -> Result<RunResult, RunError> {
    let mut closed = plan.clone();
    closed.variants.iter_mut().for_each(|variant| {
        variant.wire.load = None;
        variant.workload.load = None;
    });
    let mut runner = Runner::new(&closed, options, closed.cells.len())?;
    let mut rates = Vec::new();
    for cell in 0..closed.cells.len() {
        let planned = PlannedTrial { cell, repeat: 0, companion: false };
        let variant = closed.cells[cell].variant;
        let trial = runner.run(&closed, &planned, &Base::None, variant)?;
        let Outcome::Finished(measured) = &trial.outcome else { continue };
        let mut search = RateSearch::new(measured.throughput_events_per_s);
        while let Some(rate) = search.next() {
            let repeat = search.tried(rate);
            let Some(trial) = try_rate(&mut runner, (&closed, plan), (cell, rate, repeat), target)? else { break };
            search.note(trial);
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        }
        let RateSearch { closed: closed_events_per_s, trials, passed, failed } = search;
        let configuration = closed.cells[cell].configuration.name.clone();
        runner.result.max_rates.push(MaxRate {
            variant,
            configuration,
            p99_target_ns: target.p99.as_nanos() as u64,
            closed_events_per_s,
            events_per_s: passed.map(|(rate, _)| rate),
            confirmed_by: passed.map_or(0, |(_, times)| times),
            too_high_events_per_s: failed,
            trials,
        });
        if runner.result.interrupted {
            break;
        }
    }
    rates.sort_unstable_by(f64::total_cmp);
    runner.result.workload.matrix.insert("load.rate".to_owned(), rates.into_iter().map(Into::into).collect());
    runner.finish()
}

/// Runs an open loop at a rate; what it came to, unless it was cut short or failed.
fn try_rate(
    runner: &mut Runner<'_>,
    (closed, plan): (&Plan, &Plan),
    (cell, rate, repeat): (usize, f64, u32),
    target: RateTarget,
) -> Result<Option<RateTrial>, RunError> {
    let mut open = closed.clone();
    let place = closed.cells[cell].variant;
    let variant = &mut open.variants[place];
    let arrivals = plan.variants[place].wire.load.as_ref().map(|load| load.arrivals.clone()).unwrap_or_default();
    variant.wire.load = Some(LoadWire { rate, arrivals });
    let Ok(workload) = Workload::new(&variant.wire, &plan.folder) else { return Ok(None) };
    variant.workload = workload;
    variant.knobs.insert("load.rate".to_owned(), rate.to_string());
    let label = format!("{} load.rate={rate}", variant.label);
    label.trim_start().clone_into(&mut variant.label);
    let info = VariantInfo { label: variant.label.clone(), workload: variant.wire.clone() };
    let number = runner.variant(info);
    let planned = PlannedTrial { cell, repeat, companion: false };
    let trial = runner.run_as(&open, &planned, &Base::None, (place, number), &RunWith::default())?;
    let Outcome::Finished(measured) = &trial.outcome else { return Ok(None) };
    let Some(open_loop) = &measured.open_loop else { return Ok(None) };
    let p99_ns = open_loop.response.summary.p99_ns;
    let kept = !open_loop.saturated && p99_ns.is_some_and(|ns| u128::from(ns) <= target.p99.as_nanos());
    Ok(Some(RateTrial { events_per_s: rate, repeat, saturated: open_loop.saturated, p99_ns, kept }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches where a rate keeps the latency as `keeps` says of it and of how often it was tried.
    fn search(closed: f64, keeps: impl Fn(f64, u32) -> bool) -> RateSearch {
        let mut search = RateSearch::new(closed);
        while let Some(rate) = search.next() {
            let repeat = search.tried(rate);
            let kept = keeps(rate, repeat);
            search.note(RateTrial { events_per_s: rate, repeat, saturated: !kept, p99_ns: None, kept });
        }
        search
    }

    #[test]
    fn the_highest_rate_is_bracketed_and_confirmed() {
        for highest in [1_234.0, 70_000.0, 100_000.0, 180_000.0] {
            let found = search(100_000.0, |rate, _| rate <= highest);
            let (rate, times) = found.passed.unwrap();
            assert!(rate <= highest && highest < found.failed.unwrap(), "{rate} {highest}");
            assert!(found.failed.unwrap() / rate <= NEAR, "{rate}");
            assert!(times >= CONFIRMATIONS && found.trials.len() <= MOST_TRIALS);
        }
    }

    #[test]
    fn luck_does_not_pass_for_a_rate() {
        // From 79,000 to 90,000 only the first trial of a rate keeps the latency.
        let is_lucky = |rate, repeat| (79_000.0..90_000.0).contains(&rate) && repeat == 0;
        let found = search(100_000.0, |rate, repeat| rate < 60_000.0 || is_lucky(rate, repeat));
        let (rate, times) = found.passed.unwrap();
        assert!(rate < 62_000.0 && times >= CONFIRMATIONS, "{rate} {times}");
    }

    #[test]
    fn a_latency_that_no_rate_keeps_ends_the_search() {
        let found = search(100_000.0, |_, _| false);
        assert!(found.passed.is_none() && found.trials.len() <= 12, "{}", found.trials.len());
    }
}
