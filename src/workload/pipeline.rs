//! `[[pipeline]]`: several operators, each keyed by its own key, each with its own states.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, Operator, OperatorWire, Shorthand, StateWire, nearest, state};
use crate::state::StateTtls;

/// One operator of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepWire {
    /// Its name, for `input` of another one and for reports.
    pub name: String,
    /// The operator that it takes its rows from, or `source`; the one before it, or the source of the first one, where it
    /// is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The field of its input's rows that it is keyed by. Of an event from the source it is the event's key.
    #[serde(default)]
    pub key: RowField,
    /// What is done with each row.
    pub operator: Shorthand<OperatorWire>,
    /// What holds for its states, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, StateWire>,
}

/// A field of the rows that an operator emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RowField {
    /// The key that the row was computed for.
    #[default]
    Key,
    /// The result.
    Value,
    /// What the row refers to beside its key: of a join the other side, else the event's value.
    Other,
}

/// One operator of a pipeline, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The field of its input's rows that it is keyed by.
    pub key: RowField,
    /// The operator.
    pub operator: Operator,
    /// Its states that expire.
    pub ttls: StateTtls,
}

/// The name of what the first operator takes its events from.
const SOURCE: &str = "source";
/// Operators of a pipeline, at most.
const MOST_STEPS: usize = 16;

/// Puts the steps of a pipeline into the order in which rows flow.
///
/// # Errors
/// A name twice, an input that is no operator, a cycle, an operator whose rows two others take, a timer before the end.
pub fn steps(wires: &[StepWire]) -> Result<Vec<Step>, Invalid> {
    if wires.len() > MOST_STEPS {
        return Err(Invalid::new("pipeline", format!("{} operators", wires.len()), format!("at most {MOST_STEPS}")));
    }
    let at = |index: usize| format!("pipeline[{index}]");
    for (index, wire) in wires.iter().enumerate() {
        let taken = wire.name == SOURCE || wires[..index].iter().any(|other| other.name == wire.name);
        if taken || wire.name.trim().is_empty() {
            let allowed = "a name of its own, other than `source`";
            return Err(Invalid::new("name", format!("{:?}", wire.name), allowed).within(&at(index)));
        }
    }
    let order = order(wires)?;
    let step = |(position, &index): (usize, &usize)| {
        let wire = &wires[index];
        let here = |invalid: Invalid| invalid.within(&at(index));
        let operator = Operator::new(&wire.operator).map_err(here)?;
        if position == 0 && wire.key != RowField::Key {
            let allowed = "nothing: events of the source come with their key";
            return Err(here(Invalid::new("key", "a field of rows", allowed)));
        }
        if position > 0 && operator.is_source() {
            let allowed = "one that takes rows: a source is the first of a pipeline";
            return Err(here(Invalid::new("operator", format!("`{}`", wire.operator.0.name()), allowed)));
        }
        if position > 0 && (operator.stores_payload() || operator.inputs().count() > 1) {
            let allowed =
                "an operator over the numbers of one stream of rows: payloads and second inputs come from a source";
            return Err(here(Invalid::new("operator", format!("`{}`", wire.operator.0.name()), allowed)));
        }
        if position + 1 < wires.len() && operator.emits_changes() {
            let allowed = "an operator that takes no row back, but for the last of a pipeline";
            return Err(here(Invalid::new("operator", format!("`{}`", wire.operator.0.name()), allowed)));
        }
        if position + 1 < wires.len() && wire.operator.0.has_timers() {
            let allowed = "an operator without timers, but for the last of a pipeline";
            return Err(here(Invalid::new("operator", format!("`{}`", wire.operator.0.name()), allowed)));
        }
        let behind_a_join =
            position > 0 && matches!(wires[order[position - 1]].operator.0, OperatorWire::RegularJoin { .. });
        if behind_a_join && operator.depends_on_order() {
            let allowed = "one that does not depend on the order of the rows that the join makes of one event, which is that \
                           of a map: `reduce` or `aggregate` with `emit = false`, or windows of these";
            return Err(here(Invalid::new("operator", format!("`{}`", wire.operator.0.name()), allowed)));
        }
        let ttls = state::ttls(&wire.states, operator.states());
        let ttls = ttls.map_err(|invalid| here(invalid.within("states")))?;
        Ok(Step { name: wire.name.clone(), key: wire.key, operator, ttls })
    };
    order.iter().enumerate().map(step).collect()
}

