//! The `[load]` section: an open loop, in which events arrive at a rate of their own, whatever the operator does.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, Rng, Shorthand, Stream, Time, check_range};

/// The `[load]` section as the file spells it. Without it the loop is closed: an event comes when the last is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadWire {
    /// Events that arrive in a second of the machine's clock, at all subtasks together, on average. (`time.rate` is that of
    /// the virtual clock.)
    pub rate: f64,
    /// When they do.
    #[serde(default)]
    pub arrivals: Shorthand<ArrivalsWire>,
}

/// When events arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ArrivalsWire {
    /// One after another at equal distances.
    Constant {},
    /// Independent of each other, as from many users (a Poisson process).
    Poisson {},
    /// Independent of each other, at a higher rate now and then: on average the rate is kept.
    Bursty {
        /// How many times higher the rate is in a burst.
        #[serde(default = "default_factor")]
        factor: f64,
        /// How long a burst lasts.
        #[serde(default = "default_burst")]
        burst: Time,
        /// Time from the begin of one burst to that of the next.
        #[serde(default = "default_every")]
        every: Time,
    },
    /// Independent of each other, at a rate that rises and falls as over a day (a sine).
    Diurnal {
        /// How far the rate goes up and down, as a share of it, 0 to 1.
        #[serde(default = "default_amplitude")]
        amplitude: f64,
        /// How long a day lasts.
        #[serde(default = "default_period")]
        period: Time,
    },
}

impl Default for ArrivalsWire {
    fn default() -> Self {
        Self::Poisson {}
    }
}

const fn time(ms: u64) -> Time {
    Time(std::time::Duration::from_millis(ms))
}
fn default_factor() -> f64 {
    5.0
}
fn default_burst() -> Time {
    time(100)
}
fn default_every() -> Time {
    time(1_000)
}
fn default_amplitude() -> f64 {
    0.8
}
fn default_period() -> Time {
    time(10_000)
}

/// An open loop, valid by construction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Events a second.
    pub rate: f64,
    arrivals: Arrivals,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Arrivals {
    Constant,
    Poisson,
    /// Times in seconds, and the rate between bursts.
    Bursty {
        factor: f64,
        burst_s: f64,
        every_s: f64,
        calm: f64,
    },
    Diurnal {
        amplitude: f64,
        period_s: f64,
    },
}

impl Load {
    /// Checks the wire form; paths of errors are relative to `load`.
    ///
    /// # Errors
    /// A rate or time out of range, or a burst that holds more events than there are.
    pub fn new(wire: &LoadWire) -> Result<Self, Invalid> {
        let rate = check_range("rate", wire.rate, 1.0..=1e9)?;
        let arrivals = Arrivals::new(rate, &wire.arrivals.0);
        let path = format!("arrivals.{}", wire.arrivals.0.name());
        Ok(Self { rate, arrivals: arrivals.map_err(|invalid| invalid.within(&path))? })
    }
}

impl Arrivals {
    fn new(rate: f64, wire: &ArrivalsWire) -> Result<Self, Invalid> {
        let seconds = |path: &str, time: Time| {
            let seconds = check_range(path, time.0.as_secs_f64(), 0.001..=86_400.0);
            seconds.map_err(|_| Invalid::new(path, time, "1 ms to 1 d"))
        };
        match *wire {
            ArrivalsWire::Constant {} => Ok(Self::Constant),
            ArrivalsWire::Poisson {} => Ok(Self::Poisson),
            ArrivalsWire::Bursty { factor, burst, every } => {
                bursty(rate, factor, (seconds("burst", burst)?, seconds("every", every)?))
            }
            ArrivalsWire::Diurnal { amplitude, period } => {
                let amplitude = check_range("amplitude", amplitude, 0.0..=1.0)?;
                Ok(Self::Diurnal { amplitude, period_s: seconds("period", period)? })
            }
        }
    }
}

