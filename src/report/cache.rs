//! The hit rate of the block cache by its size, as a result shows it.

use serde::Serialize;

use super::summary::natural;
use super::table::with_unit;
use crate::result::{CacheCurve, CachePoint, RunResult, Unit};

/// Sizes that the table shows beside the present one, as multiples of it.
const SHOWN: [f64; 6] = [1.0 / 16.0, 0.25, 0.5, 2.0, 4.0, 16.0];

/// Columns of the table: the hit rate that was measured and the one that the model has for the same size, then those of
/// smaller and larger pools (modelled).
pub(super) const CACHE_HEADER: [&str; 11] =
    ["block cache", "pool", "asked", "measured", "modelled", "1/16", "1/4", "1/2", "2×", "4×", "16×"];

/// The curve of one configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CacheRow {
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// What its companion trial was asked for, and how caches of other sizes would have answered.
    pub curve: CacheCurve,
}

/// The curves of a result, of each configuration that of its last companion trial.
pub(super) fn cache_curves(result: &RunResult) -> Vec<CacheRow> {
    let mut rows: Vec<CacheRow> = Vec::new();
    for (trial, measurement) in result.all_finished() {
        let Some(curve) = measurement.cache_curve.as_ref().filter(|curve| curve.data_asked + curve.index_asked > 0)
        else {
            continue;
        };
        let workload = result.variant_label(trial.variant).to_owned();
        rows.retain(|row| (&row.workload, &row.configuration) != (&workload, &trial.configuration));
        rows.push(CacheRow { workload, configuration: trial.configuration.clone(), curve: curve.clone() });
    }
    rows.sort_by_cached_key(|row| (natural(&row.workload), natural(&row.configuration)));
    rows
}

/// The rows of the table, by configuration.
pub(super) fn cache_rows(curves: &[CacheRow]) -> Vec<Vec<String>> {
    curves.iter().filter_map(CacheRow::cells).collect()
}

impl CacheRow {
    fn cells(&self) -> Option<Vec<String>> {
        let curve = &self.curve;
        let present = curve.present()?;
        let percent = |rate: f64| format!("{:.1} %", 100.0 * rate);
        let at = |multiple: f64| {
            let size =
                |point: &&CachePoint| (point.pool_bytes as f64 / present.pool_bytes as f64 - multiple).abs() < 0.01;
            curve.points.iter().find(size).map_or_else(|| "-".to_owned(), |point| percent(point.hit_rate))
        };
        let mut cells = vec![
            format!("{} {}", self.workload, self.configuration).trim().to_owned(),
            with_unit(present.pool_bytes as f64, Unit::Bytes),
            with_unit((curve.data_asked + curve.index_asked) as f64, Unit::EventsPerSecond),
            curve.measured_hit_rate.map_or_else(|| "-".to_owned(), percent),
            percent(present.hit_rate),
        ];
        cells.extend(SHOWN.iter().map(|multiple| at(*multiple)));
        Some(cells)
    }
}
