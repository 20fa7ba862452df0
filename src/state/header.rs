//! The header of a snapshot of keyed state: Flink's `KeyedBackendSerializationProxy`.
//!
//! It tells whether what follows is compressed, what wrote the keys, and of each state its name, its kind and what wrote
//! its namespaces and values. Entries follow under the numbers that states have in it, from 0.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{Key, Namespace};
use super::serializer::{Serializer, expect, write_ints};
use super::timer::Timer;
use super::utf::{MOST_BYTES, read_utf, utf_len, write_utf};
use super::{Aggregate, Codec, Reduce, StateError, StateKind, StateResult, StateValue, UserKey};

/// The version of the header.
const VERSION: i32 = 6;
/// The version of what stands before each serializer: `TypeSerializerSnapshotSerializationProxy`.
const SERIALIZER_VERSION: i32 = 2;
/// States that the `int16` of the header can count.
const MOST_STATES: usize = i16::MAX as usize;

/// `StateMetaInfoSnapshot.BackendStateType` of a state, and of a queue of timers.
const KEY_VALUE: i32 = 0;
const PRIORITY_QUEUE: i32 = 3;

/// Keys of the maps that describe a state.
const KEYED_STATE_TYPE: &str = "KEYED_STATE_TYPE";
const VALUE_SERIALIZER: &str = "VALUE_SERIALIZER";
const NAMESPACE_SERIALIZER: &str = "NAMESPACE_SERIALIZER";

/// What a header tells of one state: Flink's `RegisteredStateMetaInfoBase`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMeta {
    /// Its name; of timers that of their queue.
    pub name: String,
    /// What it holds.
    pub content: StateContent,
}

/// What a state holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateContent {
    /// Entries.
    KeyValue {
        /// The kind of the state.
        kind: StateKind,
        /// What wrote the namespaces.
        namespace: Serializer,
        /// What wrote the values: lists and maps as whole objects.
        value: Serializer,
    },
    /// Timers.
    Timers(Serializer),
}

impl StateMeta {
    fn key_value<N: Namespace>(name: &str, kind: StateKind, value: Serializer) -> Self {
        let content = StateContent::KeyValue { kind, namespace: N::serializer(), value };
        Self { name: name.to_owned(), content }
    }

    /// Of a value state.
    pub fn value<N: Namespace, T: StateValue>(name: &str) -> Self {
        Self::key_value::<N>(name, StateKind::Value, T::serializer())
    }

    /// Of a list state.
    pub fn list<N: Namespace, T: StateValue>(name: &str) -> Self {
        Self::key_value::<N>(name, StateKind::List, Serializer::list(T::serializer()))
    }

    /// Of a map state.
    pub fn map<N: Namespace, U: UserKey, T: StateValue>(name: &str) -> Self {
        Self::key_value::<N>(name, StateKind::Map, Serializer::map(U::serializer(), T::serializer()))
    }

    /// Of a reducing state.
    pub fn reducing<N: Namespace, F: Reduce>(name: &str) -> Self {
        Self::key_value::<N>(name, StateKind::Reducing, F::Value::serializer())
    }

    /// Of an aggregating state.
    pub fn aggregating<N: Namespace, F: Aggregate>(name: &str) -> Self {
        Self::key_value::<N>(name, StateKind::Aggregating, F::Accumulator::serializer())
    }

    /// Of the queue of this name.
    pub fn timers<K: Key, N: Namespace>(queue: &str) -> Self {
        Self { name: queue.to_owned(), content: StateContent::Timers(Timer::<K, N>::serializer()) }
    }

    /// Whether a header can tell of this state beside so many others.
    ///
    /// # Errors
    /// Its name is too long, or the others are too many.
    pub fn check(&self, others: usize) -> StateResult<()> {
        let bytes = utf_len(&self.name);
        if bytes > MOST_BYTES {
            let reason = format!("a state name takes {bytes} bytes, and {MOST_BYTES} are the most");
            return Err(StateError::Storage(reason));
        }
        if others >= MOST_STATES {
            let reason = format!("`{}` would be one state more than the {MOST_STATES} of a backend", self.name);
            return Err(StateError::Storage(reason));
        }
        Ok(())
    }

