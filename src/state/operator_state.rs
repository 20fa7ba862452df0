//! State that belongs to a subtask and not to a key: lists and broadcast maps. Flink keeps it in memory, whatever the
//! backend of keyed state.
//!
//! A snapshot holds the partitions of every state one after another: of a list each element, serialized; of a broadcast
//! map one partition, the `int32` number of entries and each key and value. Where the partitions begin is told beside it, in
//! the handle, and so is how they go to the subtasks of another parallelism. Flink puts a header with names and serializers
//! before all of that, which is not written here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Codec, Digest, ObjectMap, StateError, StateResult, StateValue, UserKey, entry_hash};

/// How the partitions of a state go to the subtasks of a restored job: Flink's `OperatorStateHandle.Mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redistribution {
    /// Each partition to one subtask, so that all have about as many.
    SplitDistribute,
    /// Every partition to every subtask.
    Union,
    /// To each subtask what one of the old ones had, since all had the same.
    Broadcast,
}

/// One state of a subtask, of any type.
pub trait OperatorState: Send {
    /// Its name, by which it is found again.
    fn name(&self) -> &'static str;
    /// How its partitions are redistributed.
    fn redistribution(&self) -> Redistribution;
    /// A copy that no later change reaches: the synchronous part of a checkpoint.
    fn deep_copy(&self) -> Box<dyn OperatorState>;
    /// Appends its partitions, and returns where each begins.
    fn write(&self, out: &mut Vec<u8>) -> Vec<u64>;
    /// Adds a partition that was written.
    ///
    /// # Errors
    /// The bytes are not of this type.
    fn read(&mut self, partition: &mut &[u8]) -> StateResult<()>;
    /// Removes all content.
    fn clear(&mut self);
    /// What it adds to the digest over the state of all subtasks; nothing where each of them has the same.
    fn digest(&self) -> Digest;
}

/// A list of elements that can be redistributed one by one: Flink's `ListState` of operator state.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorListState<T> {
    name: &'static str,
    redistribution: Redistribution,
    elements: Vec<T>,
}

impl<T> OperatorListState<T> {
    /// A list whose elements are split among subtasks: `getListState`.
    pub const fn split(name: &'static str) -> Self {
        Self { name, redistribution: Redistribution::SplitDistribute, elements: Vec::new() }
    }

    /// A list whose elements all go to every subtask: `getUnionListState`.
    pub const fn union(name: &'static str) -> Self {
        Self { name, redistribution: Redistribution::Union, elements: Vec::new() }
    }

    /// The elements.
    pub fn get(&self) -> &[T] {
        &self.elements
    }

    /// Appends an element.
    pub fn add(&mut self, element: T) {
        self.elements.push(element);
    }

    /// Replaces the elements.
    pub fn update(&mut self, elements: Vec<T>) {
        self.elements = elements;
    }
}

impl<T: StateValue> OperatorState for OperatorListState<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn redistribution(&self) -> Redistribution {
        self.redistribution
    }
    fn deep_copy(&self) -> Box<dyn OperatorState> {
        Box::new(self.clone())
    }
    fn write(&self, out: &mut Vec<u8>) -> Vec<u64> {
        let place = |element: &T| {
            let offset = out.len() as u64;
            element.encode(out);
            offset
        };
        self.elements.iter().map(place).collect()
    }
    fn read(&mut self, partition: &mut &[u8]) -> StateResult<()> {
        self.elements.push(T::decode(partition)?);
        Ok(())
    }
    fn clear(&mut self) {
        self.elements.clear();
    }
    /// Every element, in whatever order and subtask it is.
    fn digest(&self) -> Digest {
        let (mut digest, mut scratch) = (Digest::default(), Vec::new());
        let hashes = self.elements.iter().map(|element| entry_hash(self.name, &[], element.fingerprint(&mut scratch)));
        hashes.for_each(|hash| digest.add(hash));
        digest
    }
}

/// A map that is the same in every subtask: Flink's `BroadcastState`. Every subtask writes all of it into a checkpoint.
#[derive(Debug, Clone)]
pub struct BroadcastState<U, T> {
    name: &'static str,
    entries: ObjectMap<U, T>,
}

impl<U: UserKey, T: StateValue> BroadcastState<U, T> {
    /// An empty map.
    pub fn new(name: &'static str) -> Self {
        Self { name, entries: ObjectMap::default() }
    }

    /// The value of a key.
    pub fn get(&self, key: &U) -> Option<&T> {
        self.entries.get(key)
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: U, value: T) {
        self.entries.insert(key, value);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &U) {
        self.entries.remove(key);
    }

    /// All entries. The order is the map's: an operator must not depend on it.
    pub fn entries(&self) -> impl Iterator<Item = (&U, &T)> {
        self.entries.iter()
    }
}

