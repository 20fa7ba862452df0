//! The `[[phase]]` sections: successive parts of the measured run, each with conditions of its own and reported on its own.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Invalid, MixOperation, Time, VirtualClock, check_range};

/// A `[[phase]]` section as the file spells it. What it does not set is as the other sections have it, whatever phases
/// before it set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PhaseWire {
    /// Name in results.
    pub name: String,
    /// How many events are measured, rounded up to whole rounds of 4096, but for the last phase. Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Refused: a phase ends at an event.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub duration: Option<Time>,
    /// Events that arrive in a second of the virtual clock; `time.rate` where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The rate at the end of the phase, to which it changes evenly in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp_to: Option<f64>,
    /// Virtual time that passes without events before its first one.
    #[serde(default)]
    pub pause: Time,
    /// How far the hot set moves, as a share of the keys from 0 to 1: an event that was for the key of one rank is for
    /// that of a rank so much further on. For zipf, hotspot and exponential keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_keys: Option<f64>,
    /// The shares of the operator `mix`, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shares_schema")]
    pub mix: Option<BTreeMap<MixOperation, f64>>,
}

fn shares_schema(generator: &mut SchemaGenerator) -> Schema {
    let operation = generator.subschema_for::<MixOperation>();
    let share = json_schema!({ "type": "number", "minimum": 0, "maximum": 1 });
    json_schema!({ "type": ["object", "null"], "propertyNames": operation, "additionalProperties": share })
}

/// Events of a round, the unit in which subtasks take turns: what has a number of events and is not the last thing in a
/// run ends with one, so that what follows begins at the same event whatever the parallelism.
pub const ROUND_EVENTS: u64 = 4096;

/// A part of the measured run, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Name in results.
    pub name: String,
    /// How many events it has: whole rounds, but for the last phase.
    pub events: u64,
    /// Events that arrive in a second at its begin and at its end, where they are not those of the clock.
    pub rate: Option<(f64, f64)>,
    /// Virtual time without events before its first one, ms.
    pub pause_ms: i64,
    /// How far the hot set moves, as a share of the keys.
    pub shift_keys: f64,
    /// Share of each operation in order of [`MixOperation`], where they are not the operator's.
    pub shares: Option<[f64; 7]>,
}

impl Phase {
    /// Checks the phases of a file; paths of errors are relative to the workload.
    ///
    /// # Errors
    /// A phase without a number of events, a name twice, a number out of range, or shares that do not sum to 1.
    pub fn all(wires: &[PhaseWire], clock: &VirtualClock) -> Result<Vec<Self>, Invalid> {
        let mut phases: Vec<Self> = Vec::with_capacity(wires.len());
        for (index, wire) in wires.iter().enumerate() {
            let here = |invalid: Invalid| invalid.within(&format!("phase[{index}]"));
            if phases.iter().any(|phase| phase.name == wire.name) {
                let found = format!("the name `{}` a second time", wire.name);
                return Err(here(Invalid::new("name", found, "a name for each phase")));
            }
            let mut phase = Self::new(wire, clock).map_err(here)?;
            if index + 1 < wires.len() {
                phase.events = phase.events.next_multiple_of(ROUND_EVENTS);
            }
            phases.push(phase);
        }
        Ok(phases)
    }