fn bursty(rate: f64, factor: f64, (burst_s, every_s): (f64, f64)) -> Result<Arrivals, Invalid> {
    let factor = check_range("factor", factor, 1.0..=1_000.0)?;
    let share = burst_s / every_s;
    if share >= 1.0 || share * factor > 1.0 {
        let found = format!("bursts of {factor} times the rate in {:.0} % of the time", 100.0 * share);
        return Err(Invalid::new("factor", found, "bursts that hold no more events than there are"));
    }
    let calm = rate * (1.0 - share * factor) / (1.0 - share);
    Ok(Arrivals::Bursty { factor, burst_s, every_s, calm })
}

impl ArrivalsWire {
    const fn name(&self) -> &'static str {
        match self {
            Self::Constant {} => "constant",
            Self::Poisson {} => "poisson",
            Self::Bursty { .. } => "bursty",
            Self::Diurnal { .. } => "diurnal",
        }
    }
}

/// When each event of a stream arrives: the same for one seed on every machine and at any parallelism.
///
/// A process of a rate λ(t) is one of rate 1 on a clock that shows the integral of λ: the gaps are drawn there, and each
/// arrival is where the integral reaches their sum.
#[derive(Debug, Clone)]
pub struct ArrivalTimes {
    load: Load,
    rng: Rng,
    /// Arrivals so far, the integral of the rate at the last one, and its time, s.
    count: u64,
    integral: f64,
    at_s: f64,
}

impl ArrivalTimes {
    /// The schedule of a load.
    pub fn new(load: Load, seed: u64) -> Self {
        Self { load, rng: Rng::for_block(seed, Stream::Arrivals, 0), count: 0, integral: 0.0, at_s: 0.0 }
    }

    /// When the event of this number arrives, from 0, ns from the begin. Numbers never go back.
    pub fn arrival_ns(&mut self, number: u64) -> u64 {
        while self.count <= number {
            self.step();
        }
        self.at_ns()
    }

    fn at_ns(&self) -> u64 {
        (self.at_s * 1e9) as u64
    }

    /// How many have arrived until then. Times never go back.
    pub fn arrived_by(&mut self, now_ns: u64) -> u64 {
        while self.at_ns() <= now_ns {
            self.step();
        }
        self.count.saturating_sub(1)
    }

    fn step(&mut self) {
        self.integral += match self.load.arrivals {
            Arrivals::Constant => 1.0,
            _ => -libm::log(1.0 - self.rng.unit()),
        };
        self.count += 1;
        self.at_s = self.time_of(self.integral);
    }