/// Positions of the steps in the order in which rows flow.
fn order(wires: &[StepWire]) -> Result<Vec<usize>, Invalid> {
    let mut next: Vec<Option<usize>> = vec![None; wires.len()];
    let mut first = None;
    for (index, wire) in wires.iter().enumerate() {
        let here = |found: String, allowed: String| {
            Invalid::new("input", found, allowed).within(&format!("pipeline[{index}]"))
        };
        let before = index.checked_sub(1).map_or(SOURCE, |before| wires[before].name.as_str());
        let input = wire.input.as_deref().unwrap_or(before);
        let feeds = if input == SOURCE {
            &mut first
        } else if let Some(feeder) = wires.iter().position(|other| other.name == input) {
            &mut next[feeder]
        } else {
            let names = || wires.iter().map(|other| other.name.as_str()).chain([SOURCE]);
            let meant = nearest(input, names()).map(|name| format!("; did you mean `{name}`?"));
            let allowed = format!("one of {}{}", names().collect::<Vec<_>>().join(", "), meant.unwrap_or_default());
            return Err(here(format!("`{input}`, which is no operator"), allowed));
        };
        if let Some(other) = feeds.replace(index) {
            let found = format!("`{input}`, whose rows go to `{}`", wires[other].name);
            return Err(here(found, "an input that no other operator takes".to_owned()));
        }
    }
    let order: Vec<usize> = std::iter::successors(first, |&index| next[index]).take(wires.len()).collect();
    // With one input each, what the source does not reach goes round in a circle.
    match (0..wires.len()).find(|index| !order.contains(index)) {
        None => Ok(order),
        Some(index) => {
            let found = format!("`{}`, which only comes round to itself", wires[index].name);
            Err(Invalid::new("input", found, "inputs that lead back to `source`, without a cycle")
                .within(&format!("pipeline[{index}]")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Holder {
            pipeline: Vec<StepWire>,
        }
        let steps = steps(&toml::from_str::<Holder>(text).unwrap().pipeline);
        steps
            .map(|steps| steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" "))
            .map_err(|e| e.to_string())
    }

    fn step(name: &str, rest: &str) -> String {
        format!("[[pipeline]]\nname = '{name}'\noperator = 'counter'\n{rest}\n")
    }

    #[test]
    fn rows_flow_from_the_source_through_every_operator() {
        assert_eq!(names(&(step("a", "") + &step("b", "key = 'value'") + &step("c", ""))).unwrap(), "a b c");
        assert_eq!(names(&(step("b", "input = 'a'") + &step("a", "input = 'source'"))).unwrap(), "a b");
    }

    #[test]
    fn what_is_no_pipeline_is_refused() {
        let error = |text: String| names(&text).unwrap_err();
        assert_eq!(
            error(step("a", "") + &step("b", "input = 'aa'")),
            "pipeline[1].input: found `aa`, which is no operator; allowed: one of a, b, source; did you mean `a`?"
        );
        assert_eq!(
            error(step("a", "input = 'source'") + &step("b", "input = 'c'") + &step("c", "input = 'b'")),
            "pipeline[1].input: found `b`, which only comes round to itself; allowed: inputs that lead back to `source`, \
             without a cycle"
        );
        assert_eq!(
            error(step("a", "") + &step("b", "") + &step("c", "input = 'a'")),
            "pipeline[2].input: found `a`, whose rows go to `b`; allowed: an input that no other operator takes"
        );
        assert!(error(step("a", "input = 'a'")).contains("only comes round to itself"));
        assert!(error(step("a", "") + &step("a", "")).starts_with("pipeline[1].name: found \"a\""));
        assert!(error(step("a", "key = 'other'")).starts_with("pipeline[0].key"));
        assert!(
            error(step("a", "[pipeline.states.count.ttl]\ntime = 0")).starts_with("pipeline[0].states.count.ttl.time")
        );
        let top = "[[pipeline]]\nname = 'a'\noperator = 'top-n'\n".to_owned();
        assert!(error(top + &step("b", "")).starts_with("pipeline[0].operator: found `top-n`"));
        let source = "[[pipeline]]\nname = 'a'\noperator = 'source-offsets'\n".to_owned();
        assert_eq!(names(&(source.clone() + &step("b", ""))).unwrap(), "a b");
        assert!(error(step("b", "") + &source).starts_with("pipeline[1].operator: found `source-offsets`"));
        let join = step("a", "").replace("'counter'", "{ regular-join = { retract = 0.0 } }");
        assert!(error(join.clone() + &step("b", "")).starts_with("pipeline[1].operator: found `counter`"));
        let sum = step("b", "").replace("'counter'", "{ reduce = { emit = false } }");
        assert_eq!(names(&(join + &sum)).unwrap(), "a b");
        let list = "[[pipeline]]\nname = 'b'\noperator = 'list-buffer'\n".to_owned();
        assert!(error(step("a", "") + &list).starts_with("pipeline[1].operator: found `list-buffer`"));
    }
}
