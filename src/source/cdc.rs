//! The change stream of orders and customers. What happened at a position follows from the seed and the position alone,
//! so a later change knows the order that it is about without anybody remembering it.

use super::{BLOCK_EVENTS, Event};
use crate::state::Payload;
use crate::workload::{
    CdcOrders, KeySampler, Keys, MixOperation, Now, Rng, SampledKey, Schedule, Stream, VirtualClock, Workload,
};

/// Amounts are below this many minor units.
const AMOUNTS: u64 = 100_000;
/// Earlier positions that are looked at for an order to change.
const TRIES: u32 = 8;

/// The input of order changes.
const ORDERS: u8 = 0;
/// The input of customer changes.
const CUSTOMERS: u8 = 1;

/// Makes the changes of a run.
pub(super) struct CdcGenerator {
    orders: CdcOrders,
    keys: Keys,
    sampler: KeySampler,
    seed: u64,
    clock: VirtualClock,
    schedule: Schedule,
    /// Customers, each of which comes once before the first order.
    customers: u64,
}

/// What happens at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Customer {
        customer: u64,
        segment: i64,
    },
    /// An order is new, or gets another amount.
    Order {
        order: u64,
        amount: i64,
    },
    Deletion {
        order: u64,
    },
}

impl CdcGenerator {
    pub fn new(workload: &Workload, orders: &CdcOrders, stream_seed: u64) -> Self {
        Self {
            orders: orders.clone(),
            keys: workload.keys.clone(),
            sampler: KeySampler::new(&workload.keys, workload.run.seed),
            seed: stream_seed,
            clock: workload.clock.clone(),
            schedule: Schedule::new(workload),
            customers: workload.keys.cardinality,
        }
    }

    /// Time at the event of this sequence.
    pub fn now_at(&self, sequence: u64) -> Now {
        self.clock.at(self.schedule.at(sequence).arrival_ms(sequence as i64))
    }

    /// Makes the first `count` events of a block and hands them to `sink`.
    pub fn fill<K: SampledKey>(&self, block: u64, count: usize, mut sink: impl FnMut(Event<K>)) {
        let first = block * BLOCK_EVENTS as u64;
        let mut times = Rng::for_block(self.seed, Stream::Times, block);
        // Phases begin with blocks.
        let conditions = self.schedule.at(first);
        for sequence in first..first + count as u64 {
            let processing_ms = conditions.arrival_ms(sequence as i64);
            let (stream, customer, value, other, operation) = match self.change_at(sequence) {
                Change::Customer { customer, segment } => (CUSTOMERS, customer, segment, 0, MixOperation::Update),
                Change::Order { order, amount } => {
                    (ORDERS, self.customer_of(order), amount, order as i64, MixOperation::Update)
                }
                Change::Deletion { order } => (ORDERS, self.customer_of(order), 0, order as i64, MixOperation::Delete),
            };
            sink(Event {
                sequence,
                time_ms: processing_ms.saturating_sub(self.clock.delay_ms(&mut times)),
                watermark_ms: self.clock.watermark_at(processing_ms),
                processing_ms,
                key: K::from_id(customer, &self.keys),
                value,
                other,
                stream,
                payload: Payload::default(),
                operation,
            });
        }
    }

    fn change_at(&self, position: u64) -> Change {
        let segments = u64::from(self.orders.segments);
        let mut rng = Rng::for_block(self.seed, Stream::Operations, position);
        if position < self.customers {
            return Change::Customer { customer: position, segment: rng.below(segments) as i64 };
        }
        if rng.unit() < self.orders.customer_changes {
            return Change::Customer { customer: rng.below(self.customers), segment: rng.below(segments) as i64 };
        }
        let kind = rng.unit();
        let amount = 1 + rng.below(AMOUNTS - 1) as i64;
        if kind < self.orders.updates + self.orders.deletes
            && let Some(order) = self.earlier_order(position, &mut rng)
        {
            let is_update = kind < self.orders.updates;
            return if is_update { Change::Order { order, amount } } else { Change::Deletion { order } };
        }
        Change::Order { order: position, amount }
    }

    /// A position before this one at which an order was new.
    fn earlier_order(&self, position: u64, rng: &mut Rng) -> Option<u64> {
        let back = self.orders.recent.min(position - self.customers);
        if back == 0 {
            return None;
        }
        (0..TRIES).map(|_| position - 1 - rng.below(back)).find(|&earlier| self.is_new_order(earlier))
    }

    /// Whether the order of a position is new there: of one that would change an order before it, this is not asked.
    fn is_new_order(&self, position: u64) -> bool {
        let mut rng = Rng::for_block(self.seed, Stream::Operations, position);
        rng.unit() >= self.orders.customer_changes && rng.unit() >= self.orders.updates + self.orders.deletes
    }

    /// Whose order it is.
    fn customer_of(&self, order: u64) -> u64 {
        let mut id = [0];
        self.sampler.fill(&mut Rng::for_block(self.seed, Stream::Keys, order), order, &mut id);
        id[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{EventSource, Scratch};
    use std::collections::HashMap;
    use std::path::Path;

    fn events(text: &str, limit: u64) -> Vec<Event<i64>> {
        let text = format!("keys.cardinality = 1000\n{text}");
        let workload = Workload::new(&toml::from_str(&text).unwrap(), Path::new(".")).unwrap();
        let source = EventSource::open(&workload, 7).unwrap();
        let (mut scratch, mut events) = (Scratch::default(), Vec::new());
        while source.take_block(u64::MAX, limit, &mut scratch, |event| events.push(event)).unwrap().is_some() {}
        events
    }

    #[test]
    fn customers_come_first_and_changes_follow_their_orders() {
        let events = events("source.cdc-orders.recent = 2_000", 50_000);
        assert!(events[..1000].iter().zip(0..).all(|(event, customer)| (event.stream, event.key) == (1, customer)));
        let (mut owners, mut counts) = (HashMap::new(), [0_u64; 4]);
        for event in &events[1000..] {
            if event.stream == CUSTOMERS {
                counts[0] += 1;
                assert!((0..5).contains(&event.value));
                continue;
            }
            let is_new = event.other == event.sequence as i64;
            let owner = *owners.entry(event.other).or_insert(event.key);
            assert_eq!(owner, event.key, "an order stays its customer's");
            assert!(event.other <= event.sequence as i64 && event.other >= event.sequence as i64 - 2_000);
            counts[if event.operation == MixOperation::Delete {
                3
            } else if is_new {
                1
            } else {
                2
            }] += 1;
        }
        let share = |count: u64, of: u64| (1000.0 * count as f64 / of as f64).round();
        assert!((15.0..25.0).contains(&share(counts[0], 49_000)), "{counts:?}");
        let orders = counts[1] + counts[2] + counts[3];
        assert!((585.0..615.0).contains(&share(counts[1], orders)), "{counts:?}");
        assert!((285.0..315.0).contains(&share(counts[2], orders)), "{counts:?}");
        assert!((90.0..110.0).contains(&share(counts[3], orders)), "{counts:?}");
    }

    #[test]
    fn the_first_changes_are_pinned() {
        let seen: Vec<_> = events("source.cdc-orders = {}", 1_300)[1_296..]
            .iter()
            .map(|event| (event.key, event.value, event.other, event.stream, event.operation))
            .collect();
        insta::assert_snapshot!(format!("{seen:?}"), @"[(969, 56109, 1296, 0, Update), (436, 45845, 1297, 0, Update), (696, 13058, 1298, 0, Update), (64, 19202, 1094, 0, Update)]");
    }
}
