//! `statebench schema`: the schemas are valid and hold for what the program reads and writes.

use serde_json::{Value, json};

use super::{Place, workload_files};

/// What a test does to a result.
type Change = fn(&mut Value);

fn schema(format: &str) -> Value {
    serde_json::from_str(&Place::new().statebench(&format!("schema {format}")).ok()).unwrap()
}

/// A checker for a schema, after the schema itself has been checked.
pub(super) fn validator(format: &str) -> jsonschema::Validator {
    let schema = schema(format);
    assert_eq!(jsonschema::meta::validate(&schema).err().map(|error| error.to_string()), None);
    jsonschema::validator_for(&schema).unwrap()
}

pub(super) fn errors(validator: &jsonschema::Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn as_json(toml: &str) -> Value {
    serde_json::to_value(toml.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn every_workload_that_comes_with_the_program_is_valid_by_the_schema() {
    let validator = validator("workload");
    for file in workload_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(errors(&validator, &as_json(&text)), <[String; 0]>::default(), "{}", file.display());
    }
    let place = Place::new();
    place.statebench("init").ok();
    assert_eq!(errors(&validator, &as_json(&place.text("workload.toml"))), <[String; 0]>::default());
}

#[test]
fn the_schema_of_workloads_refuses_what_the_program_refuses() {
    let validator = validator("workload");
    let place = Place::new();
    for toml in [
        "key = {}",
        "keys.cardinalty = 5",
        "keys.cardinality = 0",
        "keys.cardinality = -1",
        "keys.cardinality = 'many'",
        "keys.cardinality = 1_000_000_000_000_000",
        "keys.distribution = 'zipff'",
        "keys.distribution.zipf.exponnet = 1.0",
        "keys.absent = 1.5",
        "values.sizes = 5",
        "run.xyz = 1",
        "run.seed = -1",
        "run.parallelism = 70_000",
        "operator = 'count'",
        "operator.mix.presets = 'ycsb-a'",
        "operator = { counter = {}, reduce = {} }",
        "source.trace.path = 'a.csv'",
        "source = 'nexmrk'",
        "source.nexmark.bids = {}",
        "source.nexmark.bid.key = 'auctoin'",
        "source.nexmark.bid.key = ['auction', 'seller']",
        "source.nexmark.bid.key = []",
        "[[configuration]]\nstate.backend.type = 'hashmap'",
        "configuration = 'heap'",
        "phase = 'long'",
        "[[phase]]\nevents = 5",
        "[[phase]]\nname = 'a'\nduration = '5 s'",
        "[[phase]]\nname = 'a'\nevents = 5\nmix = { reed = 1.0 }",
        "matrix.x = 5",
    ] {
        assert!(!validator.is_valid(&as_json(toml)), "the schema allows {toml}");
        place.file("job.toml", toml);
        place.refusal("check job.toml");
    }
}

#[test]
fn results_are_valid_by_the_schema() {
    let validator = validator("result");
    let place = Place::new();
    place.file("job.toml", format!("{}\n[matrix]\n'keys.cardinality' = [5, 10]\n", super::SMALL));
    place.statebench("run --quick job.toml -q -o r.json").ok();
    let mut result: Value = serde_json::from_str(&place.text("r.json")).unwrap();
    assert_eq!(errors(&validator, &result), <[String; 0]>::default());
    result["trials"][0]["outcome"] = json!({ "failed": { "reason": "why", "environment": true } });
    result["trials"][1]["outcome"] = json!("interrupted");
    assert_eq!(errors(&validator, &result), <[String; 0]>::default());

    let changes: [Change; 6] = [
        |result| result["surprise"] = json!(1),
        |result| result["manifest"]["surprise"] = json!(1),
        |result| result["trials"][2]["outcome"]["finished"]["surprise"] = json!(1),
        |result| result["trials"][2]["outcome"]["finished"]["state"] = json!("none"),
        |result| result["trials"][2]["seed"] = json!("one"),
        |result| drop(result.as_object_mut().unwrap().remove("agreements")),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut changed = result.clone();
        change(&mut changed);
        assert!(!validator.is_valid(&changed), "the schema allows change {index}");
        place.file("changed.json", changed.to_string());
        let ran = place.statebench("show changed.json");
        assert_eq!(ran.code, Some(2), "the program allows change {index}: {ran:?}");
    }
}
