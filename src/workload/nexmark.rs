//! The `[source.nexmark]` section: which records of Nexmark's auction site become events, and which of their fields an
//! operator sees.
//!
//! Constants are those of the Nexmark project for Flink. Every 50 records are a person, three auctions and 46 bids, in
//! this order, so what precedes a record follows from its position.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Bytes, Invalid, check_range};

/// The `[source.nexmark]` section as the file spells it: a stream that is not named is left out, though time passes for
/// it. Where none is named, bids are, by their auction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NexmarkWire {
    /// New people: one in 50 records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<RecordWire<PersonField>>,
    /// New auctions: three in 50 records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auction: Option<RecordWire<AuctionField>>,
    /// Bids: 46 in 50 records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<RecordWire<BidField>>,
}

/// What of a record an operator sees. The streams that are named are the operator's inputs, in the order person, auction,
/// bid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[serde(bound(deserialize = "F: Field + DeserializeOwned"))]
pub struct RecordWire<F: Field> {
    /// The field that the stream is partitioned by, or a list of fields that make up the key together.
    pub key: KeyFields<F>,
    /// The number that the operator works with.
    pub value: F,
    /// The second number, such as the id of another stream.
    pub other: F,
    /// Bytes of the rest of the record, where a query keeps but some of its fields; those of a whole record where it is not
    /// set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Bytes>,
}

impl<F: Field> Default for RecordWire<F> {
    fn default() -> Self {
        Self { key: KeyFields(vec![F::KEY]), value: F::VALUE, other: F::OTHER, payload: None }
    }
}

/// A field of one of the three kinds of record.
pub trait Field: Copy + PartialEq + fmt::Debug + Serialize + JsonSchema {
    /// What is the key where the file names none.
    const KEY: Self;
    /// What is the value.
    const VALUE: Self;
    /// What is the second number.
    const OTHER: Self;
}

/// A field of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PersonField {
    /// Its id: one after another.
    Id,
    /// One of ten cities, by number.
    City,
    /// One of six states of the US, by number.
    State,
}

impl Field for PersonField {
    const KEY: Self = Self::Id;
    const VALUE: Self = Self::State;
    const OTHER: Self = Self::City;
}

/// A field of an auction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuctionField {
    /// Its id: one after another.
    Id,
    /// The person that sells.
    Seller,
    /// One of five categories, from 10.
    Category,
    /// The lowest price that is bid.
    InitialBid,
    /// The price below which it is not sold.
    Reserve,
    /// When it ends, ms of event time.
    Expires,
}

impl Field for AuctionField {
    const KEY: Self = Self::Id;
    const VALUE: Self = Self::Reserve;
    const OTHER: Self = Self::Seller;
}

/// A field of a bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BidField {
    /// The auction that it is for.
    Auction,
    /// The person that bids.
    Bidder,
    /// What is bid, from 100 to 100,000,000; its logarithm is uniform.
    Price,
    /// The site that it came from, by number: half of the bids come from four of them, the others from 10,000.
    Channel,
}

impl Field for BidField {
    const KEY: Self = Self::Auction;
    const VALUE: Self = Self::Price;
    const OTHER: Self = Self::Bidder;
}

/// One field, or several that make up a key together; written as a name or as a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFields<F>(pub Vec<F>);

impl<'de, F: DeserializeOwned> Deserialize<'de> for KeyFields<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrList<F>(PhantomData<F>);
        impl<'de, F: DeserializeOwned> Visitor<'de> for NameOrList<F> {
            type Value = Vec<F>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field, or a list of names")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Vec<F>, E> {
                let name: StrDeserializer<'_, E> = name.into_deserializer();
                F::deserialize(name).map(|field| vec![field])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<F>, A::Error> {
                std::iter::from_fn(|| list.next_element().transpose()).collect()
            }
        }
        deserializer.deserialize_any(NameOrList(PhantomData)).map(Self)
    }
}

impl<F: Serialize> Serialize for KeyFields<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<F: JsonSchema> JsonSchema for KeyFields<F> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("KeyOf{}", F::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let field = generator.subschema_for::<F>();
        json_schema!({ "anyOf": [field, { "type": "array", "items": field, "minItems": 1, "uniqueItems": true }] })
    }
}

/// Records of each kind in an epoch, in this order.
pub const EPOCH: [u64; 3] = [1, 3, 46];
/// Records of an epoch.
pub const EPOCH_RECORDS: u64 = EPOCH[0] + EPOCH[1] + EPOCH[2];
/// A key is hot until so many more of its kind have been created.
pub const HOT_EVERY: u64 = 100;
/// The newest auctions that get bids beside the hot one.
pub const IN_FLIGHT: u64 = 100;
/// The newest people who bid and sell beside the hot ones.
pub const ACTIVE: u64 = 1_000;
/// Auctions and people that are referred to though they are yet to come.
pub const LEAD: u64 = 10;
/// The first id of people and auctions.
pub const FIRST_ID: u64 = 1_000;
/// The first category, and how many there are.
pub const CATEGORIES: (u64, u64) = (10, 5);
/// Sites that half of the bids come from, and all the others.
pub const CHANNELS: (u64, u64) = (4, 10_000);
/// Cities and states that people live in.
pub const PLACES: (u64, u64) = (10, 6);