impl<U: UserKey, T: StateValue> OperatorState for BroadcastState<U, T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn redistribution(&self) -> Redistribution {
        Redistribution::Broadcast
    }
    fn deep_copy(&self) -> Box<dyn OperatorState> {
        Box::new(self.clone())
    }
    fn write(&self, out: &mut Vec<u8>) -> Vec<u64> {
        let offset = out.len() as u64;
        (self.entries.len() as i32).encode(out);
        for (key, value) in &self.entries {
            key.encode(out);
            value.encode(out);
        }
        vec![offset]
    }
    fn read(&mut self, partition: &mut &[u8]) -> StateResult<()> {
        let count = u32::try_from(i32::decode(partition)?);
        for _ in 0..count.map_err(|_| StateError::Snapshot(format!("`{}` has a negative size", self.name)))? {
            self.entries.insert(U::decode(partition)?, T::decode(partition)?);
        }
        Ok(())
    }
    fn clear(&mut self) {
        self.entries.clear();
    }
    fn digest(&self) -> Digest {
        Digest::default()
    }
}

/// The states of a subtask as they were when the snapshot was taken, to be written on any thread.
pub struct OperatorStateSnapshot(Vec<Box<dyn OperatorState>>);

impl OperatorStateSnapshot {
    /// Copies the states.
    pub fn take(states: &[&mut dyn OperatorState]) -> Self {
        Self(states.iter().map(|state| state.deep_copy()).collect())
    }

    /// Writes them: lists first, then broadcast states.
    pub fn write(mut self) -> OperatorStateHandle {
        self.0.sort_by_key(|state| state.redistribution() == Redistribution::Broadcast);
        let (mut bytes, mut states) = (Vec::new(), BTreeMap::new());
        for state in &self.0 {
            let offsets = state.write(&mut bytes);
            states.insert(state.name().to_owned(), Partitions { offsets, redistribution: state.redistribution() });
        }
        OperatorStateHandle { bytes: bytes.into(), states }
    }
}

/// A written snapshot, or the part of it that goes to one subtask.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorStateHandle {
    /// What was written, shared by all parts.
    pub bytes: Arc<[u8]>,
    /// The partitions of each state that belong to it.
    pub states: BTreeMap<String, Partitions>,
}

/// Where the partitions of a state are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partitions {
    /// Where each begins, bytes from the start.
    pub offsets: Vec<u64>,
    /// How they are redistributed.
    pub redistribution: Redistribution,
}

impl OperatorStateHandle {
    /// Replaces the content of a subtask's states by what its handles hold.
    ///
    /// # Errors
    /// A handle holds a state that the subtask does not have, or bytes that are not of the state's type.
    pub fn restore(handles: &[Self], states: &mut [&mut dyn OperatorState]) -> StateResult<()> {
        states.iter_mut().for_each(|state| state.clear());
        for handle in handles {
            for (name, Partitions { offsets, redistribution }) in &handle.states {
                let its = (name.as_str(), *redistribution);
                let state = states.iter_mut().find(|state| (state.name(), state.redistribution()) == its);
                let state = state.ok_or_else(|| {
                    StateError::Snapshot(format!("the operator has no state `{name}` of mode {redistribution:?}"))
                })?;
                offsets.iter().try_for_each(|&offset| state.read(&mut handle.partition(offset)?))?;
            }
        }
        Ok(())
    }

    fn partition(&self, offset: u64) -> StateResult<&[u8]> {
        let partition = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..));
        partition.ok_or_else(|| StateError::Snapshot("a partition lies behind the end of the snapshot".to_owned()))
    }

    /// Gives what the old subtasks have written, a handle each, to so many new ones: Flink's
    /// `RoundRobinOperatorStateRepartitioner`. At the same parallelism a subtask keeps its partitions of split lists.
    pub fn repartition(old: &[Self], parallelism: u16) -> Vec<Vec<Self>> {
        let parallelism = usize::from(parallelism);
        let states = old.iter().flat_map(|handle| &handle.states);
        let states: BTreeMap<_, _> = states.map(|(name, state)| (name.as_str(), state.redistribution)).collect();
        // What of each old subtask's partitions goes to each new one.
        let nothing = old.iter().map(|handle| Self { bytes: handle.bytes.clone(), states: BTreeMap::new() });
        let mut new = vec![nothing.collect::<Vec<_>>(); parallelism];
        let mut first = 0;
        for (name, redistribution) in states {
            let all = partitions_of(old, name);
            let moves = match redistribution {
                Redistribution::SplitDistribute if old.len() == parallelism => {
                    all.into_iter().map(|partition| (partition, partition.0)).collect()
                }
                Redistribution::SplitDistribute => deal(&all, parallelism, &mut first),
                Redistribution::Union => to_each(&all, parallelism, |_, _| true),
                Redistribution::Broadcast => to_each(&all, parallelism, |from, to| from == to % old.len()),
            };
            for ((from, offset), to) in moves {
                let state = new[to][from].states.entry(name.to_owned());
                state.or_insert_with(|| Partitions { offsets: Vec::new(), redistribution }).offsets.push(offset);
            }
        }
        new.iter_mut().for_each(|handles| handles.retain(|handle| !handle.states.is_empty()));
        new
    }
}

