//! The `[time]` section: the virtual clock that the event stream drives.
//!
//! Processing time, event time and watermarks are functions of an event's position in the stream (or of a trace's time
//! column), never of the machine's clock: the same seed gives the same times at any speed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, Rng, Time, check_range};

/// The `[time]` section as the file spells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TimeWire {
    /// Generated events that arrive in a second of the virtual clock, before `scale`; of Nexmark all records, those
    /// included that are no events.
    pub rate: f64,
    /// How much faster the virtual clock runs: 60 makes a minute of every second of the stream, so that a TTL of days
    /// passes in a short run.
    pub scale: f64,
    /// Time between two watermarks, on the virtual clock: Flink's `pipeline.auto-watermark-interval`.
    pub watermark_interval: Time,
    /// How far watermarks stay behind the latest event: Flink's `forBoundedOutOfOrderness`. Of a trace it is the
    /// trace's `disorder`.
    pub out_of_orderness: Time,
    /// Share of generated events that arrive later than they happened.
    pub delayed: f64,
    /// Most that a delayed event is behind; how much is uniform up to this. Beyond `out-of-orderness` it may be late.
    pub delay: Time,
}

impl Default for TimeWire {
    fn default() -> Self {
        let ms = |ms| Time(std::time::Duration::from_millis(ms));
        Self {
            rate: 1000.0,
            scale: 1.0,
            watermark_interval: ms(200),
            out_of_orderness: ms(0),
            delayed: 0.0,
            delay: ms(0),
        }
    }
}

impl TimeWire {
    /// Refuses what only generated events have.
    fn check_beside_trace(&self) -> Result<(), Invalid> {
        let defaults = Self::default();
        let own = "nothing: a trace brings its own times";
        let disorder = "nothing: of a trace it is `source.trace.disorder`";
        for (path, alone, found, allowed) in [
            ("rate", Self { rate: self.rate, ..defaults.clone() }, self.rate.to_string(), own),
            ("delayed", Self { delayed: self.delayed, ..defaults.clone() }, self.delayed.to_string(), own),
            ("delay", Self { delay: self.delay, ..defaults.clone() }, self.delay.to_string(), own),
            (
                "out-of-orderness",
                Self { out_of_orderness: self.out_of_orderness, ..defaults.clone() },
                self.out_of_orderness.to_string(),
                disorder,
            ),
        ] {
            if alone != defaults {
                return Err(Invalid::new(path, found, allowed));
            }
        }
        Ok(())
    }
}

/// The virtual clock, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualClock {
    /// Generated events in a second, before `scale`.
    rate: f64,
    scale: f64,
    watermark_interval_ms: i64,
    out_of_orderness_ms: i64,
    delayed: f64,
    delay_ms: i64,
}

/// What a subtask knows of time, ms on the virtual clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Processing time.
    pub processing_ms: i64,
    /// Event time: no event at or before it is to be expected.
    pub watermark_ms: i64,
}

impl Now {
    /// Before the first event.
    pub const START: Self = Self { processing_ms: i64::MIN, watermark_ms: i64::MIN };

    /// Whether the watermark has risen until then.
    #[inline]
    pub fn is_before(self, later: Self) -> bool {
        self.watermark_ms < later.watermark_ms
    }
}

/// Longest span of a setting on the virtual clock: a hundred years keep every sum of times far from the ends of 64 bits.
pub(super) const MOST_MS: i64 = 100 * 366 * 24 * 3_600_000;

impl VirtualClock {
    /// Checks the wire form; paths of errors are relative to `time`. A trace brings its own times.
    ///
    /// # Errors
    /// A number out of range, or a setting of generated events beside a trace.
    pub fn new(wire: &TimeWire, trace_disorder_ms: Option<i64>) -> Result<Self, Invalid> {
        if trace_disorder_ms.is_some() {
            wire.check_beside_trace()?;
        }
        let rate = check_range("rate", wire.rate, 1e-6..=1e9)?;
        let scale = check_range("scale", wire.scale, 1e-6..=1e9)?;
        let delay_ms = Self::span_ms("delay", wire.delay, 0)?;
        let delayed = check_range("delayed", wire.delayed, 0.0..=1.0)?;
        if delayed > 0.0 && delay_ms == 0 {
            return Err(Invalid::new("delay", wire.delay, "1 ms or more, where a share of the events is `delayed`"));
        }
        if delayed == 0.0 && delay_ms > 0 {
            return Err(Invalid::new("delayed", wire.delayed, "a share above 0 beside `delay`"));
        }
        Ok(Self {
            rate,
            scale,
            watermark_interval_ms: Self::span_ms("watermark-interval", wire.watermark_interval, 1)?,
            out_of_orderness_ms: match trace_disorder_ms {
                Some(disorder_ms) => disorder_ms,
                None => Self::span_ms("out-of-orderness", wire.out_of_orderness, 0)?,
            },
            delayed,
            delay_ms,
        })
    }

    /// Checks a span of the virtual clock, ms.
    ///
    /// # Errors
    /// It is shorter than `least` milliseconds, or longer than a hundred years.
    pub fn span_ms(path: &str, time: Time, least: i64) -> Result<i64, Invalid> {
        let ms = check_range(path, time.as_millis(), least..=MOST_MS);
        ms.map_err(|_| Invalid::new(path, time, format!("{least} ms to 36600 d")))
    }