/// Nexmark's auction site, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Nexmark {
    /// New people, where they are events.
    pub person: Option<Mapped<PersonField>>,
    /// New auctions.
    pub auction: Option<Mapped<AuctionField>>,
    /// Bids.
    pub bid: Option<Mapped<BidField>>,
}

/// What of a record becomes which part of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped<F> {
    /// The operator's input, from 0.
    pub input: u8,
    /// The fields of the key, one or more.
    pub key: Vec<F>,
    /// The value.
    pub value: F,
    /// The second number.
    pub other: F,
    /// Sizes of the payload.
    pub payload: PayloadSizes,
}

/// The largest payload that a file may set.
const MOST_PAYLOAD: Bytes = Bytes(1 << 20);

impl<F: Field> Mapped<F> {
    fn new(wire: &RecordWire<F>, name: &str, whole: PayloadSizes, input: &mut u8) -> Result<Self, Invalid> {
        let RecordWire { key: KeyFields(key), value, other, payload } = wire;
        let payload = payload.map(|bytes| check_range(&format!("{name}.payload"), bytes, Bytes(0)..=MOST_PAYLOAD));
        let payload =
            payload.transpose()?.map_or(whole, |Bytes(bytes)| PayloadSizes { min: bytes as u32, max: bytes as u32 });
        let path = format!("{name}.key");
        if key.is_empty() {
            return Err(Invalid::new(&path, "an empty list", "one field or more"));
        }
        if (1..key.len()).any(|index| key[..index].contains(&key[index])) {
            return Err(Invalid::new(&path, "a field twice", "each field once"));
        }
        *input += 1;
        Ok(Self { input: *input - 1, key: key.clone(), value: *value, other: *other, payload })
    }
}

impl Nexmark {
    /// Checks the wire form; paths of errors are relative to `source.nexmark`.
    ///
    /// # Errors
    /// A key of no field, or of one twice.
    pub fn new(wire: &NexmarkWire) -> Result<Self, Invalid> {
        let mut inputs = 0;
        let bids = (wire.person.is_none() && wire.auction.is_none()).then(RecordWire::default);
        let (person, auction, bid) = (&wire.person, &wire.auction, wire.bid.as_ref().or(bids.as_ref()));
        Ok(Self {
            person: person.as_ref().map(|wire| Mapped::new(wire, "person", PAYLOADS[0], &mut inputs)).transpose()?,
            auction: auction.as_ref().map(|wire| Mapped::new(wire, "auction", PAYLOADS[1], &mut inputs)).transpose()?,
            bid: bid.map(|wire| Mapped::new(wire, "bid", PAYLOADS[2], &mut inputs)).transpose()?,
        })
    }

    /// How many streams there are: the inputs of an operator.
    pub fn streams(&self) -> u64 {
        self.events_of_epoch().iter().map(|&events| events.min(1)).sum()
    }

    /// Records of each kind in an epoch that are events.
    fn events_of_epoch(&self) -> [u64; 3] {
        let of = |stream: bool, records: u64| if stream { records } else { 0 };
        [of(self.person.is_some(), EPOCH[0]), of(self.auction.is_some(), EPOCH[1]), of(self.bid.is_some(), EPOCH[2])]
    }

    /// The position of an event's record among all records, those included that are no events.
    #[inline]
    pub fn position(&self, sequence: u64) -> u64 {
        let [people, auctions, bids] = self.events_of_epoch();
        let all = people + auctions + bids;
        let (epoch, mut offset) = (sequence / all, sequence % all);
        if offset >= people {
            offset += EPOCH[0] - people;
            if offset >= EPOCH[0] + auctions {
                offset += EPOCH[1] - auctions;
            }
        }
        epoch * EPOCH_RECORDS + offset
    }

    /// One more than the largest id of a key in any run of up to 10^12 events: a key of several fields is mixed into 62
    /// bits.
    pub fn id_limit(&self) -> u64 {
        let several = [
            self.person.as_ref().is_some_and(|person| person.key.len() > 1),
            self.auction.as_ref().is_some_and(|auction| auction.key.len() > 1),
            self.bid.as_ref().is_some_and(|bid| bid.key.len() > 1),
        ];
        // Times and ids alike: a hundred years are 2^42 milliseconds.
        if several.contains(&true) { 1 << 62 } else { 1 << 50 }
    }

