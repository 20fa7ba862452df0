//! Nexmark's auction site, generated from a seed. As with other generated events, a block is a function of seed and
//! position: which auction or person came last follows from the position, and each record takes the same number of random
//! words whatever is made of them.

use super::generated::stores;
use super::{BLOCK_EVENTS, Event};
use crate::state::{Payload, mix as mix_hash};
use crate::workload::nexmark::{
    ACTIVE, CATEGORIES, CHANNELS, EPOCH, EPOCH_RECORDS, FIRST_ID, HOT_EVERY, IN_FLIGHT, LEAD, PLACES, PayloadSizes,
};
use crate::workload::{
    AuctionField, BidField, Conditions, Keys, Mapped, MixOperation, Nexmark, Now, PayloadMaker, PersonField, Rng,
    SampledKey, Schedule, Stream, VirtualClock, Workload, below, unit,
};

/// Makes the events of a run over Nexmark's records.
pub(super) struct NexmarkGenerator {
    nexmark: Nexmark,
    keys: Keys,
    payloads: Option<PayloadMaker>,
    schedule: Schedule,
    seed: u64,
    clock: VirtualClock,
}

impl NexmarkGenerator {
    pub fn new(workload: &Workload, nexmark: &Nexmark, stream_seed: u64) -> Self {
        Self {
            nexmark: nexmark.clone(),
            keys: workload.keys.clone(),
            payloads: workload.payload_maker(),
            schedule: Schedule::new(workload),
            seed: stream_seed,
            clock: workload.clock.clone(),
        }
    }

    /// Time at the event of this sequence.
    pub fn now_at(&self, sequence: u64) -> Now {
        self.clock.at(self.schedule.at(sequence).arrival_ms(self.nexmark.position(sequence) as i64))
    }

    /// Makes the first `count` events of a block and hands them to `sink`.
    pub fn fill<K: SampledKey>(&self, block: u64, count: usize, mut sink: impl FnMut(Event<K>)) {
        let first = block * BLOCK_EVENTS as u64;
        let stream = |stream| Rng::for_block(self.seed, stream, block);
        let (mut ids, mut values) = (stream(Stream::Keys), stream(Stream::Values));
        let (mut operations, mut payloads, mut times) =
            (stream(Stream::Operations), stream(Stream::Payloads), stream(Stream::Times));
        // Phases begin with blocks.
        let conditions = self.schedule.at(first);
        for sequence in first..first + count as u64 {
            let position = self.nexmark.position(sequence);
            let processing_ms = conditions.arrival_ms(position as i64);
            let time_ms = processing_ms.saturating_sub(self.clock.delay_ms(&mut times));
            let record = Record {
                position,
                time_ms,
                ids: [ids.next_u64(), ids.next_u64()],
                values: [values.next_u64(), values.next_u64()],
            };
            let (seen, sizes) = self.see(&record, conditions);
            let operation = conditions.mix.as_ref().map_or(MixOperation::Read, |mix| mix.operation(operations.unit()));
            sink(Event {
                sequence,
                time_ms,
                watermark_ms: self.clock.watermark_at(processing_ms),
                processing_ms,
                key: K::from_id(seen.key, &self.keys),
                value: seen.value,
                other: seen.other,
                stream: seen.input,
                payload: match &self.payloads {
                    Some(maker) if stores(operation, conditions.mix.is_some()) => {
                        let size = sizes.min + payloads.below(u64::from(sizes.max - sizes.min) + 1) as u32;
                        maker.make_of_size(&mut payloads, size)
                    }
                    _ => Payload::default(),
                },
                operation,
            });
        }
    }

    /// What the operator sees of a record.
    #[inline]
    fn see(&self, record: &Record, conditions: &Conditions) -> (Seen, PayloadSizes) {
        // Positions are those of streams that are events, so there is always one.
        let Nexmark { person, auction, bid } = &self.nexmark;
        let seen = match record.kind() {
            Kind::Person => person.as_ref().map(|mapped| Seen::of(mapped, |field| record.person(field))),
            Kind::Auction => {
                // When enough auctions have been created to end all those that are open, on average.
                let records = IN_FLIGHT * EPOCH_RECORDS / EPOCH[1];
                let position = record.position as i64;
                let horizon_ms = conditions.arrival_ms(position + records as i64) - conditions.arrival_ms(position);
                auction.as_ref().map(|mapped| Seen::of(mapped, |field| record.auction(field, horizon_ms)))
            }
            Kind::Bid => bid.as_ref().map(|mapped| Seen::of(mapped, |field| record.bid(field))),
        };
        seen.unwrap_or_default()
    }
}

