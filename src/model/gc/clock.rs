//! Time and pauses of a simulated run.

use super::Rate;

/// Why a run paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Young,
    Mixed,
    Full,
    /// Remark and clean-up of a concurrent mark.
    Mark,
}

/// A run that takes longer is ended: its rate is so low that nothing is left to learn.
const MOST_PAUSES: u32 = 20_000;

/// The clock of a run, which also keeps its pauses. Those of the warm-up do not count.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    rate: Rate,
    warm_up_s: f64,
    end_s: f64,
    wall_s: f64,
    /// Operations since the start.
    pub operations: f64,
    taken: u32,
    counts: bool,
    /// Pauses that an offered rate has not caught up with, s.
    unpaid_s: f64,
    window: Window,
}

/// What happened in the window behind the warm-up.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    pub operations: f64,
    pub between_s: f64,
    pub pauses: Vec<(Cause, f64)>,
}

impl Clock {
    pub fn new(rate: Rate, warm_up_s: f64, window_s: f64) -> Self {
        Self {
            rate,
            warm_up_s,
            end_s: warm_up_s + window_s,
            wall_s: 0.0,
            operations: 0.0,
            taken: 0,
            counts: false,
            unpaid_s: 0.0,
            window: Window::default(),
        }
    }

    /// Whether there is time for another collection; asked before each, which counts where it begins in the window.
    pub fn goes_on(&mut self) -> bool {
        self.counts = self.wall_s >= self.warm_up_s;
        self.wall_s < self.end_s && self.taken < MOST_PAUSES
    }

    /// Lets operations run; the time that they take outside pauses, s. At an offered rate the time of the pauses before
    /// is caught up with, as far as there is time to.
    pub fn run(&mut self, operations: f64) -> f64 {
        let between_s = match self.rate {
            Rate::BetweenPauses(per_s) => operations / per_s,
            Rate::Offered(per_s) => {
                let (due_s, unpaid_s) = (operations / per_s, self.unpaid_s);
                self.unpaid_s = (unpaid_s - due_s).max(0.0);
                (due_s - unpaid_s).max(0.0)
            }
        };
        if self.counts {
            self.window.operations += operations;
            self.window.between_s += between_s;
        }
        self.operations += operations;
        self.wall_s += between_s;
        between_s
    }

    pub fn pause(&mut self, cause: Cause, ms: f64) {
        if self.counts {
            self.window.pauses.push((cause, ms));
        }
        self.taken += 1;
        self.unpaid_s += ms / 1e3;
        self.wall_s += ms / 1e3;
    }

    pub fn into_window(self) -> Window {
        self.window
    }
}

impl Window {
    pub fn count(&self, causes: &[Cause]) -> usize {
        self.pauses.iter().filter(|(cause, _)| causes.contains(cause)).count()
    }

    /// The share of time in pauses, 0 to 1.
    pub fn pause_share(&self) -> f64 {
        let paused_s = self.pauses.iter().map(|(_, ms)| ms / 1e3).sum::<f64>();
        if paused_s > 0.0 { paused_s / (paused_s + self.between_s) } else { 0.0 }
    }

    /// Lengths of the pauses of some causes in ascending order, ms.
    pub fn sorted(&self, causes: &[Cause]) -> Vec<f64> {
        let of_causes = self.pauses.iter().filter(|(cause, _)| causes.contains(cause));
        let mut lengths: Vec<_> = of_causes.map(|(_, ms)| *ms).collect();
        lengths.sort_by(f64::total_cmp);
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let mut clock = Clock::new(Rate::BetweenPauses(100.0), 1.0, 2.0);
        let mut steps = 0;
        while clock.goes_on() {
            assert!(near(clock.run(60.0), 0.6));
            clock.pause(Cause::Young, 400.0);
            steps += 1;
        }
        let window = clock.into_window();
        assert_eq!((steps, window.count(&[Cause::Young]), window.count(&[Cause::Full])), (3, 2, 0));
        assert!(near(window.operations, 120.0) && near(window.pause_share(), 0.4));
    }

    #[test]
    fn an_offered_rate_catches_up_with_pauses() {
        let mut clock = Clock::new(Rate::Offered(100.0), 0.0, 10.0);
        assert!(clock.goes_on());
        assert!(near(clock.run(100.0), 1.0));
        clock.pause(Cause::Full, 1_500.0);
        assert!(near(clock.run(100.0), 0.0));
        assert!(near(clock.run(100.0), 0.5));
        assert!(near(clock.into_window().pause_share(), 0.5));
    }
}