/// A partition: the subtask that wrote it, and its offset there.
type Partition = (usize, u64);

fn partitions_of(old: &[OperatorStateHandle], name: &str) -> Vec<Partition> {
    let states = old.iter().enumerate().filter_map(|(from, handle)| Some((from, handle.states.get(name)?)));
    states.flat_map(|(from, state)| state.offsets.iter().map(move |offset| (from, *offset))).collect()
}

/// Gives about as many partitions, neighbours of each other, to every subtask. What does not divide goes to those from
/// `first` on, which moves on by as many, so that with the next list the others have their turn.
fn deal(all: &[Partition], parallelism: usize, first: &mut usize) -> Vec<(Partition, usize)> {
    let (each, more) = (all.len() / parallelism, all.len() % parallelism);
    let (mut rest, mut dealt) = (all, Vec::with_capacity(all.len()));
    for position in 0..parallelism {
        let (part, others) = rest.split_at(each + usize::from(position < more));
        dealt.extend(part.iter().map(|partition| (*partition, (*first + position) % parallelism)));
        rest = others;
    }
    *first = (*first + more) % parallelism;
    dealt
}

/// Gives every subtask the partitions of those old subtasks that it is to have.
fn to_each(
    all: &[Partition],
    parallelism: usize,
    has: impl Fn(usize, usize) -> bool + Copy,
) -> Vec<(Partition, usize)> {
    let given = |to: usize| all.iter().filter(move |(from, _)| has(*from, to)).map(move |partition| (*partition, to));
    (0..parallelism).flat_map(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A source that reads partitions of a topic: where it is in each, and rules that all subtasks have.
    struct Source {
        offsets: OperatorListState<(i64, i64)>,
        all_offsets: OperatorListState<(i64, i64)>,
        pending: OperatorListState<String>,
        rules: BroadcastState<i64, String>,
    }

    impl Source {
        fn new() -> Self {
            Self {
                offsets: OperatorListState::split("offsets"),
                all_offsets: OperatorListState::union("all-offsets"),
                pending: OperatorListState::split("pending"),
                rules: BroadcastState::new("rules"),
            }
        }

        fn states(&mut self) -> [&mut dyn OperatorState; 4] {
            [&mut self.rules, &mut self.offsets, &mut self.all_offsets, &mut self.pending]
        }

        fn rules(&self) -> BTreeMap<i64, String> {
            self.rules.entries().map(|(id, rule)| (*id, rule.clone())).collect()
        }
    }

    fn rescale(old: &mut [Source], parallelism: u16) -> Vec<Source> {
        let handles: Vec<_> =
            old.iter_mut().map(|source| OperatorStateSnapshot::take(&source.states()).write()).collect();
        let restored = |handles: Vec<OperatorStateHandle>| {
            let mut source = Source::new();
            source.pending.add("from before the restore".to_owned());
            OperatorStateHandle::restore(&handles, &mut source.states()).unwrap();
            source
        };
        OperatorStateHandle::repartition(&handles, parallelism).into_iter().map(restored).collect()
    }

    fn sorted<T: Ord + Clone>(parts: impl Iterator<Item = impl AsRef<[T]>>) -> Vec<T> {
        let mut all: Vec<T> = parts.flat_map(|part| part.as_ref().to_vec()).collect();
        all.sort();
        all
    }

    fn balanced(lengths: impl Iterator<Item = usize> + Clone) -> bool {
        lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1
    }

    #[test]
    fn every_partition_goes_where_it_belongs_through_a_row_of_parallelisms() {
        let mut first = Source::new();
        let partitions: Vec<(i64, i64)> = (0..10).map(|partition| (partition, 1_000 * partition)).collect();
        first.offsets.update(partitions.clone());
        first.all_offsets.update(partitions.clone());
        first.pending.update(["a", "b", "c"].map(str::to_owned).to_vec());
        (0..5).for_each(|id| first.rules.put(id, format!("rule {id}")));
        let rules = first.rules();
        let mut sources = vec![first];
        for parallelism in [2, 4, 3, 3, 1] {
            sources = rescale(&mut sources, parallelism);
            assert_eq!(sources.len(), usize::from(parallelism));
            assert_eq!(sorted(sources.iter().map(|source| source.offsets.get())), partitions);
            assert!(balanced(sources.iter().map(|source| source.offsets.get().len())));
            assert_eq!(sorted(sources.iter().map(|source| source.pending.get())), ["a", "b", "c"]);
            assert!(balanced(sources.iter().map(|source| source.pending.get().len())));
            for (source, index) in sources.iter_mut().zip(0..) {
                assert_eq!(sorted(std::iter::once(source.all_offsets.get())), partitions, "all go to every subtask");
                assert_eq!(source.rules(), rules);
                // A source keeps what it is in charge of; all that all had would come several times otherwise.
                let own = partitions.iter().filter(|(partition, _)| partition % i64::from(parallelism) == index);
                source.all_offsets.update(own.copied().collect());
            }
        }
    }

    #[test]
    fn what_does_not_divide_goes_round() {
        let mut source = Source::new();
        source.offsets.add((1, 1));
        source.pending.update(vec!["a".to_owned(), "b".to_owned()]);
        let sources = rescale(&mut [source], 3);
        let lengths = sources.iter().map(|source| (source.offsets.get().len(), source.pending.get().len()));
        assert!(lengths.eq([(1, 0), (0, 1), (0, 1)]), "the second list begins where the first ended");
    }

    #[test]
    fn the_format_is_flinks() {
        let mut source = Source::new();
        source.offsets.update(vec![(1, 2), (3, 4)]);
        source.rules.put(7, "x".to_owned());
        let handle = OperatorStateSnapshot::take(&source.states()).write();
        let numbers = [1_i64, 2, 3, 4].map(i64::to_be_bytes).concat();
        let rules = [&[0, 0, 0, 1][..], &7_i64.to_be_bytes(), &[2, b'x']].concat();
        assert_eq!(*handle.bytes, [numbers, rules].concat());
        let offsets = |name: &str| handle.states[name].offsets.clone();
        assert_eq!((offsets("offsets"), offsets("pending"), offsets("rules")), (vec![0, 16], vec![], vec![32]));
        assert_eq!(handle.states["all-offsets"].redistribution, Redistribution::Union);
    }

    #[test]
    fn a_snapshot_is_not_changed_by_what_comes_after_it() {
        let mut source = Source::new();
        source.offsets.add((1, 1));
        let snapshot = OperatorStateSnapshot::take(&source.states());
        source.offsets.add((2, 2));
        source.rules.put(1, "late".to_owned());
        let mut restored = Source::new();
        OperatorStateHandle::restore(&[snapshot.write()], &mut restored.states()).unwrap();
        assert_eq!((restored.offsets.get(), restored.rules().len()), (&[(1, 1)][..], 0));
    }

    #[test]
    fn what_is_not_of_the_operator_is_refused() {
        let mut source = Source::new();
        source.offsets.add((1, 1));
        let handle = OperatorStateSnapshot::take(&source.states()).write();
        let error =
            |handle| OperatorStateHandle::restore(&[handle], &mut Source::new().states()).unwrap_err().to_string();
        let mut other = handle.clone();
        let partitions = other.states.remove("offsets").unwrap();
        other.states.insert("others".to_owned(), partitions);
        assert!(error(other).contains("no state `others`"));
        let mut other = handle.clone();
        other.states.get_mut("offsets").unwrap().redistribution = Redistribution::Union;
        assert!(error(other).contains("no state `offsets` of mode Union"));
        let mut other = handle.clone();
        other.states.get_mut("offsets").unwrap().offsets.push(99);
        assert!(error(other).contains("behind the end"));
        let cut = OperatorStateHandle { bytes: handle.bytes[..9].into(), ..handle };
        assert!(error(cut).contains("ends too early"));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_loads_are_even(lengths in proptest::collection::vec(0..20_usize, 1..6), to in 1..7_u16) {
            let mut next = 0;
            let mut old: Vec<_> = lengths.iter().map(|&length| {
                let mut source = Source::new();
                source.offsets.update((next..next + length as i64).map(|partition| (partition, 0)).collect());
                next += length as i64;
                source
            }).collect();
            let new = rescale(&mut old, to);
            let all: Vec<(i64, i64)> = (0..next).map(|partition| (partition, 0)).collect();
            prop_assert_eq!(sorted(new.iter().map(|source| source.offsets.get())), all);
            prop_assert!(old.len() == new.len() || balanced(new.iter().map(|source| source.offsets.get().len())));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, offsets: Vec<u64>) {
            let mut handle = OperatorStateSnapshot::take(&Source::new().states()).write();
            handle.bytes = bytes.into();
            handle.states.values_mut().for_each(|partitions| partitions.offsets.clone_from(&offsets));
            let _ = OperatorStateHandle::restore(&[handle], &mut Source::new().states());
        }
    }
}