    fn new(wire: &PhaseWire, clock: &VirtualClock) -> Result<Self, Invalid> {
        const NUMBER: &str = "a number of `events`";
        if wire.name.trim().is_empty() {
            return Err(Invalid::new("name", "an empty text", "a name for each phase"));
        }
        if let Some(duration) = wire.duration {
            let allowed = format!(
                "{NUMBER}: a time ends at another event in every trial, and what comes then could not be compared"
            );
            return Err(Invalid::key("duration", format!("the time {duration}"), allowed));
        }
        let events = wire.events.ok_or_else(|| Invalid::new("events", "nothing", NUMBER))?;
        let rate = |path: &str, rate: Option<f64>| rate.map(|rate| check_range(path, rate, 1e-6..=1e9)).transpose();
        let (first, last) = (rate("rate", wire.rate)?, rate("ramp-to", wire.ramp_to)?);
        let rate = (first.is_some() || last.is_some()).then(|| {
            let first = first.unwrap_or(clock.rate());
            (first, last.unwrap_or(first))
        });
        let shares = wire.mix.as_ref().map(|shares| shares_of(shares).map_err(|invalid| invalid.within("mix")));
        Ok(Self {
            name: wire.name.clone(),
            events: check_range("events", events, 1..=1_000_000_000_000)?,
            rate,
            pause_ms: VirtualClock::span_ms("pause", wire.pause, 0)?,
            shift_keys: check_range("shift-keys", wire.shift_keys.unwrap_or(0.0), 0.0..=1.0)?,
            shares: shares.transpose()?,
        })
    }
}

fn shares_of(given: &BTreeMap<MixOperation, f64>) -> Result<[f64; 7], Invalid> {
    let mut shares = [0.0; 7];
    for (operation, share) in given {
        shares[*operation as usize] = check_range(operation.name(), *share, 0.0..=1.0)?;
    }
    super::operator::check_sum(&shares)?;
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::TimeWire;

    fn phases(text: &str) -> Result<Vec<Phase>, Invalid> {
        #[derive(Deserialize)]
        struct Holder {
            phase: Vec<PhaseWire>,
        }
        let clock = VirtualClock::new(&TimeWire { rate: 500.0, ..TimeWire::default() }, None).unwrap();
        Phase::all(&toml::from_str::<Holder>(text).unwrap().phase, &clock)
    }

    #[test]
    fn phases_end_with_whole_rounds_but_for_the_last() {
        let text = "phase = [{ name = 'a', events = 1 }, { name = 'b', events = 8_192 }, { name = 'c', events = 5 }]";
        assert_eq!(phases(text).unwrap().iter().map(|phase| phase.events).collect::<Vec<_>>(), [4_096, 8_192, 5]);
    }

    #[test]
    fn a_ramp_begins_at_the_rate_of_the_phase_or_of_the_clock() {
        let rate = |set: &str| phases(&format!("phase = [{{ name = 'a', events = 1, {set} }}]")).unwrap()[0].rate;
        assert_eq!(rate("pause = 5"), None);
        assert_eq!(rate("rate = 10"), Some((10.0, 10.0)));
        assert_eq!(rate("ramp-to = 10"), Some((500.0, 10.0)));
        assert_eq!(rate("rate = 20, ramp-to = 10"), Some((20.0, 10.0)));
    }

    #[test]
    fn impossible_phases_are_refused() {
        for (text, path) in [
            ("{ name = 'a' }", "phase[0].events"),
            ("{ name = 'a', duration = '5 s' }", "phase[0].duration"),
            ("{ name = 'a', events = 0 }", "phase[0].events"),
            ("{ name = ' ', events = 1 }", "phase[0].name"),
            ("{ name = 'a', events = 1 }, { name = 'a', events = 1 }", "phase[1].name"),
            ("{ name = 'a', events = 1, rate = 0 }", "phase[0].rate"),
            ("{ name = 'a', events = 1, ramp-to = 1e10 }", "phase[0].ramp-to"),
            ("{ name = 'a', events = 1, pause = '99999 d' }", "phase[0].pause"),
            ("{ name = 'a', events = 1, shift-keys = 1.1 }", "phase[0].shift-keys"),
            ("{ name = 'a', events = 1, mix = { read = 0.5 } }", "phase[0].mix"),
            ("{ name = 'a', events = 1, mix = { read = 1.5 } }", "phase[0].mix.read"),
        ] {
            assert_eq!(phases(&format!("phase = [{text}]")).unwrap_err().path, path, "{text}");
        }
        let unknown = toml::from_str::<PhaseWire>("name = 'a'\nevents = 1\nmix = { reed = 1.0 }").unwrap_err();
        assert!(unknown.message().contains("unknown variant `reed`, expected one of `read`"), "{unknown}");
    }
}
