//! What there is to say of trials that ran on Apache Flink.

use std::fmt::Write;

use super::comparison::counted;
use super::stream::place;
use super::table::with_unit;
use crate::result::{Engine, FlinkRun, RunResult, Unit};

/// A line for each configuration that ran on Flink: its cluster, its garbage collections, its checkpoints.
pub(super) fn lines(result: &RunResult) -> Vec<String> {
    let on_flink = result.last_of_each().filter_map(|(trial, _)| match &trial.run.engine {
        Engine::Flink(run) => Some(format!("flink {}: {}", place(result, trial), line(run))),
        Engine::Statebench => None,
    });
    on_flink.collect()
}

fn line(run: &FlinkRun) -> String {
    let bytes = |bytes: u64| with_unit(bytes as f64, Unit::Bytes);
    let seconds = |s: f64| with_unit(s * 1e9, Unit::Nanoseconds);
    let mut text = counted(usize::from(run.task_managers), "task manager");
    if let Some(took_s) = run.cluster_start_s {
        let _ = write!(text, ", up in {}", seconds(took_s));
    }
    if let (Some(count), Some(pause_s)) = (run.gc_count, run.gc_pause_s) {
        let _ =
            write!(text, "; {} took {} of the measured part", counted(count as usize, "collection"), seconds(pause_s));
    }
    if let Some(jit_s) = run.jit_s {
        let _ = write!(text, "; compilers ran {} beside it", seconds(jit_s));
    }
    if let (Some(used), Some(most)) = (run.heap_used_bytes, run.heap_max_bytes) {
        let _ = write!(text, "; heaps hold {} of {}, garbage included", bytes(used), bytes(most));
    }
    if let Some(held_back_s) = run.back_pressured_s.filter(|held_back_s| *held_back_s > 0.0) {
        let _ = write!(text, "; tasks were held back for {}", seconds(held_back_s));
    }
    if let Some(last) = run.checkpoints.last() {
        let (count, took) = (counted(run.checkpoints.len(), "checkpoint"), seconds(last.end_to_end_s));
        let _ = write!(text, "; {count} remembered, the last of {} in {took}", bytes(last.state_bytes));
    }
    if run.killed_task_managers > 0 {
        let _ = write!(
            text,
            "; {} died and had to be replaced",
            counted(usize::from(run.killed_task_managers), "task manager")
        );
    }
    if run.restarts > 0 {
        let times = if run.restarts == 1 { "once".to_owned() } else { format!("{} times", run.restarts) };
        let _ = write!(text, "; a subtask began again {times}: its figures are those from then on");
    }
    text + " (by the account of Java and Flink)"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::result::FlinkCheckpoint;
    use insta::assert_snapshot;

    #[test]
    fn what_is_known_of_a_job_is_told() {
        let mut result = fixture::result(1);
        let run = FlinkRun {
            version: "2.3.0".to_owned(),
            is_local: true,
            task_managers: 2,
            cluster_start_s: Some(7.25),
            restarts: 1,
            killed_task_managers: 1,
            gc_count: Some(3),
            gc_pause_s: Some(0.045),
            jit_s: Some(0.2),
            heap_used_bytes: Some(120 << 20),
            heap_max_bytes: Some(1 << 30),
            back_pressured_s: Some(0.5),
            emitted: Vec::new(),
            checkpoints: vec![FlinkCheckpoint {
                id: 7,
                state_bytes: 3 << 20,
                uploaded_bytes: None,
                end_to_end_s: 0.04,
            }],
        };
        let calm = FlinkRun {
            task_managers: 1,
            cluster_start_s: None,
            restarts: 0,
            killed_task_managers: 0,
            checkpoints: Vec::new(),
            ..run.clone()
        };
        result.trials[0].run.engine = Engine::Flink(Box::new(run));
        result.trials[1].run.engine = Engine::Flink(Box::new(calm));
        assert_snapshot!(lines(&result).join("\n"), @"
        flink heap: 2 task managers, up in 7.25 s; 3 collections took 45.0 ms of the measured part; compilers ran 200 ms beside it; heaps hold 120 MiB of 1.00 GiB, garbage included; tasks were held back for 500 ms; 1 checkpoint remembered, the last of 3.00 MiB in 40.0 ms; 1 task manager died and had to be replaced; a subtask began again once: its figures are those from then on (by the account of Java and Flink)
        flink rocksdb: 1 task manager; 3 collections took 45.0 ms of the measured part; compilers ran 200 ms beside it; heaps hold 120 MiB of 1.00 GiB, garbage included; tasks were held back for 500 ms (by the account of Java and Flink)
        ");
        assert!(lines(&fixture::result(1)).is_empty());
    }
}
