//! What was used of the memory that was given.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Panel, Shape, View};
use crate::report::book::Case;

/// What is told of a configuration, bytes.
struct Use<'a> {
    name: &'a str,
    /// What was given (configured): the pools of RocksDB, or the Java heap.
    budget: Option<f64>,
    /// Used at most, of the trial that used most.
    used: Option<f64>,
    /// State on a Java heap (modelled).
    jvm: Option<f64>,
    resident: Option<f64>,
}

impl<'a> Use<'a> {
    fn of(case: &'a Case<'_>) -> Self {
        let most = |figure: fn(&crate::result::Measurement) -> Option<u64>| {
            case.measured.iter().filter_map(|m| figure(m)).max().map(|bytes| bytes as f64)
        };
        let pools = most(|m| m.store_memory.as_ref()?.budget.as_ref().map(|budget| budget.pool_bytes));
        let heap = most(|m| m.heap.as_ref().map(|h| h.jvm_heap_bytes.saturating_mul(h.task_managers.into())));
        Self {
            name: &case.name,
            budget: pools.or(heap),
            used: most(|m| m.store_memory.as_ref().map(|memory| memory.peak.total_bytes())),
            jvm: most(|m| m.heap.as_ref().map(|heap| heap.jvm_live_bytes)),
            resident: most(|m| m.resident_peak_bytes),
        }
    }

    /// How much of the budget was used, 0 to 1 and above.
    fn share(&self) -> Option<f64> {
        Some(self.used.or(self.jvm)? / self.budget.filter(|budget| *budget > 0.0)?)
    }
}

/// Memory of every configuration against its budget.
pub(super) fn memory(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let uses: Vec<Use<'_>> = cases.iter().map(|case| Use::of(case)).collect();
    let values: Vec<f64> = uses.iter().flat_map(|u| [u.budget, u.used, u.jvm, u.resident]).flatten().collect();
    if values.is_empty() {
        return Err("the system did not tell what memory the trials took".to_owned());
    }
    let panel = |x: Axis| {
        let names = uses.iter().rev().map(|u| u.name.to_owned()).collect();
        let mut panel = Panel::new(64 + 34 * uses.len() as u32, x, Axis::names("", names));
        for (at, one) in uses.iter().rev().enumerate() {
            let at = at as f64;
            let bars = [(0, one.used, 0.32), (1, one.jvm, 0.32), (2, one.resident, 0.08)];
            for (series, bytes, top) in bars.into_iter().filter_map(|(s, bytes, top)| Some((s, bytes?, top))) {
                let corners = ((panel.x.from, at + top - 0.22), (bytes, at + top));
                panel.mark(series, Shape::Bar { from: corners.0, to: corners.1 });
            }
            if let Some(budget) = one.budget {
                let line = vec![(budget, at - 0.25), (budget, at + 0.42)];
                panel.marks.push(Mark::of(Ink::Text, Shape::Thin(line)));
                panel.marks.push(Mark::of(Ink::Muted, Shape::Text((budget, at - 0.42), "budget".to_owned())));
            }
        }
        panel
    };
    let linear = panel(Axis::from_zero("memory", Quantity::Bytes, values.iter().copied()));
    let log = panel(Axis::log("memory", Quantity::Bytes, values.iter().copied()));
    let shown = |bytes: Option<f64>| bytes.map_or_else(|| "-".to_owned(), |bytes| Quantity::Bytes.text(bytes));
    let row = |one: &Use<'_>| {
        let share = one.share().map_or_else(|| "-".to_owned(), |share| Quantity::Share.text(share));
        vec![one.name.to_owned(), shown(one.budget), shown(one.used), shown(one.jvm), share, shown(one.resident)]
    };
    let header = [
        "configuration",
        "budget (configured)",
        "RocksDB used (measured)",
        "Java heap used (modelled)",
        "of the budget",
        "resident (measured)",
    ];
    let mut views = vec![View::new("linear", vec![linear]), View::new("logarithmic", vec![log])];
    let used = || uses.iter().flat_map(|u| [u.used, u.jvm, u.resident]).flatten();
    let (least, most) = (used().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max));
    if most > 50.0 * least {
        views.reverse();
    }
    Ok(Chart {
        title: title(&uses),
        kind: "measured; state on a Java heap is modelled, budgets are configured",
        reading: "A bar that reaches its budget's mark is what limits the configuration: more would be used if it were there. The \
                  resident memory is the whole process, the harness included.",
        alternative: String::new(),
        views,
        series: ["RocksDB, at most", "state on a Java heap (modelled)", "resident memory of the process"]
            .map(str::to_owned)
            .into(),
        table: (header.map(str::to_owned).into(), uses.iter().map(row).collect()),
    })
}

/// Who uses the largest share of its budget.
fn title(uses: &[Use<'_>]) -> String {
    let fullest = uses.iter().filter_map(|one| Some((one.share()?, one))).max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((share, one)) = fullest else { return "Memory by configuration".to_owned() };
    let (used, budget) = (one.used.or(one.jvm).unwrap_or(0.0), one.budget.unwrap_or(0.0));
    let (used, budget) = (Quantity::Bytes.text(used), Quantity::Bytes.text(budget));
    if share > 1.0 {
        format!("{} passes its budget: {used} of {budget}", one.name)
    } else {
        format!("Closest to its budget: {} with {used} of {budget} ({:.0} %)", one.name, 100.0 * share)
    }
}
