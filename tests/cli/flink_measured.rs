//! The workloads that were measured on Flink, and the figures that they are compared with.

use std::collections::BTreeMap;
use std::path::Path;

use statebench::workload::Plan;

use super::{Place, workloads};

/// The configurations of each file, by the figures that were measured: file name, then names in order.
fn measured_on_flink() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/validation/flink-measured.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let mut files = BTreeMap::<String, Vec<String>>::new();
    for row in reader.records().map(Result::unwrap) {
        let (group, workload, configuration) = (&row[0], &row[1], &row[2]);
        let file = match group {
            "main" => workload.to_owned(),
            "knobs" | "knobs-read" => format!("{workload}-knobs"),
            _ => continue,
        };
        files.entry(file).or_default().push(configuration.to_owned());
    }
    files.values_mut().for_each(|configurations| configurations.sort());
    files
}

#[test]
fn every_configuration_measured_on_flink_is_in_a_file_and_takes_effect() {
    let measured = measured_on_flink();
    assert_eq!(measured.values().map(Vec::len).sum::<usize>(), 10 * 6 + 28 + 10);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(workloads().join("flink-measured")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let plan = Plan::load(&path, &[], false).unwrap_or_else(|error| panic!("{error}"));
            for cell in &plan.cells {
                let idle = cell.configuration.without_effect();
                assert!(idle.is_empty(), "{}: {}: {idle:?}", path.display(), cell.configuration.name);
            }
            let mut names: Vec<_> = plan.cells.iter().map(|cell| cell.configuration.name.clone()).collect();
            names.sort();
            files.insert(plan.name, names);
        }
    }
    assert_eq!(files, measured);
}

#[test]
fn a_workload_measured_on_flink_runs_under_all_of_its_settings() {
    let place = Place::new();
    let file = workloads().join("flink-measured/value-rmw-uni-knobs.toml");
    place.statebench(&format!("run --quick -q -o r.json --set run.events=1_000 {}", file.display())).ok();
    let result = place.result("r.json");
    assert_eq!((result.finished().count(), result.all_agree()), (28, true));
}