/// The kinds of record, in the order of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Auction,
    Bid,
}

/// What an operator sees of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    input: u8,
    key: u64,
    value: i64,
    other: i64,
}

impl Seen {
    #[inline]
    fn of<F: Copy>(mapped: &Mapped<F>, field: impl Fn(F) -> u64) -> (Self, PayloadSizes) {
        let key = match mapped.key[..] {
            [one] => field(one),
            ref several => several.iter().fold(0, |key, &one| mix_hash(key, field(one))) >> 2,
        };
        let (value, other) = (field(mapped.value) as i64, field(mapped.other) as i64);
        (Self { input: mapped.input, key, value, other }, mapped.payload)
    }
}

/// A record before anything is made of it: its place and the random words that its fields follow from.
struct Record {
    position: u64,
    time_ms: i64,
    ids: [u64; 2],
    values: [u64; 2],
}

impl Record {
    fn kind(&self) -> Kind {
        match self.position % EPOCH_RECORDS {
            offset if offset < EPOCH[0] => Kind::Person,
            offset if offset < EPOCH[0] + EPOCH[1] => Kind::Auction,
            _ => Kind::Bid,
        }
    }

    /// The number of the last person so far, from 0.
    fn last_person(&self) -> u64 {
        self.position / EPOCH_RECORDS
    }

    /// The number of the last auction so far, this one included, from 0. Not for a person, which is the first record of all.
    fn last_auction(&self) -> u64 {
        let offset = (self.position % EPOCH_RECORDS).saturating_sub(EPOCH[0]).min(EPOCH[1] - 1);
        self.position / EPOCH_RECORDS * EPOCH[1] + offset
    }

    fn person(&self, field: PersonField) -> u64 {
        match field {
            PersonField::Id => FIRST_ID + self.last_person(),
            PersonField::City => below(self.values[0], PLACES.0),
            PersonField::State => below(self.values[1], PLACES.1),
        }
    }

    fn auction(&self, field: AuctionField, horizon_ms: i64) -> u64 {
        match field {
            AuctionField::Id => FIRST_ID + self.last_auction(),
            AuctionField::Seller => match one_in_four(self.ids[0]) {
                Some(word) => FIRST_ID + self.any_person(word),
                None => FIRST_ID + self.last_person() / HOT_EVERY * HOT_EVERY,
            },
            AuctionField::Category => CATEGORIES.0 + below(self.ids[1], CATEGORIES.1),
            AuctionField::InitialBid => price(self.values[0]),
            AuctionField::Reserve => price(self.values[0]) + price(self.values[1]),
            AuctionField::Expires => {
                let most = (2 * horizon_ms).max(1) as u64;
                // The lower half of the word, of which the upper decides about the category.
                self.time_ms as u64 + 1 + below(self.ids[1] << 32, most)
            }
        }
    }

    fn bid(&self, field: BidField) -> u64 {
        match field {
            BidField::Auction if self.ids[0] >> 63 == 1 => FIRST_ID + self.last_auction() / HOT_EVERY * HOT_EVERY,
            BidField::Auction => FIRST_ID + self.any_auction(self.ids[0] << 1),
            BidField::Bidder => match one_in_four(self.ids[1]) {
                Some(word) => FIRST_ID + self.any_person(word),
                // The second of a hundred, so that it is not the hot seller.
                None => FIRST_ID + self.last_person() / HOT_EVERY * HOT_EVERY + 1,
            },
            BidField::Price => price(self.values[0]),
            BidField::Channel if self.values[1] >> 63 == 1 => below(self.values[1] << 1, CHANNELS.0),
            BidField::Channel => CHANNELS.0 + below(self.values[1] << 1, CHANNELS.1),
        }
    }

