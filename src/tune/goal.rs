//! What a search is for: what is to be as good as possible, and what has to be kept.

use crate::result::{Better, METRICS, Metric, Unit};
use crate::workload::{Bytes, Time};

/// Something that a setting is judged by.
#[derive(Clone, Copy)]
pub enum Quantity {
    /// Managed memory of a slot, or the heap of its tasks where the state is on the heap (configured).
    Memory,
    /// A metric of trials (measured).
    Metric(&'static Metric),
}

impl std::fmt::Debug for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Quantity {
    /// The metric of this name.
    pub fn metric(name: &str) -> Option<Self> {
        METRICS.iter().find(|metric| metric.name == name).map(Self::Metric)
    }

    /// Its name in JSON, with its unit last.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory_budget_bytes",
            Self::Metric(metric) => metric.name,
        }
    }

    /// Its heading in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Metric(metric) => metric.label,
        }
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        match self {
            Self::Memory => Unit::Bytes,
            Self::Metric(metric) => metric.unit,
        }
    }

    /// The better direction.
    pub fn better(self) -> Better {
        match self {
            Self::Memory => Better::Lower,
            Self::Metric(metric) => metric.better,
        }
    }

    /// A value as what a search makes less of: the logarithm, turned round where more is better.
    pub fn cost(self, value: f64) -> f64 {
        let log = libm::log(value.max(f64::MIN_POSITIVE));
        match self.better() {
            Better::Lower => log,
            Better::Higher => -log,
        }
    }

    /// The value of a cost.
    pub fn value(self, cost: f64) -> f64 {
        match self.better() {
            Better::Lower => libm::exp(cost),
            Better::Higher => libm::exp(-cost),
        }
    }
}

/// What has to be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Of what.
    pub quantity: Quantity,
    /// The most that is allowed where less is better, else the least, in the unit of the quantity.
    pub bound: f64,
}

impl Limit {
    /// By how much a value misses the limit, in logarithms: at most 0 where it is kept.
    pub fn excess(self, value: f64) -> f64 {
        self.quantity.cost(value) - self.quantity.cost(self.bound)
    }

    /// Whether a value keeps it.
    pub fn is_kept(self, value: f64) -> bool {
        self.excess(value) <= 0.0
    }

    /// The limit in words: `p99 ≤ 5 ms`.
    pub fn described(self) -> String {
        let sign = if self.quantity.better() == Better::Lower { "≤" } else { "≥" };
        format!("{} {sign} {}", self.quantity.label(), bound(self.quantity.unit(), self.bound))
    }
}

/// A bound as a user spells it.
fn bound(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Nanoseconds => Time(std::time::Duration::from_nanos(value as u64)).to_string(),
        Unit::Bytes => Bytes(value as u64).to_string(),
        _ => crate::result::with_unit(value, unit),
    }
}

/// How several workloads come to one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The geometric mean, weighted.
    Average,
    /// The one in which a setting gains least, or loses most.
    Worst,
}

/// What a search is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// What is to be as good as possible: one quantity, or several of which none is to be better at the cost of another.
    pub objectives: Vec<Quantity>,
    /// What has to be kept, in every workload.
    pub limits: Vec<Limit>,
    /// How workloads are taken together.
    pub over: Over,
    /// The weight of each workload.
    pub weights: Vec<f64>,
}

impl Goal {
    /// The metrics of trials that it needs, each once: objectives, then limits.
    pub fn measured(&self) -> Vec<Quantity> {
        let all = self.objectives.iter().copied().chain(self.limits.iter().map(|limit| limit.quantity));
        let mut measured: Vec<Quantity> = Vec::new();
        for quantity in all.filter(|quantity| matches!(quantity, Quantity::Metric(_))) {
            if !measured.contains(&quantity) {
                measured.push(quantity);
            }
        }
        measured
    }

    /// The place of a quantity among the values of a reading; none of one that no trial measures.
    pub fn place(&self, quantity: Quantity) -> Option<usize> {
        self.measured().iter().position(|measured| *measured == quantity)
    }

    /// The costs of the workloads as one: each less what the start costs there.
    pub fn combined(&self, costs: &[f64]) -> f64 {
        match self.over {
            Over::Worst => costs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Over::Average => {
                let weight: f64 = self.weights.iter().sum();
                costs.iter().zip(&self.weights).map(|(cost, weight)| cost * weight).sum::<f64>() / weight
            }
        }
    }

    /// The goal in words.
    pub fn described(&self) -> String {
        let objective = |quantity: &Quantity| match (quantity, quantity.better()) {
            (Quantity::Memory, _) => "least memory".to_owned(),
            (_, Better::Higher) => format!("most {}", quantity.label()),
            (_, Better::Lower) => format!("least {}", quantity.label()),
        };
        let objectives = self.objectives.iter().map(objective).collect::<Vec<_>>().join(" and ");
        let limits: Vec<_> = self.limits.iter().map(|limit| limit.described()).collect();
        if limits.is_empty() { objectives } else { format!("{objectives} with {}", limits.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(name: &str) -> Quantity {
        Quantity::metric(name).unwrap()
    }

    #[test]
    fn less_cost_is_better_whatever_the_direction() {
        let (rate, p99) = (quantity("throughput_typical_events_per_s"), quantity("latency_p99_ns"));
        assert!(rate.cost(200.0) < rate.cost(100.0) && p99.cost(100.0) < p99.cost(200.0));
        for quantity in [rate, p99, Quantity::Memory] {
            assert!((quantity.value(quantity.cost(123.0)) - 123.0).abs() < 1e-9);
        }
        assert!(rate.cost(0.0).is_finite());
    }

    #[test]
    fn a_limit_is_an_upper_or_a_lower_one() {
        let p99 = Limit { quantity: quantity("latency_p99_ns"), bound: 5e6 };
        let rate = Limit { quantity: quantity("throughput_typical_events_per_s"), bound: 1e5 };
        assert!(p99.is_kept(5e6) && !p99.is_kept(5.1e6) && rate.is_kept(1e5) && !rate.is_kept(9.9e4));
        assert_eq!([p99.described(), rate.described()], ["p99 ≤ 5 ms", "typical/s ≥ 100 k"]);
    }

    #[test]
    fn workloads_are_averaged_or_the_worst_of_them_counts() {
        let mut goal = Goal {
            objectives: vec![quantity("latency_p99_ns"), Quantity::Memory],
            limits: vec![Limit { quantity: quantity("latency_p99_ns"), bound: 1e6 }],
            over: Over::Average,
            weights: vec![3.0, 1.0],
        };
        assert!((goal.combined(&[1.0, 5.0]) - 2.0).abs() < 1e-12);
        goal.over = Over::Worst;
        assert!((goal.combined(&[1.0, 5.0]) - 5.0).abs() < 1e-12);
        assert_eq!(goal.measured().len(), 1);
        assert_eq!(goal.described(), "least p99 and least memory with p99 ≤ 1 ms");
    }
}
