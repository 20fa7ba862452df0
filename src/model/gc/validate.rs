//! The model against measured runs.

use serde::Serialize;

use super::measured::{MeasuredOutcome, MeasuredRun, Observed};
use super::{Collector, Constants, Job, Jvm, Outcome, Prediction, Range, Rate, simulate};

/// Seconds that the measured runs ran before their window.
const WARM_UP_S: f64 = 2.0;
/// The window of a run that failed before it had one, s.
const WINDOW_S: f64 = 10.0;

/// The model's predictions for measured runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// One for each run that says something.
    pub points: Vec<Point>,
}

/// A run and what the model says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The run.
    pub run: MeasuredRun,
    /// What its state weighs and allocates (modelled).
    pub job: Job,
    /// What happens to it (modelled); none where no run of its workload tells how fast a JVM does it.
    pub outcome: Option<Outcome>,
}

/// The relative errors of one quantity over runs, each |modelled − measured| / measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// Runs that have it.
    pub runs: usize,
    /// The median, as a share.
    pub median: f64,
    /// Nine of ten are not above, as a share.
    pub p90: f64,
    /// The largest, as a share.
    pub worst: f64,
}

/// In how many runs the model was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Runs in which it was right.
    pub right: usize,
    /// Runs that can tell.
    pub runs: usize,
}

/// A quantity of which there is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Live bytes behind the load.
    LiveBytes,
    /// Bytes that an operation allocates.
    AllocatedBytes,
    /// Young collections of an operation.
    Young,
    /// Full collections of an operation, of runs with two or more.
    Full,
    /// The share of time in pauses.
    PauseShare,
}

/// A question of which the model is right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it runs out of memory.
    OutOfMemory,
    /// Whether there is a full collection in the window.
    AnyFull,
    /// Whether the p99 pause lies in the range.
    P99InRange,
    /// Whether the longest pause lies in the range.
    LongestInRange,
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LiveBytes => "live bytes",
            Self::AllocatedBytes => "allocation per operation",
            Self::Young => "young collections per operation",
            Self::Full => "full collections per operation",
            Self::PauseShare => "share of time in pauses",
        })
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "out of memory or not",
            Self::AnyFull => "any full collection or none",
            Self::P99InRange => "p99 pause within its range",
            Self::LongestInRange => "longest pause within its range",
        })
    }
}

impl Validation {
    /// Runs the model on measured runs. A run is given the rate outside pauses that was observed; one that ran out of
    /// memory that of the run of its workload with the largest heap.
    pub fn of(runs: &[MeasuredRun], constants: &Constants) -> Self {
        let has_verdict = |run: &&MeasuredRun| run.outcome != MeasuredOutcome::Stopped;
        let points = runs.iter().filter(has_verdict).map(|run| {
            let job = run.workload.job(run.heap, run.collector);
            let jvm = Jvm { collector: run.collector, heap: run.heap, cores: run.cores, constants };
            let window_s = run.observed().map_or(WINDOW_S, |observed| observed.window_s);
            let rate = rate_of(run, runs).map(Rate::BetweenPauses);
            let outcome = rate.map(|rate| simulate(&job, jvm, rate, WARM_UP_S, window_s));
            Point { run: run.clone(), job, outcome }
        });
        Self { points: points.collect() }
    }

    /// The errors of a quantity, of all runs or those of one collector; none where no run has it.
    pub fn errors(&self, quantity: Quantity, collector: Option<Collector>) -> Option<Errors> {
        let errors = self.points_of(collector).filter_map(|point| point.error(quantity));
        Errors::of(errors.collect())
    }

    /// How often the model answers a question right; no runs where none can tell.
    pub fn hits(&self, question: Question, collector: Option<Collector>) -> Hits {
        let answers: Vec<_> = self.points_of(collector).filter_map(|point| point.is_right(question)).collect();
        Hits { right: answers.iter().filter(|right| **right).count(), runs: answers.len() }
    }

    fn points_of(&self, collector: Option<Collector>) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| collector.is_none_or(|collector| point.run.collector == collector))
    }
}

/// Operations in a second outside pauses: of the run, or of the one of its workload with the largest heap.
fn rate_of(run: &MeasuredRun, runs: &[MeasuredRun]) -> Option<f64> {
    let like = |other: &&MeasuredRun| other.workload == run.workload && other.observed().is_some();
    let nearest = |a: &&MeasuredRun, b: &&MeasuredRun| {
        let of = |one: &MeasuredRun| (one.collector == run.collector, one.heap.bytes);
        of(a).cmp(&of(b))
    };
    let observed = run.observed().or_else(|| runs.iter().filter(like).max_by(nearest)?.observed());
    observed.map(|observed| observed.between_pauses_per_s)
}

impl MeasuredRun {
    /// What was measured, of a run that ran to its end.
    pub fn observed(&self) -> Option<&Observed> {
        match &self.outcome {
            MeasuredOutcome::Finished(observed) => Some(observed),
            _ => None,
        }
    }
}

impl Point {
    /// What the model predicts, where it says that the run runs.
    pub fn prediction(&self) -> Option<&Prediction> {
        match &self.outcome {
            Some(Outcome::Runs(prediction)) => Some(prediction),
            _ => None,
        }
    }

