//! A source that reads the partitions of a topic and keeps in operator state how far it is.

use super::{Collector, Emitted, Operator, TaskInfo};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, OperatorListState, OperatorState, StateError, StateResult};
use crate::workload::{OffsetsRedistribution, SourcePartitions};

/// Reads records and emits the offset of each: Flink's Kafka sources as far as their state goes. An event is one record of
/// the partition that its key says. Every subtask is given all events, as every one can read the whole topic, and leaves
/// those of partitions that are not its own.
///
/// A partition begins in the subtask of its number modulo the parallelism. The offsets are a list of partitions and the next
/// offset of each. As a union list (the older `FlinkKafkaConsumer`) every subtask is restored with all of them and keeps
/// those that would begin there; split (the splits of `KafkaSource`) each goes on where it has come to.
pub struct SourceOffsets {
    offsets: OperatorListState<(i64, i64)>,
    redistribution: OffsetsRedistribution,
    /// The next offset of each partition that this subtask reads. The state follows when it is asked for, as Flink's sources
    /// write theirs in `snapshotState`.
    next: Vec<Option<i64>>,
}

impl SourceOffsets {
    /// Takes up the partitions of the restored list that are this subtask's.
    fn restore(&mut self, task: TaskInfo) -> StateResult<()> {
        let mut next = vec![None; self.next.len()];
        for &(partition, offset) in self.offsets.get() {
            let slot = usize::try_from(partition).ok().and_then(|partition| next.get_mut(partition));
            let slot = slot.ok_or_else(|| damaged(format!("it has a partition {partition} of {}", self.next.len())))?;
            if slot.is_some() {
                return Err(damaged(format!("partition {partition} comes twice")));
            }
            *slot = Some(offset);
        }
        if self.redistribution == OffsetsRedistribution::Union {
            let of_others = next.iter_mut().enumerate().filter(|(partition, _)| !begins_here(*partition, task));
            of_others.for_each(|(_, offset)| *offset = None);
        }
        self.next = next;
        Ok(())
    }
}

/// Whether a partition is first read by this subtask.
fn begins_here(partition: usize, task: TaskInfo) -> bool {
    partition % usize::from(task.parallelism) == usize::from(task.subtask)
}

fn damaged(what: String) -> StateError {
    StateError::Snapshot(what)
}

impl<K: Key> Operator<K> for SourceOffsets {
    type Spec = SourcePartitions;
    const HAS_PREFILL: bool = false;
    const BROADCAST_INPUT: Option<u8> = Some(0);

    fn open<B: KeyedStateBackend<K>>(spec: &SourcePartitions, _: &mut B) -> StateResult<Self> {
        let name = "partition-offsets";
        let offsets = match spec.redistribution {
            OffsetsRedistribution::Union => OperatorListState::union(name),
            OffsetsRedistribution::Split => OperatorListState::split(name),
        };
        Ok(Self { offsets, redistribution: spec.redistribution, next: vec![None; spec.partitions as usize] })
    }

    fn initialize_state(&mut self, task: TaskInfo, is_restored: bool) -> StateResult<()> {
        if is_restored {
            return self.restore(task);
        }
        for (partition, offset) in self.next.iter_mut().enumerate() {
            *offset = begins_here(partition, task).then_some(0);
        }
        Ok(())
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        _: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let partition = event.key.as_long().rem_euclid(self.next.len() as i64);
        if let Some(offset) = &mut self.next[partition as usize] {
            out.emit_row(event, Emitted { key: partition, value: *offset, other: event.value });
            *offset += 1;
        }
        Ok(())
    }

    fn operator_states(&mut self) -> Vec<&mut dyn OperatorState> {
        let read = self.next.iter().enumerate().filter_map(|(partition, offset)| Some((partition as i64, (*offset)?)));
        self.offsets.update(read.collect());
        vec![&mut self.offsets]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::NullBackend;

    fn opened(redistribution: OffsetsRedistribution) -> SourceOffsets {
        let spec = SourcePartitions { partitions: 5, redistribution };
        Operator::<i64>::open(&spec, &mut NullBackend::default()).unwrap()
    }

    fn initialize(source: &mut SourceOffsets, subtask: u16, parallelism: u16, is_restored: bool) -> StateResult<()> {
        Operator::<i64>::initialize_state(source, TaskInfo { subtask, parallelism }, is_restored)
    }

    fn restored(
        redistribution: OffsetsRedistribution,
        offsets: &[(i64, i64)],
        subtask: u16,
    ) -> StateResult<Vec<Option<i64>>> {
        let mut source = opened(redistribution);
        source.offsets.update(offsets.to_vec());
        initialize(&mut source, subtask, 2, true).map(|()| source.next)
    }

    #[test]
    fn partitions_begin_in_the_subtask_of_their_number_modulo_the_parallelism() {
        let begun = |subtask| {
            let mut source = opened(OffsetsRedistribution::Union);
            initialize(&mut source, subtask, 3, false).unwrap();
            source.next
        };
        let (mine, other) = (Some(0), None);
        assert_eq!(begun(0), [mine, other, other, mine, other]);
        assert_eq!(begun(1), [other, mine, other, other, mine]);
        assert_eq!(begun(2), [other, other, mine, other, other]);
    }

    #[test]
    fn of_a_union_list_a_subtask_keeps_its_own_and_of_a_split_one_all_that_it_got() {
        let offsets = [(0, 10), (1, 11), (2, 12), (4, 14)];
        let union = restored(OffsetsRedistribution::Union, &offsets, 0).unwrap();
        assert_eq!(union, [Some(10), None, Some(12), None, Some(14)]);
        let split = restored(OffsetsRedistribution::Split, &offsets, 0).unwrap();
        assert_eq!(split, [Some(10), Some(11), Some(12), None, Some(14)]);
    }

    #[test]
    fn a_list_that_is_not_one_of_partitions_is_refused() {
        for offsets in [&[(5, 0)][..], &[(-1, 0)], &[(1, 0), (1, 3)]] {
            assert!(restored(OffsetsRedistribution::Split, offsets, 0).is_err(), "{offsets:?}");
        }
    }
}