    /// Mean bytes of an event's payload.
    pub fn mean_payload_bytes(&self) -> f64 {
        let events = self.events_of_epoch();
        let sizes = [
            self.person.as_ref().map(|person| person.payload),
            self.auction.as_ref().map(|auction| auction.payload),
            self.bid.as_ref().map(|bid| bid.payload),
        ];
        let of_stream = |(&events, sizes): (&u64, &Option<PayloadSizes>)| {
            events as f64 * sizes.map_or(0.0, PayloadSizes::mean_bytes)
        };
        let bytes: f64 = events.iter().zip(&sizes).map(of_stream).sum();
        bytes / events.iter().sum::<u64>() as f64
    }

    /// The expected number of distinct keys among those of the first `events` events, to about 10 %: of the stream that
    /// has most, since the others refer to the same ids.
    pub fn distinct_expected(&self, events: u64) -> f64 {
        if events == 0 {
            return 0.0;
        }
        let epochs = self.position(events) as f64 / EPOCH_RECORDS as f64;
        let (people, auctions, bids) = (epochs, epochs * EPOCH[1] as f64, epochs * EPOCH[2] as f64);
        let of_person = |field: &PersonField| match field {
            PersonField::Id => people,
            PersonField::City => few(PLACES.0, people),
            PersonField::State => few(PLACES.1, people),
        };
        let of_auction = |field: &AuctionField| match field {
            AuctionField::Id | AuctionField::Expires => auctions,
            // One in four auctions is that of a seller who is not hot, one person in a hundred is.
            AuctionField::Seller => {
                people * (HOT_EVERY as f64).recip() + touched(people, auctions / 4.0, ACTIVE + LEAD)
            }
            AuctionField::Category => few(CATEGORIES.1, auctions),
            AuctionField::InitialBid | AuctionField::Reserve => prices(auctions),
        };
        let of_bid = |field: &BidField| match field {
            BidField::Auction => touched(auctions, bids / 2.0, IN_FLIGHT + LEAD),
            BidField::Bidder => touched(people, bids / 4.0, ACTIVE + LEAD),
            BidField::Price => prices(bids),
            BidField::Channel => few(CHANNELS.0, bids / 2.0) + few(CHANNELS.1, bids / 2.0),
        };
        let person = self.person.as_ref().map_or(0.0, |person| several(&person.key, people, of_person));
        let auction = self.auction.as_ref().map_or(0.0, |auction| several(&auction.key, auctions, of_auction));
        let bid = match &self.bid {
            Some(Mapped { key, .. }) if key.contains(&BidField::Auction) && key.contains(&BidField::Bidder) => {
                bids * DISTINCT_PAIRS
            }
            Some(bid) => several(&bid.key, bids, of_bid),
            None => 0.0,
        };
        person.max(auction).max(bid)
    }
}

/// Distinct pairs of auction and bidder for each bid: three bids in eight are of a pair that is hot on both sides and
/// comes again, and a hot bidder bids for the same auctions again and again. Counted over a million bids.
const DISTINCT_PAIRS: f64 = 0.32;

/// The distinct keys of several fields: no more than events, nor than there are combinations.
fn several<F>(key: &[F], events: f64, of: impl Fn(&F) -> f64) -> f64 {
    key.iter().map(of).product::<f64>().min(events)
}

/// Of `values` that are equally frequent, those that `draws` meet.
fn few(values: u64, draws: f64) -> f64 {
    let values = values as f64;
    values * -libm::expm1(draws * libm::log1p(-1.0 / values))
}

/// Of `created` keys, those that any of `draws` meets while it is among the newest `active`.
fn touched(created: f64, draws: f64, active: u64) -> f64 {
    let (active, rate) = (active as f64, draws / created);
    if created <= active {
        // The older a key the fewer there were when it was new, and the more often it was drawn.
        return created * rate / (1.0 + rate);
    }
    let met = -libm::expm1(-rate);
    (created - active) * met + active * (1.0 - met / rate)
}

/// Distinct prices among `draws`: the logarithm of a price is uniform over six decades, from 100.
fn prices(draws: f64) -> f64 {
    const STEPS: u32 = 600;
    let decade = |step: u32| 100.0 * libm::pow(10.0, 6.0 * f64::from(step) / f64::from(STEPS));
    let distinct = |step: u32| {
        let values = decade(step + 1) - decade(step);
        values * -libm::expm1(-draws / f64::from(STEPS) / values)
    };
    (0..STEPS).map(distinct).sum()
}

/// Sizes of the part of a record that is neither id nor number, in bytes: uniform, with the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadSizes {
    /// The smallest.
    pub min: u32,
    /// The largest.
    pub max: u32,
}

impl PayloadSizes {
    fn mean_bytes(self) -> f64 {
        f64::midpoint(f64::from(self.min), f64::from(self.max))
    }
}