    fn error(&self, quantity: Quantity) -> Option<f64> {
        let (modelled, measured) = match quantity {
            Quantity::LiveBytes => (self.job.live_bytes, self.run.live_bytes?),
            Quantity::AllocatedBytes => (self.job.allocated_bytes, self.run.observed()?.allocated_bytes),
            _ => {
                let (prediction, observed) = (self.prediction()?, self.run.observed()?);
                match quantity {
                    Quantity::Young => (prediction.young * observed.operations, observed.young),
                    Quantity::Full if observed.full < 2.0 => return None,
                    Quantity::Full => (prediction.full * observed.operations, observed.full),
                    _ => (prediction.pause_share, observed.pause_share),
                }
            }
        };
        (measured > 0.0).then(|| (modelled - measured).abs() / measured)
    }

    fn is_right(&self, question: Question) -> Option<bool> {
        let runs = matches!(self.outcome.as_ref()?, Outcome::Runs(_));
        if question == Question::OutOfMemory {
            return Some(runs != (self.run.outcome == MeasuredOutcome::OutOfMemory));
        }
        let (prediction, observed) = (self.prediction()?, self.run.observed()?);
        let within = |range: Range, ms: fn((f64, f64)) -> f64| observed.pauses_ms.map(|pauses| range.holds(ms(pauses)));
        match question {
            Question::AnyFull => Some((prediction.full > 0.0) == (observed.full > 0.0)),
            Question::P99InRange => within(prediction.p99, |(p99, _)| p99),
            _ => within(prediction.longest, |(_, longest)| longest),
        }
    }
}

impl Errors {
    fn of(mut errors: Vec<f64>) -> Option<Self> {
        errors.sort_by(f64::total_cmp);
        let rank = |share: f64| errors.get(((share * errors.len() as f64).ceil() as usize).saturating_sub(1)).copied();
        let middle = errors.len() / 2;
        let upper = *errors.get(middle)?;
        let median = if errors.len().is_multiple_of(2) { 0.5 * (errors.get(middle - 1)? + upper) } else { upper };
        Some(Self { runs: errors.len(), median, p90: rank(0.9)?, worst: *errors.last()? })
    }
}

impl Hits {
    /// The share of runs in which it was right, 0 to 1; 1 where there are none.
    pub fn share(self) -> f64 {
        if self.runs == 0 { 1.0 } else { self.right as f64 / self.runs as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::built_in_runs;
    use super::*;

    fn built_in() -> Validation {
        Validation::of(&built_in_runs().unwrap(), &Constants::default())
    }

    #[test]
    fn the_model_reaches_its_goals_on_the_measured_runs() {
        let validation = built_in();
        assert_eq!(validation.points.len(), 25);
        for (quantity, collector, most) in [
            (Quantity::LiveBytes, None, 0.01),
            (Quantity::AllocatedBytes, None, 0.01),
            (Quantity::Young, Some(Collector::G1), 0.20),
            (Quantity::Young, Some(Collector::Parallel), 0.20),
            (Quantity::PauseShare, Some(Collector::G1), 0.15),
            (Quantity::PauseShare, Some(Collector::Parallel), 0.20),
        ] {
            let errors = validation.errors(quantity, collector).unwrap();
            assert!(errors.median <= most, "{quantity} {collector:?}: {errors:?}");
        }
        for (question, least) in [
            (Question::OutOfMemory, 1.0),
            (Question::AnyFull, 0.85),
            (Question::P99InRange, 0.85),
            (Question::LongestInRange, 0.85),
        ] {
            let hits = validation.hits(question, None);
            assert!(hits.share() >= least, "{question}: {hits:?}");
        }
    }

    #[test]
    fn a_run_that_failed_is_given_the_rate_of_one_like_it() {
        let runs = built_in_runs().unwrap();
        let failed = runs.iter().find(|run| run.outcome == MeasuredOutcome::OutOfMemory).unwrap();
        let like = runs.iter().find(|run| run.id == "A-Parallel-2").unwrap();
        assert_eq!(rate_of(failed, &runs), like.observed().map(|observed| observed.between_pauses_per_s));
        // Alone it can only be weighed.
        let alone = Validation::of(std::slice::from_ref(failed), &Constants::default());
        assert_eq!(alone.points[0].outcome, None);
        assert_eq!(alone.hits(Question::OutOfMemory, None), Hits { right: 0, runs: 0 });
        assert!(alone.errors(Quantity::LiveBytes, None).unwrap().worst < 0.02);
        assert_eq!(alone.errors(Quantity::Young, None), None);
    }

    #[test]
    fn errors_are_of_the_middle_and_the_end() {
        let errors = Errors::of(vec![0.4, 0.1, 0.2, 0.3]).unwrap();
        assert!((errors.median - 0.25).abs() < 1e-12);
        assert_eq!((errors.runs, errors.p90, errors.worst), (4, 0.4, 0.4));
        assert!((Errors::of(vec![0.5, 0.1, 0.2]).unwrap().median - 0.2).abs() < 1e-12);
        assert_eq!(Errors::of(Vec::new()), None);
    }
}