    /// Appends what tells of the state: `StateMetaInfoSnapshot`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_utf(&self.name, out);
        match &self.content {
            StateContent::KeyValue { kind, namespace, value } => {
                write_ints([KEY_VALUE, 1], out);
                write_utf(KEYED_STATE_TYPE, out);
                write_utf(kind_name(*kind), out);
                2.encode(out);
                write_serializer(VALUE_SERIALIZER, value, out);
                write_serializer(NAMESPACE_SERIALIZER, namespace, out);
            }
            StateContent::Timers(timer) => {
                write_ints([PRIORITY_QUEUE, 0, 1], out);
                write_serializer(VALUE_SERIALIZER, timer, out);
            }
        }
    }

    /// Reads what [`write`](Self::write) has written.
    pub(crate) fn read(input: &mut &[u8]) -> StateResult<Self> {
        let name = read_utf(input)?;
        let content = match i32::decode(input)? {
            KEY_VALUE => {
                expect(input, 1, || format!("the number of options of state `{name}`"))?;
                expect_text(input, KEYED_STATE_TYPE)?;
                let kind = read_kind(&name, input)?;
                expect(input, 2, || format!("the number of serializers of state `{name}`"))?;
                let value = read_serializer(VALUE_SERIALIZER, input)?;
                StateContent::KeyValue { kind, namespace: read_serializer(NAMESPACE_SERIALIZER, input)?, value }
            }
            PRIORITY_QUEUE => {
                expect(input, 0, || format!("the number of options of state `{name}`"))?;
                expect(input, 1, || format!("the number of serializers of state `{name}`"))?;
                StateContent::Timers(read_serializer(VALUE_SERIALIZER, input)?)
            }
            other => {
                let reason = format!("its state `{name}` is of type {other}, which this backend does not have");
                return Err(StateError::Incompatible(reason));
            }
        };
        Ok(Self { name, content })
    }

    /// Whether a state of this job is what was written.
    pub(crate) fn check_against(&self, own: &Self) -> StateResult<()> {
        let name = &self.name;
        let differ = |what: &str, written: &dyn std::fmt::Display, own: &dyn std::fmt::Display| {
            Err(StateError::Incompatible(format!("{what} state `{name}` is {written}, in this job {own}")))
        };
        let compare = |what: &str, written: &Serializer, own: &Serializer| {
            if written == own { Ok(()) } else { differ(what, written, own) }
        };
        match (&self.content, &own.content) {
            (
                StateContent::KeyValue { kind, namespace, value },
                StateContent::KeyValue { kind: own_kind, namespace: own_namespace, value: own_value },
            ) => {
                if kind != own_kind {
                    return differ("the kind of", &kind_name(*kind), &kind_name(*own_kind));
                }
                compare("the value type of", value, own_value)?;
                compare("the namespace type of", namespace, own_namespace)
            }
            (StateContent::Timers(timer), StateContent::Timers(own_timer)) => {
                compare("the timer type of", timer, own_timer)
            }
            (StateContent::Timers(_), StateContent::KeyValue { kind, .. }) => {
                differ("the kind of", &"a timer queue", &kind_name(*kind))
            }
            (StateContent::KeyValue { kind, .. }, StateContent::Timers(_)) => {
                differ("the kind of", &kind_name(*kind), &"a timer queue")
            }
        }
    }
}

const KINDS: [StateKind; 5] =
    [StateKind::Value, StateKind::List, StateKind::Map, StateKind::Reducing, StateKind::Aggregating];

/// `StateDescriptor.Type`.
const fn kind_name(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Value => "VALUE",
        StateKind::List => "LIST",
        StateKind::Map => "MAP",
        StateKind::Reducing => "REDUCING",
        StateKind::Aggregating => "AGGREGATING",
    }
}

fn read_kind(state: &str, input: &mut &[u8]) -> StateResult<StateKind> {
    let found = read_utf(input)?;
    KINDS.into_iter().find(|kind| kind_name(*kind) == found).ok_or_else(|| {
        StateError::Incompatible(format!("its state `{state}` is of kind `{found}`, which this backend does not have"))
    })
}

/// Appends a serializer under its key.
fn write_serializer(key: &str, serializer: &Serializer, out: &mut Vec<u8>) {
    write_utf(key, out);
    SERIALIZER_VERSION.encode(out);
    serializer.write(out);
}

fn read_serializer(key: &str, input: &mut &[u8]) -> StateResult<Serializer> {
    expect_text(input, key)?;
    read_versioned(key, input)
}

