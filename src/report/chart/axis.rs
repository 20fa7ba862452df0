//! Axes: from values to places, and to the ticks that people read.

use crate::report::table::with_unit;
use crate::result::Unit;

/// What an axis counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Quantity {
    /// A time, ns.
    Time,
    /// Bytes.
    Bytes,
    /// Events a second.
    Rate,
    /// A plain number, with the unit in the axis' label.
    Number,
    /// A share, 0 to 1.
    Share,
    /// How many times.
    Factor,
}

impl Quantity {
    /// The name by which the page's script knows how to write it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Bytes => "b",
            Self::Rate => "k",
            Self::Number => "n",
            Self::Share => "%",
            Self::Factor => "x",
        }
    }

    /// A value with its unit, in three digits.
    pub fn text(self, value: f64) -> String {
        if !value.is_finite() {
            return "-".to_owned();
        }
        match self {
            Self::Time => with_unit(value, Unit::Nanoseconds),
            Self::Bytes => with_unit(value, Unit::Bytes),
            Self::Rate => format!("{}/s", with_unit(value, Unit::EventsPerSecond)),
            Self::Number => plain(value),
            Self::Share => with_unit(value, Unit::Share),
            Self::Factor => with_unit(value, Unit::Factor),
        }
    }

    /// The same for a tick: without zeros behind the point.
    pub fn tick(self, value: f64) -> String {
        let text = self.text(value);
        let (number, unit) = text.split_at(text.find([' ', '×', '/']).unwrap_or(text.len()));
        let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        format!("{number}{unit}")
    }
}

/// A number in up to four digits.
fn plain(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100_000.0 {
        return with_unit(value, Unit::EventsPerSecond);
    }
    let digits = if magnitude >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    if digits > 0 { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How values become places.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) enum Scale {
    /// In proportion.
    Linear,
    /// Each decade as long as the next.
    Log,
    /// Percentiles: each further nine as long as the one before. Values are shares below 1.
    Tail,
    /// Names, at 0, 1, 2, ….
    Names(Vec<String>),
}

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// What it counts in.
    pub quantity: Quantity,
    /// How values become places.
    pub scale: Scale,
    /// Where it begins.
    pub from: f64,
    /// Where it ends, above the begin.
    pub to: f64,
}

/// Ticks on an axis, at most about.
const TICKS: f64 = 6.0;
/// No axis spans more decades than this: what is further below is drawn at its foot.
const MOST_DECADES: f64 = 15.0;

impl Axis {
    /// One that shows all of these values, from zero on.
    pub fn from_zero(label: &str, quantity: Quantity, values: impl IntoIterator<Item = f64>) -> Self {
        let most = finite(values).fold(0.0, f64::max);
        let to = if most > 0.0 { most * 1.05 } else { 1.0 };
        Self { label: label.to_owned(), quantity, scale: Scale::Linear, from: 0.0, to }
    }

    /// One between two values.
    pub fn between(label: &str, quantity: Quantity, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { label: label.to_owned(), quantity, scale: Scale::Linear, from, to }
    }