    /// Generated events that arrive in a second, before the scale.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Time between two generated events that come at a rate before the scale, ms.
    pub fn ms_per_event(&self, rate: f64) -> f64 {
        1000.0 * self.scale / rate
    }

    /// How far behind its arrival an event happened.
    #[inline]
    pub fn delay_ms(&self, rng: &mut Rng) -> i64 {
        if self.delayed > 0.0 && rng.unit() < self.delayed { 1 + rng.below(self.delay_ms as u64) as i64 } else { 0 }
    }

    /// Whether events of a generated source can be delayed.
    pub fn delays(&self) -> bool {
        self.delayed > 0.0
    }

    /// What is known of time when a generated event arrives.
    #[inline]
    pub fn at(&self, processing_ms: i64) -> Now {
        Now { processing_ms, watermark_ms: self.watermark_at(processing_ms) }
    }

    /// The watermark of a generated source at a time: it follows the source's clock, which is the latest event unless
    /// that one was delayed, and rises at every whole interval.
    #[inline]
    pub fn watermark_at(&self, processing_ms: i64) -> i64 {
        let interval = self.watermark_interval_ms;
        if processing_ms < interval {
            return i64::MIN;
        }
        processing_ms - processing_ms % interval - self.out_of_orderness_ms - 1
    }

    /// The watermark of a trace once the latest event before this one is of `latest_ms`, where that lies in another
    /// interval than the one at which the watermark last rose.
    pub fn next_watermark(&self, now: Now, latest_ms: i64) -> i64 {
        let interval = |ms: i64| ms.div_euclid(self.watermark_interval_ms);
        if latest_ms == i64::MIN || (now.processing_ms > i64::MIN && interval(latest_ms) == interval(now.processing_ms))
        {
            return now.watermark_ms;
        }
        latest_ms.saturating_sub(self.out_of_orderness_ms).saturating_sub(1).max(now.watermark_ms)
    }

    /// A time of a trace on the virtual clock, which begins at the first event's time.
    #[inline]
    pub fn scaled(&self, time_ms: i64, first_ms: i64) -> i64 {
        first_ms.saturating_add((time_ms.saturating_sub(first_ms) as f64 * self.scale).floor() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Stream;

    fn clock(text: &str) -> Result<VirtualClock, Invalid> {
        VirtualClock::new(&toml::from_str(text).unwrap(), None)
    }

    #[test]
    fn the_stream_drives_the_clock() {
        let clock = clock("rate = 100\nscale = 60\nwatermark-interval = '1 s'\nout-of-orderness = '5 s'").unwrap();
        assert_eq!([clock.rate(), 10.0].map(|rate| clock.ms_per_event(rate) as i64), [600, 6_000]);
        let seen = [0, 999, 1_000, 1_999, 61_000].map(|ms| clock.watermark_at(ms));
        assert_eq!(seen, [i64::MIN, i64::MIN, -4_001, -4_001, 55_999]);
    }

    #[test]
    fn delays_have_their_share_and_their_bound() {
        let clock = clock("delayed = 0.1\ndelay = '3 s'").unwrap();
        let mut rng = Rng::for_block(1, Stream::Times, 0);
        let delays: Vec<_> = (0..100_000).map(|_| clock.delay_ms(&mut rng)).collect();
        let delayed: Vec<_> = delays.iter().copied().filter(|&delay| delay > 0).collect();
        assert!((9_500..10_500).contains(&delayed.len()), "{}", delayed.len());
        assert!(delayed.iter().all(|&delay| delay <= 3_000));
        let mean = delayed.iter().sum::<i64>() as f64 / delayed.len() as f64;
        assert!((1_450.0..1_550.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_trace_raises_its_watermark_once_an_interval() {
        let wire = toml::from_str("watermark-interval = '1 s'\nscale = 2").unwrap();
        let clock = VirtualClock::new(&wire, Some(100)).unwrap();
        assert_eq!(clock.next_watermark(Now::START, i64::MIN), i64::MIN);
        assert_eq!(clock.next_watermark(Now::START, 1_500), 1_399);
        let now = Now { processing_ms: 1_500, watermark_ms: 1_399 };
        assert_eq!([1_500, 1_999, 2_000].map(|latest| clock.next_watermark(now, latest)), [1_399, 1_399, 1_899]);
        assert_eq!([10, 15, 9].map(|ms| clock.scaled(ms, 10)), [10, 20, 8]);
    }

    #[test]
    fn impossible_clocks_are_refused() {
        for (text, path) in [
            ("scale = 0", "scale"),
            ("rate = 0", "rate"),
            ("watermark-interval = 0", "watermark-interval"),
            ("delayed = 0.1", "delay"),
            ("delay = '1 s'", "delayed"),
            ("delayed = 1.5\ndelay = 5", "delayed"),
            ("out-of-orderness = '99999 d'", "out-of-orderness"),
        ] {
            assert_eq!(clock(text).unwrap_err().path, path, "{text}");
        }
        let of_trace = |text: &str| VirtualClock::new(&toml::from_str(text).unwrap(), Some(0));
        assert_eq!(of_trace("rate = 5").unwrap_err().path, "rate");
        assert_eq!(of_trace("out-of-orderness = 5").unwrap_err().path, "out-of-orderness");
        assert!(of_trace("scale = 3\nwatermark-interval = '1 s'").is_ok());
    }
}