    /// An auction that is open, or yet to come.
    fn any_auction(&self, word: u64) -> u64 {
        let last = self.last_auction();
        let oldest = last.saturating_sub(IN_FLIGHT);
        oldest + below(word, last - oldest + 1 + LEAD)
    }

    /// A person who is active, or yet to come.
    fn any_person(&self, word: u64) -> u64 {
        let people = self.last_person() + 1;
        let active = people.min(ACTIVE);
        people - active + below(word, active + LEAD)
    }
}

/// In one of four cases, the rest of the word.
#[inline]
fn one_in_four(word: u64) -> Option<u64> {
    (word >> 62 == 0).then_some(word << 2)
}

/// 100 · 10^(6u) for u in [0, 1), rounded.
fn price(word: u64) -> u64 {
    libm::round(100.0 * libm::pow(10.0, 6.0 * unit(word))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{EventSource, Scratch};
    use crate::workload::Source;
    use std::collections::{HashMap, HashSet};
    use std::path::Path;

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    fn take(source: &EventSource, limit: u64) -> Vec<Event<i64>> {
        let (mut scratch, mut events) = (Scratch::default(), Vec::new());
        while source.take_block(u64::MAX, limit, &mut scratch, |event| events.push(event)).unwrap().is_some() {}
        events
    }

    fn events(text: &str, limit: u64) -> Vec<Event<i64>> {
        let workload = workload(text);
        take(&EventSource::open(&workload, 42).unwrap(), limit)
    }

    const ALL: &str = "source.nexmark = { person = {}, auction = {}, bid = {} }\n";

    /// Asserts a share of so many draws, to four standard deviations.
    #[track_caller]
    fn assert_share(count: usize, of: usize, share: f64) {
        let (expected, of) = (share * of as f64, of as f64);
        let deviation = (of * share * (1.0 - share)).sqrt();
        assert!((count as f64 - expected).abs() < 4.0 * deviation, "{count} of {of}, not {share}");
    }

    /// The same seed gives the same events on any platform and in any later release. A change of these values makes
    /// results incomparable with older ones.
    #[test]
    fn the_first_events_are_pinned() {
        let text = "source.nexmark = { person = {}, auction = { value = 'expires', other = 'category' }, bid = {} }\n\
                    operator.list-buffer = {}";
        let seen: Vec<_> = events(text, 54)
            .iter()
            .filter(|event| event.sequence < 6 || event.sequence > 49)
            .map(|event| (event.stream, event.key, event.value, event.other, event.payload.0.len()))
            .collect();
        insta::assert_snapshot!(format!("{seen:?}"), @"[(0, 1000, 4, 6, 207), (1, 1000, 2853, 10, 447), (1, 1001, 251, 11, 529), (1, 1002, 532, 10, 513), (2, 1011, 126837, 1001, 76), (2, 1000, 68074824, 1001, 70), (0, 1001, 1, 6, 201), (1, 1003, 2703, 10, 475), (1, 1004, 1495, 11, 479), (1, 1005, 1208, 11, 375)]");
    }

    #[test]
    fn blocks_are_the_same_however_many_threads_take_them() {
        let workload =
            workload(&format!("{ALL}time = {{ delayed = 0.1, delay = '3 s' }}\noperator.list-buffer = {{}}"));
        let alone = take(&EventSource::open(&workload, 7).unwrap(), 5_000);
        let source = EventSource::open(&workload, 7).unwrap();
        let mut together: Vec<Event<i64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| take(&source, 5_000))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        together.sort_by_key(|event| event.sequence);
        assert_eq!(together, alone);
        assert!(alone.iter().map(|event| event.sequence).eq(0..5_000));
    }

    #[test]
    fn records_come_in_nexmarks_proportions_and_order() {
        let events = events(ALL, 50_000);
        for epoch in events.chunks(50) {
            let streams: Vec<_> = epoch.iter().map(|event| event.stream).collect();
            assert_eq!(streams[..5], [0, 1, 1, 1, 2]);
            assert!(streams[4..].iter().all(|&stream| stream == 2));
        }
        let ids = |stream| events.iter().filter(move |event| event.stream == stream).map(|event| event.key);
        assert!(ids(0).eq(1_000..2_000) && ids(1).eq(1_000..4_000));
    }

    #[test]
    fn time_passes_for_what_is_no_event() {
        let all = events(&format!("{ALL}time.rate = 1_000_000\ntime.scale = 1_000.0"), 1_000);
        let bids = events("source = 'nexmark'\ntime.rate = 1_000_000\ntime.scale = 1_000.0", 46 * 20);
        let times = |events: &[Event<i64>]| events.iter().map(|event| event.time_ms).collect::<Vec<_>>();
        let of_bids: Vec<_> = all.iter().filter(|event| event.stream == 2).cloned().collect();
        assert_eq!(times(&bids), times(&of_bids));
        assert!(bids.iter().map(|event| event.sequence).eq(0..46 * 20));
        let workload = workload("source = 'nexmark'\ntime.rate = 1_000_000\ntime.scale = 1_000.0");
        assert_eq!(EventSource::open(&workload, 1).unwrap().now_at(46), bids[46].now());
    }

    #[test]
    fn half_of_the_bids_go_to_a_hot_auction_that_moves_on() {
        let bids = events("source = 'nexmark'", 500_000);
        let hot = |event: &&Event<i64>| {
            let last = event.sequence / 46 * 3 + 2;
            event.key as u64 == 1_000 + last / 100 * 100
        };
        // One cold bid in 111 goes to the hot auction too, as long as it is among the newest.
        let hot = bids.iter().filter(hot).count();
        assert_share(hot, bids.len(), 0.5 + 0.5 / 111.0);
        let mut cold = HashMap::new();
        for event in &bids {
            let last = (event.sequence / 46 * 3 + 2) as i64;
            let key = event.key - 1_000;
            assert!(key <= last + 10 && key >= (last - 100).max(0), "{key} of {last}");
            if last > 100 {
                *cold.entry(key - last).or_insert(0) += 1;
            }
        }
        assert_eq!(cold.len(), 111, "every distance from 100 before to 10 after the last");
    }

    #[test]
    fn three_in_four_bids_are_of_a_hot_bidder_and_auctions_of_a_hot_seller() {
        let text = "source.nexmark = { auction = { key = 'seller' }, bid = { key = 'bidder' } }";
        let events = events(text, 490_000);
        let mut hot = [0, 0];
        for event in &events {
            let last = (event.sequence / 49) as i64;
            let base = last / 100 * 100;
            let key = event.key - 1_000;
            assert!(key <= last + 10 && key >= (last - 999).max(0), "{key} of {last}");
            hot[usize::from(event.stream)] += usize::from(key == base + i64::from(event.stream));
        }
        // Of 1,010 cold ones one is the hot one; at the start of fewer.
        assert_share(hot[0], 30_000, 0.75 + 0.25 / 1_000.0);
        assert_share(hot[1], 460_000, 0.75 + 0.25 / 1_000.0);
    }

    #[test]
    fn the_logarithm_of_a_price_is_uniform() {
        let prices = events("source = 'nexmark'", 200_000);
        let decades: Vec<f64> = prices.iter().map(|event| (event.value as f64 / 100.0).log10()).collect();
        assert!(decades.iter().all(|&decade| (0.0..=6.0).contains(&decade)));
        let mean = decades.iter().sum::<f64>() / decades.len() as f64;
        let variance = decades.iter().map(|decade| (decade - mean).powi(2)).sum::<f64>() / decades.len() as f64;
        // Of a uniform distribution over six decades: 3 and 36 / 12.
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
        assert!((variance - 3.0).abs() < 0.03, "{variance}");
        // E = 100 (10^6 - 1) / (6 ln 10).
        let price = prices.iter().map(|event| event.value as f64).sum::<f64>() / prices.len() as f64;
        assert!((price / 7.238_24e6 - 1.0).abs() < 0.02, "{price}");
    }

    #[test]
    fn small_fields_have_their_values() {
        let counted = |text: &str, events_of: u64, value: fn(&Event<i64>) -> i64| {
            let mut counts = HashMap::new();
            events(text, events_of).iter().for_each(|event| *counts.entry(value(event)).or_insert(0) += 1);
            counts
        };
        let categories = counted("source.nexmark.auction = { key = 'category' }", 30_000, |event| event.key);
        let people = counted("source.nexmark.person = {}", 30_000, |event| event.value * 100 + event.other);
        assert_eq!((categories.len(), people.len()), (5, 60));
        for category in 10..15 {
            assert_share(categories[&category], 30_000, 0.2);
        }
        let channels = counted("source.nexmark.bid = { value = 'channel' }", 400_000, |event| event.value);
        assert_share((0..4).map(|hot| channels[&hot]).sum(), 400_000, 0.5);
        assert_share(channels[&3], 400_000, 0.125);
        assert_eq!((channels.len(), channels.keys().max()), (10_004, Some(&10_003)));
    }

    #[test]
    fn auctions_last_for_as_long_as_a_hundred_take_on_average() {
        // 1,666 records of 1 ms.
        let text = "source.nexmark.auction = { value = 'expires', other = 'initial-bid' }";
        let auctions = events(text, 60_000);
        let lengths: Vec<_> = auctions.iter().map(|event| event.value - event.time_ms).collect();
        assert!(lengths.iter().all(|length| (1..=2 * 1_666).contains(length)));
        let mean = lengths.iter().sum::<i64>() as f64 / lengths.len() as f64;
        assert!((mean - 1_666.5).abs() < 20.0, "{mean}");
        let reserves = events("source.nexmark.auction = { other = 'initial-bid' }", 1_000);
        assert!(reserves.iter().all(|event| event.value >= event.other + 100));
        // What is drawn does not depend on what is asked for.
        assert!(reserves.iter().zip(&auctions).all(|(one, other)| one.other == other.other));
    }

    #[test]
    fn payloads_have_the_sizes_of_nexmarks_records() {
        let events = events(&format!("{ALL}operator.list-buffer = {{}}"), 100_000);
        for (stream, (mean, fixed, spread)) in [(200, 8, 28), (500, 48, 78), (100, 32, 14)].into_iter().enumerate() {
            let of = events.iter().filter(|event| usize::from(event.stream) == stream);
            let sizes: Vec<_> = of.map(|event| event.payload.0.len() as i64 + fixed).collect();
            let average = sizes.iter().sum::<i64>() as f64 / sizes.len() as f64;
            assert!((average - mean as f64).abs() < 2.0, "{average}");
            assert!(sizes.iter().all(|size| (mean - spread..mean + spread).contains(size)));
        }
    }

    #[test]
    fn the_number_of_keys_is_foreseen() {
        for key in [
            "auction = { key = 'id' }",
            "auction = { key = 'seller' }",
            "auction = { key = 'category' }",
            "auction = { key = 'expires' }",
            "person = { key = 'id' }",
            "person = { key = ['city', 'state'] }",
            "bid = { key = 'auction' }",
            "bid = { key = 'bidder' }",
            "bid = { key = 'price' }",
            "bid = { key = 'channel' }",
            "bid = { key = ['bidder', 'auction'] }",
            "auction = { key = 'id' }, bid = { key = 'auction' }",
        ] {
            let text = format!("source.nexmark = {{ {key} }}");
            let Source::Nexmark(nexmark) = workload(&text).source else { panic!("{text}") };
            for count in [100_000, 400_000] {
                let keys: HashSet<_> = events(&text, count).iter().map(|event| event.key).collect();
                let expected = nexmark.distinct_expected(count);
                let error = expected / keys.len() as f64 - 1.0;
                assert!(error.abs() < 0.1, "{key} of {count}: {} keys, {expected} expected", keys.len());
            }
        }
    }

    #[test]
    fn string_keys_tell_ids_apart() {
        let text = "source.nexmark.bid = { key = ['bidder', 'auction'] }\nkeys.type.string.length = '16 b'";
        let workload = workload(text);
        let source = EventSource::open(&workload, 42).unwrap();
        let (mut scratch, mut keys) = (Scratch::default(), HashSet::new());
        let mut sink = |event: Event<crate::state::StringKey>| {
            keys.insert(event.key.as_str().to_owned());
        };
        while source.take_block(u64::MAX, 20_000, &mut scratch, &mut sink).unwrap().is_some() {}
        let longs: HashSet<_> =
            events("source.nexmark.bid.key = ['bidder', 'auction']", 20_000).iter().map(|e| e.key).collect();
        assert_eq!(keys.len(), longs.len());
        assert!(keys.iter().all(|key| key.len() == 16));
    }
}
