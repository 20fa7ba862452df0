//! Events matched against rules that every subtask has.

use super::{Collector, Emitted, Operator};
use crate::source::Event;
use crate::state::{BroadcastState, Key, KeyedStateBackend, MapState, OperatorState, StateResult, VoidNamespace};
use crate::workload::{RuleSet, VALUE_RANGE};

/// Matches each event with all rules and counts for its key how often each rule has matched: a keyed broadcast process
/// function of Flink. The rules are broadcast state, in memory whatever the backend; the counts are a map state. An event of
/// the second input sets a rule, in all subtasks.
pub struct BroadcastRules {
    rules: BroadcastState<i64, Rule>,
    matches: MapState<VoidNamespace, i64, i64>,
    width: i64,
}

/// The values that a rule matches: from the first on, up to but without the second.
type Rule = (i64, i64);

/// The rule that begins this far into the range of values, 0 to [`VALUE_RANGE`].
fn rule(start: i64, width: i64) -> Rule {
    let range = VALUE_RANGE as i64;
    let low = start.rem_euclid(range) * (range - width + 1) / range;
    (low, low + width)
}

impl<K: Key> Operator<K> for BroadcastRules {
    type Spec = RuleSet;
    const BROADCAST_INPUT: Option<u8> = Some(RuleSet::INPUT);

    /// With rules from before the run, evenly spread over the values.
    fn open<B: KeyedStateBackend<K>>(spec: &RuleSet, backend: &mut B) -> StateResult<Self> {
        let (width, count) = (spec.width, i64::from(spec.rules));
        let mut rules = BroadcastState::new("rules");
        (0..count).for_each(|id| rules.put(id, rule(id * VALUE_RANGE as i64 / count, width)));
        Ok(Self { rules, matches: backend.map_state("matches")?, width })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        if event.stream == RuleSet::INPUT {
            self.rules.put(event.other, rule(event.value, self.width));
            return Ok(());
        }
        for (id, (low, high)) in self.rules.entries() {
            if (*low..*high).contains(&event.value) {
                let count = backend.map_get(self.matches, &VoidNamespace, id)?.map_or(0, |count| *count) + 1;
                backend.map_put(self.matches, &VoidNamespace, *id, count)?;
                out.emit_row(event, Emitted { key: event.key.as_long(), value: count, other: *id });
            }
        }
        Ok(())
    }

    fn operator_states(&mut self) -> Vec<&mut dyn OperatorState> {
        vec![&mut self.rules]
    }
}
