//! Sources against plain reference implementations.

use std::collections::BTreeMap;

use super::{Shape, emits_what_the_reference_does};
use crate::operator::{Emitted, SourceOffsets};
use crate::state::StateTtls;
use crate::workload::{OffsetsRedistribution, SourcePartitions};

/// More partitions than subtasks, so that some change hands, and not as many in each.
const PARTITIONS: u32 = 5;

fn offsets_go_on(redistribution: OffsetsRedistribution) {
    let spec = SourcePartitions { partitions: PARTITIONS, redistribution };
    let shape = Shape { keys: 12, ..Shape::default() };
    emits_what_the_reference_does::<SourceOffsets>(&spec, &StateTtls::new(), shape, |events, out| {
        let mut next = BTreeMap::<i64, i64>::new();
        for event in events {
            let partition = event.key % i64::from(PARTITIONS);
            let offset = next.entry(partition).or_default();
            out.emit_row(event, Emitted { key: partition, value: *offset, other: event.value });
            *offset += 1;
        }
    });
}

#[test]
fn offsets_of_a_union_list_go_on_in_every_partition() {
    offsets_go_on(OffsetsRedistribution::Union);
}

#[test]
fn offsets_of_a_split_list_go_on_in_every_partition() {
    offsets_go_on(OffsetsRedistribution::Split);
}