    /// A logarithmic one that shows all of these values that are above zero.
    pub fn log(label: &str, quantity: Quantity, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
        for value in finite(values).filter(|value| *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if least > most {
            (least, most) = (1.0, 10.0);
        }
        // A little room on both sides, and never less than a factor of four in all.
        let room = (4.0 / (most / least)).sqrt().max(1.15);
        let (from, to) = (least / room, most * room);
        let from = from.max(to / 10_f64.powf(MOST_DECADES));
        Self { label: label.to_owned(), quantity, scale: Scale::Log, from, to }
    }

    /// Percentiles up to a share of values that lie below.
    pub fn tail(label: &str, most: f64) -> Self {
        let most = if most.is_finite() { most } else { 0.0 };
        let to = most.clamp(0.9, 1.0 - 1e-9);
        Self { label: label.to_owned(), quantity: Quantity::Share, scale: Scale::Tail, from: 0.0, to }
    }

    /// Names beside each other.
    pub fn names(label: &str, names: Vec<String>) -> Self {
        let to = names.len().max(1) as f64 - 0.5;
        Self { label: label.to_owned(), quantity: Quantity::Number, scale: Scale::Names(names), from: -0.5, to }
    }

    /// The place of a value on a line from `place(from)` to `place(to)`; values beyond the ends are at the ends.
    pub fn place(&self, value: f64) -> f64 {
        let value = if value.is_finite() { value.clamp(self.from, self.to) } else { self.from };
        match self.scale {
            Scale::Linear | Scale::Names(_) => value,
            Scale::Log => value.log10(),
            Scale::Tail => -(1.0 - value).log10(),
        }
    }

    /// The values that have a tick, within the ends.
    pub fn ticks(&self) -> Vec<f64> {
        let ticks = match &self.scale {
            Scale::Linear => linear_ticks(self.from, self.to, self.quantity),
            Scale::Log => log_ticks(self.from, self.to, self.quantity),
            Scale::Tail => {
                std::iter::once(0.0).chain([0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999, 0.999_999_9]).collect()
            }
            Scale::Names(names) => (0..names.len()).map(|at| at as f64).collect(),
        };
        let slack = 1e-9 * (self.to - self.from);
        ticks.into_iter().filter(|tick| (self.from - slack..=self.to + slack).contains(tick)).collect()
    }

    /// The text of a tick.
    pub fn tick_text(&self, value: f64) -> String {
        match &self.scale {
            Scale::Names(names) => names.get(value.round().max(0.0) as usize).cloned().unwrap_or_default(),
            Scale::Tail => percentile_name(value),
            Scale::Linear | Scale::Log => self.quantity.tick(value),
        }
    }
}

/// A share as the percentile that people call it: p99.9.
pub(super) fn percentile_name(share: f64) -> String {
    if share <= 0.0 {
        return "least".to_owned();
    }
    // Ten nines and more are the same picture.
    let text = format!("{:.7}", 100.0 * share);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The values that can be drawn, none of them so large that arithmetic with it could overflow.
fn finite(values: impl IntoIterator<Item = f64>) -> impl Iterator<Item = f64> {
    const LARGEST: f64 = 1e200;
    values.into_iter().filter(|value| value.is_finite()).map(|value| value.clamp(-LARGEST, LARGEST))
}

/// Multiples of 1, 2 or 5 times a power of ten; of bytes, of a power of two.
fn linear_ticks(from: f64, to: f64, quantity: Quantity) -> Vec<f64> {
    let raw = (to - from) / TICKS;
    if raw <= 0.0 || !raw.is_finite() {
        return vec![from];
    }
    let step = if quantity == Quantity::Bytes {
        2_f64.powf(raw.log2().ceil())
    } else {
        let power = 10_f64.powf(raw.log10().floor());
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= raw).unwrap_or(raw)
    };
    let first = (from / step).ceil();
    (0..=2 * TICKS as u32).map(|at| (first + f64::from(at)) * step).take_while(|tick| *tick <= to * 1.000_001).collect()
}

/// Powers of ten, or of two for bytes; where they are few, with steps between.
fn log_ticks(from: f64, to: f64, quantity: Quantity) -> Vec<f64> {
    if to < 2.0 * from {
        return linear_ticks(from, to, quantity);
    }
    if quantity == Quantity::Bytes {
        let (low, high) = (from.log2().ceil() as i32, to.log2().floor() as i32);
        let step = [1, 2, 5, 10, 20].into_iter().find(|step| f64::from(high - low) / f64::from(*step) <= TICKS);
        let step = step.unwrap_or(30);
        let first = low.div_euclid(step) * step;
        return (first..=high).step_by(step.unsigned_abs() as usize).map(|power| 2_f64.powi(power)).collect();
    }
    let (low, high) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    let decades = to.log10() - from.log10();
    let steps: &[f64] = match decades {
        ..1.2 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        ..2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = (decades / (1.5 * TICKS)).ceil().max(1.0) as usize;
    let powers = (low..=high).step_by(every);
    powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn ticks(axis: &Axis) -> String {
        axis.ticks().into_iter().map(|tick| axis.tick_text(tick)).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn ticks_are_round_figures_with_their_unit() {
        assert_snapshot!(ticks(&Axis::from_zero("", Quantity::Rate, [1_234_567.0])), @"0/s | 500 k/s | 1 M/s");
        assert_snapshot!(ticks(&Axis::from_zero("", Quantity::Bytes, [300.0 * 1_048_576.0])), @"0 B | 64 MiB | 128 MiB | 192 MiB | 256 MiB");
        assert_snapshot!(ticks(&Axis::log("", Quantity::Time, [400.0, 5e6])), @"1 µs | 10 µs | 100 µs | 1 ms");
        assert_snapshot!(ticks(&Axis::log("", Quantity::Time, [100.0, 110.0])), @"70 ns | 100 ns | 150 ns | 200 ns");
        assert_snapshot!(ticks(&Axis::log("", Quantity::Bytes, [8.0 * 1_048_576.0, 512.0 * 1_048_576.0])), @"8 MiB | 16 MiB | 32 MiB | 64 MiB | 128 MiB | 256 MiB | 512 MiB");
        assert_snapshot!(ticks(&Axis::tail("", 0.9995)), @"least | p50 | p90 | p99 | p99.9");
    }

    #[test]
    fn no_value_makes_an_axis_that_cannot_be_drawn() {
        let values = [0.0, -5.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e-300, u64::MAX as f64];
        for a in values {
            for b in values {
                for axis in [
                    Axis::log("", Quantity::Time, [a, b]),
                    Axis::from_zero("", Quantity::Bytes, [a, b]),
                    Axis::tail("", a),
                ] {
                    let ends = axis.place(axis.from)..axis.place(axis.to);
                    assert!(ends.start.is_finite() && ends.end.is_finite() && ends.start < ends.end, "{axis:?}");
                    assert!(axis.ticks().len() < 40, "{axis:?}");
                    assert!(ends.start <= axis.place(b) && axis.place(b) <= ends.end, "{axis:?}");
                }
            }
        }
    }
}