fn read_versioned(what: &str, input: &mut &[u8]) -> StateResult<Serializer> {
    expect(input, SERIALIZER_VERSION, || format!("the version before `{what}`"))?;
    Serializer::read(input)
}

fn expect_text(input: &mut &[u8], expected: &str) -> StateResult<()> {
    let found = read_utf(input)?;
    if found == expected {
        return Ok(());
    }
    Err(StateError::Snapshot(format!("`{found}` stands in its header where `{expected}` should")))
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whether what follows is compressed.
    pub compressed: bool,
    /// What wrote the keys.
    pub key: Serializer,
    /// The states, in the order of their numbers.
    pub states: Vec<StateMeta>,
}

/// The header of a snapshot of these states, each of which passed [`StateMeta::check`].
pub fn write_header<'a>(
    compressed: bool,
    key: &Serializer,
    states: impl ExactSizeIterator<Item = &'a StateMeta>,
) -> Vec<u8> {
    let mut out = Vec::new();
    VERSION.encode(&mut out);
    compressed.encode(&mut out);
    SERIALIZER_VERSION.encode(&mut out);
    key.write(&mut out);
    out.extend_from_slice(&(states.len() as i16).to_be_bytes());
    states.for_each(|state| state.write(&mut out));
    out
}

impl Header {
    /// Reads a header, which is all of `bytes`.
    ///
    /// # Errors
    /// It is not a header that [`write_header`] writes: damaged, of another version, with serializers or kinds of state
    /// that are not known here.
    pub fn read(bytes: &[u8]) -> StateResult<Self> {
        Self::parse(bytes).map_err(|error| match error {
            StateError::Codec(error) => StateError::Snapshot(format!("in its header, {error}")),
            other => other,
        })
    }

    fn parse(mut input: &[u8]) -> StateResult<Self> {
        let version = i32::decode(&mut input)?;
        if version != VERSION {
            let reason = format!("its header is of version {version}, and this statebench reads version {VERSION}");
            return Err(StateError::Incompatible(reason));
        }
        let compressed = bool::decode(&mut input)?;
        let key = read_versioned("the key serializer", &mut input)?;
        let (count, rest) = input
            .split_first_chunk()
            .ok_or_else(|| StateError::Snapshot("its header ends before the number of states".to_owned()))?;
        input = rest;
        let count = i16::from_be_bytes(*count);
        let states: Vec<StateMeta> = (0..count).map(|_| StateMeta::read(&mut input)).collect::<StateResult<_>>()?;
        let mut names = BTreeSet::new();
        if let Some(state) = states.iter().find(|state| !names.insert(&state.name)) {
            return Err(StateError::Snapshot(format!("its header has the state `{}` twice", state.name)));
        }
        if count < 0 || !input.is_empty() {
            let reason = format!("its header has {count} states, and {} bytes follow", input.len());
            return Err(StateError::Snapshot(reason));
        }
        Ok(Self { compressed, key, states })
    }