    /// When the integral of the rate reaches a value, s.
    fn time_of(&self, integral: f64) -> f64 {
        let rate = self.load.rate;
        match self.load.arrivals {
            Arrivals::Constant | Arrivals::Poisson => integral / rate,
            Arrivals::Bursty { factor, burst_s, every_s, calm } => {
                let periods = (integral / (rate * every_s)).floor();
                let left = integral - periods * rate * every_s;
                let in_burst = rate * factor * burst_s;
                let within = if left < in_burst { left / (rate * factor) } else { burst_s + (left - in_burst) / calm };
                periods * every_s + within.min(every_s)
            }
            Arrivals::Diurnal { amplitude, period_s } => {
                // The integral rises, so between two ends of a bracket there is one time; it is halved to 1 ns.
                let until = |time_s: f64| {
                    rate * (time_s + amplitude * period_s / TAU * (1.0 - libm::cos(TAU * time_s / period_s)))
                };
                let (mut low, mut high) = (self.at_s, self.at_s + period_s);
                while until(high) < integral {
                    high += period_s;
                }
                while high - low > 1e-9 {
                    let middle = f64::midpoint(low, high);
                    if until(middle) < integral { low = middle } else { high = middle }
                }
                high
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Load, Invalid> {
        Load::new(&toml::from_str::<LoadWire>(text).unwrap())
    }

    fn arrivals(text: &str, count: u64) -> Vec<u64> {
        let mut schedule = ArrivalTimes::new(load(text).unwrap(), 7);
        (0..count).map(|number| schedule.arrival_ns(number)).collect()
    }

    #[test]
    fn impossible_loads_are_refused() {
        for (text, path) in [
            ("rate = 0.0", "rate"),
            ("rate = inf", "rate"),
            ("rate = nan", "rate"),
            ("rate = 1e10", "rate"),
            ("rate = 10\narrivals.bursty.factor = 11.0", "arrivals.bursty.factor"),
            ("rate = 10\narrivals.bursty = { burst = '2 s' }", "arrivals.bursty.factor"),
            ("rate = 10\narrivals.bursty.every = '0 s'", "arrivals.bursty.every"),
            ("rate = 10\narrivals.diurnal.amplitude = 1.5", "arrivals.diurnal.amplitude"),
            ("rate = 10\narrivals.diurnal.period = '2 d'", "arrivals.diurnal.period"),
        ] {
            let found = load(text).map_err(|invalid| invalid.path);
            assert_eq!(found.unwrap_err(), path, "{text}");
        }
    }

    #[test]
    fn every_kind_keeps_its_rate_and_its_order() {
        for kind in ["constant", "poisson", "bursty", "diurnal"] {
            let times = arrivals(&format!("rate = 1000\narrivals = '{kind}'"), 100_000);
            assert!(times.is_sorted(), "{kind}");
            let rate = times.len() as f64 / (times[times.len() - 1] as f64 / 1e9);
            assert!((rate / 1000.0 - 1.0).abs() < 0.02, "{kind}: {rate}");
        }
    }

    #[test]
    fn gaps_are_those_of_their_process() {
        let gaps = |text: &str| -> Vec<f64> {
            arrivals(text, 50_000).windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect()
        };
        let constant = gaps("rate = 1000\narrivals = 'constant'");
        assert!(constant.iter().all(|gap| (gap - 1.0).abs() < 0.001));
        // Exponential: the deviation is the mean, and e^-2 of the gaps are longer than twice the mean.
        let poisson = gaps("rate = 1000");
        let mean = poisson.iter().sum::<f64>() / poisson.len() as f64;
        let deviation = (poisson.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / poisson.len() as f64).sqrt();
        let long = poisson.iter().filter(|gap| **gap > 2.0 * mean).count() as f64 / poisson.len() as f64;
        assert!((deviation / mean - 1.0).abs() < 0.03 && (long - 0.1353).abs() < 0.01, "{mean} {deviation} {long}");
    }

    /// Arrivals in a part of each period, as a share of all.
    fn share(times: &[u64], period_ns: u64, part: std::ops::Range<u64>) -> f64 {
        times.iter().filter(|time| part.contains(&(*time % period_ns))).count() as f64 / times.len() as f64
    }

    #[test]
    fn bursts_and_days_have_their_shape() {
        let bursty = arrivals("rate = 1000\narrivals = 'bursty'", 100_000);
        assert!((share(&bursty, 1_000_000_000, 0..100_000_000) - 0.5).abs() < 0.02);
        let diurnal = arrivals("rate = 1000\narrivals = 'diurnal'", 100_000);
        // The first half of a day holds 1/2 + a / π of it.
        let expected = 0.5 + 0.8 / std::f64::consts::PI;
        assert!((share(&diurnal, 10_000_000_000, 0..5_000_000_000) - expected).abs() < 0.02);
    }

    #[test]
    fn a_copy_counts_what_has_arrived() {
        let mut schedule = ArrivalTimes::new(load("rate = 1000").unwrap(), 7);
        let mut counter = schedule.clone();
        for number in 0..1_000 {
            let at = schedule.arrival_ns(number);
            assert_eq!(counter.arrived_by(at), number + 1);
        }
    }
}
