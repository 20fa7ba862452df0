//! A latency distribution as a result keeps it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Timed operations that must lie beyond a percentile for it to be told.
const LEAST_BEYOND: f64 = 100.0;

/// A recorded distribution: its summary, and the histogram that the summary was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// What tables show.
    #[serde(flatten)]
    pub summary: LatencySummary,
    /// The histogram in HdrHistogram's V2 compressed format, base64. Values are nanoseconds.
    pub histogram: String,
}

/// The summary of a distribution, ns. A percentile is absent where fewer than 100 timed operations lie beyond it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencySummary {
    /// Timed operations.
    pub count: u64,
    /// Mean, ns.
    pub mean_ns: f64,
    /// Median, ns.
    pub p50_ns: Option<u64>,
    /// 90th percentile, ns.
    pub p90_ns: Option<u64>,
    /// 99th percentile, ns.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile, ns.
    pub p999_ns: Option<u64>,
    /// 99.99th percentile, ns.
    pub p9999_ns: Option<u64>,
    /// Largest, ns.
    pub max_ns: u64,
}

impl Latency {
    /// Summarises a histogram and keeps it.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        // Writing to memory fails only for bounds that cannot be written; ours can, and a test says so.
        let histogram_base64 = match V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
            Ok(_) => BASE64.encode(&bytes),
            Err(_) => String::new(),
        };
        Self { summary: LatencySummary::of(histogram), histogram: histogram_base64 }
    }

    /// The histogram, for merging and for other percentiles; `None` if the text is not one.
    pub fn histogram(&self) -> Option<Histogram<u64>> {
        let bytes = BASE64.decode(&self.histogram).ok()?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
    }
}

impl LatencySummary {
    /// Summarises a histogram.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let count = histogram.len();
        let percentile = |share: f64| {
            let beyond = count as f64 * (1.0 - share);
            // A rounding of 1 - 0.9999 must not hide a percentile that has exactly enough beyond it.
            (beyond + 1e-6 >= LEAST_BEYOND).then(|| histogram.value_at_quantile(share))
        };
        Self {
            count,
            mean_ns: histogram.mean(),
            p50_ns: percentile(0.5),
            p90_ns: percentile(0.9),
            p99_ns: percentile(0.99),
            p999_ns: percentile(0.999),
            p9999_ns: percentile(0.9999),
            max_ns: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 2).unwrap();
        values.into_iter().for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    #[test]
    fn the_histogram_survives_the_text() {
        let histogram = histogram(1..=1000);
        let latency = Latency::of(&histogram);
        assert!(latency.histogram.starts_with("HISTFAAA"), "the common compressed V2 header: {}", latency.histogram);
        assert_eq!(latency.histogram().unwrap(), histogram);
        let broken = Latency { histogram: "HISTFAAAAAAA".to_owned(), ..latency };
        assert_eq!(broken.histogram(), None);
    }

    #[test]
    fn a_percentile_needs_a_hundred_beyond_it() {
        let summary = LatencySummary::of(&histogram(std::iter::repeat_n(50, 10_000)));
        assert_eq!((summary.p50_ns, summary.p99_ns, summary.p999_ns), (Some(50), Some(50), None));
        let summary = LatencySummary::of(&histogram(std::iter::repeat_n(50, 199)));
        assert_eq!(summary.p50_ns, None);
    }
}