/// Payloads of people, auctions and bids. Whole records have 200, 500 and 100 bytes on average; ids and numbers take 8, 48
/// and 32 of them, and what fills a record up (138, 390 and 68 bytes) varies by a fifth to both sides.
pub const PAYLOADS: [PayloadSizes; 3] = [
    PayloadSizes { min: 192 - 28, max: 192 + 27 },
    PayloadSizes { min: 452 - 78, max: 452 + 77 },
    PayloadSizes { min: 68 - 14, max: 68 + 13 },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn nexmark(text: &str) -> Result<Nexmark, Invalid> {
        Nexmark::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn inputs_are_numbered_in_the_order_of_an_epoch() {
        let bids = nexmark("").unwrap();
        let bid = Mapped {
            input: 0,
            key: vec![BidField::Auction],
            value: BidField::Price,
            other: BidField::Bidder,
            payload: PAYLOADS[2],
        };
        assert_eq!(bids, Nexmark { person: None, auction: None, bid: Some(bid) });
        assert_eq!(nexmark("bid = {}").unwrap(), bids);
        let people = nexmark("person.key = 'state'").unwrap();
        assert!(people.bid.is_none() && people.auction.is_none());
        let join = nexmark("bid = { key = ['bidder', 'auction'] }\nauction = { key = 'seller' }").unwrap();
        assert_eq!((join.auction.unwrap().input, join.bid.as_ref().unwrap().input), (0, 1));
        assert_eq!(join.bid.unwrap().key, [BidField::Bidder, BidField::Auction]);
    }

    #[test]
    fn positions_skip_what_is_no_event() {
        let positions = |text: &str, sequences: [u64; 5]| sequences.map(|at| nexmark(text).unwrap().position(at));
        assert_eq!(positions("person = {}\nauction = {}\nbid = {}", [0, 1, 49, 50, 123]), [0, 1, 49, 50, 123]);
        assert_eq!(positions("", [0, 1, 45, 46, 92]), [4, 5, 49, 54, 104]);
        assert_eq!(positions("auction = {}", [0, 1, 2, 3, 7]), [1, 2, 3, 51, 102]);
        assert_eq!(positions("person = {}", [0, 1, 2, 3, 4]), [0, 50, 100, 150, 200]);
        assert_eq!(positions("person = {}\nbid = {}", [0, 1, 46, 47, 48]), [0, 4, 49, 50, 54]);
        assert_eq!(positions("person = {}\nauction = {}", [0, 1, 3, 4, 5]), [0, 1, 3, 50, 51]);
        assert_eq!(positions("auction = {}\nbid = {}", [0, 2, 3, 48, 49]), [1, 3, 4, 49, 51]);
    }

    #[test]
    fn keys_without_a_field_or_with_one_twice_are_refused() {
        assert_eq!(nexmark("bid.key = []").unwrap_err().path, "bid.key");
        let twice = nexmark("auction.key = ['id', 'seller', 'id']").unwrap_err();
        assert_eq!((twice.path.as_str(), twice.found.as_str()), ("auction.key", "a field twice"));
        let unknown = toml::from_str::<NexmarkWire>("bid.key = 'auctoin'").unwrap_err();
        assert!(unknown.message().contains("unknown variant `auctoin`, expected one of `auction`, `bidder`"));
        assert!(toml::from_str::<NexmarkWire>("bid.key = 5").unwrap_err().message().contains("the name of a field"));
        assert!(toml::from_str::<NexmarkWire>("person.value = 'price'").is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = "person.key = 'city'\nbid = { key = ['bidder', 'auction'], other = 'channel' }";
        let wire: NexmarkWire = toml::from_str(text).unwrap();
        let json = serde_json::to_value(&wire).unwrap();
        assert_eq!(json["person"]["key"], "city");
        assert_eq!(json["bid"]["key"], serde_json::json!(["bidder", "auction"]));
        assert_eq!(serde_json::from_value::<NexmarkWire>(json).unwrap(), wire);
    }

    #[test]
    fn payloads_fill_records_up_to_their_size() {
        let ten_times = |text: &str| (10.0 * nexmark(text).unwrap().mean_payload_bytes()).round() as u32;
        // The random part is half a byte short of its mean, as Nexmark's is.
        assert_eq!(["person = {}", "auction = {}", "bid = {}"].map(ten_times), [1_915, 4_515, 675]);
        assert_eq!(ten_times("person = {}\nauction = {}\nbid = {}"), (1_915 + 3 * 4_515 + 46 * 675) / 50);
        assert_eq!(ten_times("auction.payload = 24\nbid.payload = '8 b'"), 90, "(3 · 24 + 46 · 8) / 49 = 8.98");
        assert_eq!(nexmark("bid.payload = '2 mb'").unwrap_err().path, "bid.payload");
    }
}