    /// Where each written state is among those of this job, which must be the same states, in any order.
    ///
    /// # Errors
    /// Keys, states, their kinds or serializers differ: the error tells which and how.
    pub fn positions_in<'a>(
        &self,
        key: &Serializer,
        states: impl Iterator<Item = &'a StateMeta>,
    ) -> StateResult<Vec<usize>> {
        if self.key != *key {
            let reason = format!("its keys are {}, in this job {key}", self.key);
            return Err(StateError::Incompatible(reason));
        }
        let mut own: BTreeMap<&str, (usize, &StateMeta)> =
            states.enumerate().map(|(position, state)| (state.name.as_str(), (position, state))).collect();
        let position = |written: &StateMeta| {
            let Some((position, own)) = own.remove(written.name.as_str()) else {
                return Err(StateError::Incompatible(format!("its state `{}` is not one of this job", written.name)));
            };
            written.check_against(own).map(|()| position)
        };
        let positions = self.states.iter().map(position).collect::<StateResult<_>>()?;
        match own.keys().next() {
            Some(missing) => Err(StateError::Incompatible(format!("the state `{missing}` of this job is not in it"))),
            None => Ok(positions),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::state::{CompositeSerializer, SimpleSerializer, StringKey, TextNamespace, TimeWindow, VoidNamespace};

    fn of(key: &Serializer, states: &[StateMeta]) -> Vec<u8> {
        write_header(false, key, states.iter())
    }

    fn long_state() -> StateMeta {
        StateMeta::value::<VoidNamespace, i64>("v")
    }

    #[test]
    fn a_header_is_as_long_as_in_flink() {
        let long = i64::serializer();
        assert_eq!(of(&long, &[long_state()]).len(), 363);
        let states = [
            long_state(),
            StateMeta::list::<VoidNamespace, i64>("l"),
            StateMeta::map::<VoidNamespace, String, i64>("m"),
            StateMeta::timers::<i64, VoidNamespace>("_timer_state/processing_user-timers"),
        ];
        assert_eq!(of(&long, &states).len(), 1502);
    }

    #[test]
    fn a_header_has_the_layout_of_flink() {
        let bytes = write_header(true, &i64::serializer(), [long_state()].iter());
        let (front, rest) = bytes.split_at(4 + 1 + 4 + 2);
        assert_eq!(front, [0, 0, 0, 6, 1, 0, 0, 0, 2, 0, 80]);
        let (class, rest) = rest.split_at(80);
        assert_eq!(class, b"org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot");
        let (state, rest) = rest.split_at(4 + 2 + 3 + 4 + 4);
        assert_eq!(state, [0, 0, 0, 3, 0, 1, 0, 1, b'v', 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(rest[..29], *b"\0\x10KEYED_STATE_TYPE\0\x05VALUE\0\0\0\x02");
        assert_eq!(rest[29..51], *b"\0\x10VALUE_SERIALIZER\0\0\0\x02");
    }

    /// What a header of `found` says to a job of `own`.
    fn refused((key, found): (&Serializer, &[StateMeta]), own: &[StateMeta]) -> String {
        let header = Header::read(&of(key, found)).unwrap();
        header.positions_in(&i64::serializer(), own.iter()).unwrap_err().to_string()
    }

    #[test]
    fn another_job_is_refused_with_the_reason() {
        let long = &i64::serializer();
        let own = [long_state(), StateMeta::timers::<i64, VoidNamespace>("t")];
        let with = |state: StateMeta| refused((long, &[state, own[1].clone()]), &own);
        let said = [
            refused((&StringKey::serializer(), &own), &own),
            refused((long, &own[..1]), &own),
            with(StateMeta::value::<VoidNamespace, i64>("w")),
            with(StateMeta::reducing::<VoidNamespace, crate::operator::Sum>("v")),
            with(StateMeta::value::<VoidNamespace, (i64, String)>("v")),
            with(StateMeta::value::<TimeWindow, i64>("v")),
            with(StateMeta::timers::<i64, VoidNamespace>("v")),
            refused((long, &[own[0].clone(), StateMeta::timers::<i64, TextNamespace>("t")]), &own),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        the checkpoint does not fit this job: its keys are String, in this job Long
        the checkpoint does not fit this job: the state `t` of this job is not in it
        the checkpoint does not fit this job: its state `w` is not one of this job
        the checkpoint does not fit this job: the kind of state `v` is REDUCING, in this job VALUE
        the checkpoint does not fit this job: the value type of state `v` is Tuple2<Long, String>, in this job Long
        the checkpoint does not fit this job: the namespace type of state `v` is TimeWindow, in this job VoidNamespace
        the checkpoint does not fit this job: the kind of state `v` is a timer queue, in this job VALUE
        the checkpoint does not fit this job: the timer type of state `t` is Timer<Long, String>, in this job Timer<Long, VoidNamespace>
        ");
    }

    #[test]
    fn states_are_found_by_their_names() {
        let states = ["a", "b", "c"].map(StateMeta::value::<VoidNamespace, i64>);
        let header = Header::read(&of(&i64::serializer(), &states)).unwrap();
        let own = [2, 0, 1].map(|state| &states[state]);
        assert_eq!(header.positions_in(&i64::serializer(), own.into_iter()).unwrap(), [1, 2, 0]);
    }

    #[test]
    fn what_is_not_known_here_is_refused() {
        let said = |at: usize, byte: u8| {
            let mut bytes = of(&i64::serializer(), &[long_state()]);
            bytes[at] = byte;
            Header::read(&bytes).unwrap_err().to_string()
        };
        let said: [String; 5] = [said(3, 7), said(103, 5), said(96, 2), said(128, b'B'), said(4, 2)];
        insta::assert_snapshot!(said.join("\n"), @r"
        the checkpoint does not fit this job: its header is of version 7, and this statebench reads version 6
        the checkpoint does not fit this job: its state `v` is of type 5, which this backend does not have
        the checkpoint is damaged: it ends within a text
        the checkpoint does not fit this job: its state `v` is of kind `BALUE`, which this backend does not have
        the checkpoint is damaged: in its header, state bytes do not decode as bool: the byte is neither 0 nor 1
        ");
        let twice = of(&i64::serializer(), &[long_state(), long_state()]);
        insta::assert_snapshot!(Header::read(&twice).unwrap_err(), @"the checkpoint is damaged: its header has the state `v` twice");
    }

    #[test]
    fn what_a_header_cannot_tell_is_refused_at_registration() {
        let named = |len: usize| StateMeta::value::<VoidNamespace, i64>(&"é".repeat(len)).check(0);
        assert!(named(32_767).is_ok());
        insta::assert_snapshot!(named(32_768).unwrap_err(), @"the state store failed: a state name takes 65536 bytes, and 65535 are the most");
        assert!(long_state().check(32_766).is_ok());
        insta::assert_snapshot!(long_state().check(32_767).unwrap_err(), @"the state store failed: `v` would be one state more than the 32767 of a backend");
    }

    fn serializers() -> impl Strategy<Value = Serializer> {
        use CompositeSerializer::{List, Map, Timer, Ttl, Tuple};
        use SimpleSerializer::{Boolean, Bytes, Double, Int, Long, String, TimeWindow, VoidNamespace};
        let simple = prop::sample::select(vec![Long, Int, Double, Boolean, String, Bytes, VoidNamespace, TimeWindow]);
        simple.prop_map(Serializer::Simple).prop_recursive(3, 12, 3, |inner| {
            let pair = (prop::sample::select(vec![Map, Ttl, Timer]), vec(inner.clone(), 2));
            prop_oneof![
                inner.clone().prop_map(|element| Serializer::Composite(List, vec![element])),
                vec(inner, 1..4).prop_map(|fields| Serializer::Composite(Tuple, fields)),
                pair.prop_map(|(composite, nested)| Serializer::Composite(composite, nested)),
            ]
        })
    }

    fn headers() -> impl Strategy<Value = Header> {
        let key_value = (prop::sample::select(KINDS.to_vec()), serializers(), serializers())
            .prop_map(|(kind, namespace, value)| StateContent::KeyValue { kind, namespace, value });
        let content = prop_oneof![3 => key_value, 1 => serializers().prop_map(StateContent::Timers)];
        let states = vec(("[a-cé中]{0,3}", content), 0..5).prop_map(|states| {
            let states: BTreeMap<String, StateContent> = states.into_iter().collect();
            states.into_iter().map(|(name, content)| StateMeta { name, content }).collect()
        });
        (any::<bool>(), serializers(), states).prop_map(|(compressed, key, states)| Header { compressed, key, states })
    }

    fn written(header: &Header) -> Vec<u8> {
        write_header(header.compressed, &header.key, header.states.iter())
    }

    proptest! {
        // Each case reads as many headers as one has bytes.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_header_is_read_as_it_was_written(header in headers()) {
            prop_assert_eq!(&Header::read(&written(&header)).unwrap(), &header);
        }

        #[test]
        fn a_header_that_is_cut_short_is_refused(header in headers()) {
            let mut bytes = written(&header);
            for end in 0..bytes.len() {
                prop_assert!(Header::read(&bytes[..end]).is_err(), "{} bytes", end);
            }
            bytes.push(0);
            prop_assert!(Header::read(&bytes).is_err());
        }

        /// Every byte counts: another one makes a header that cannot be read or does not fit the job, but for the flag
        /// of compression, which the handle of a checkpoint tells too.
        #[test]
        fn a_header_with_another_byte_is_refused(header in headers(), flip in 1_u8..) {
            let bytes = written(&header);
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                let Ok(read) = Header::read(&flipped) else { continue };
                let refused = read.positions_in(&header.key, header.states.iter()).is_err();
                prop_assert!(refused || (at == 4 && read.compressed != header.compressed), "byte {}", at);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, header in headers(), at: prop::sample::Index) {
            let _ = Header::read(&bytes);
            let mut spliced = written(&header);
            let at = at.index(spliced.len());
            spliced.splice(at.., bytes);
            let _ = Header::read(&spliced);
        }
    }
}
