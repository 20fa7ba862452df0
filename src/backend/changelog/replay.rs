//! Reading a log back: Flink's `ChangelogBackendLogApplier`.

use std::ops::Range;

use super::log::{COMMON_KEY_GROUP, Operation};
use crate::state::{Codec, Key, KeyGroups, KeyedStateBackend, Namespace, StateError, StateMeta, StateResult};

/// Makes a change to one state again.
pub(super) type Replay<B> = Box<dyn Fn(&mut B, Operation, &mut &[u8]) -> StateResult<()> + Send>;

/// A state as a log knows it.
pub(super) struct LoggedState<B> {
    pub meta: StateMeta,
    pub replay: Replay<B>,
}

/// The key groups of a subtask.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub groups: KeyGroups,
    pub range: Range<u16>,
}

impl Owned {
    /// A key that belongs to the subtask. A log is untrusted input: what it says of a key's group need not be true.
    pub fn check<K: Key>(&self, key: &K) -> StateResult<()> {
        let group = self.groups.group_of(key.hash_code());
        if self.range.contains(&group) {
            return Ok(());
        }
        Err(StateError::Snapshot(format!("its log has a key of group {group} under another one")))
    }
}

/// What replays changes to the entries of a state.
pub(super) fn of_entries<K: Key, N: Namespace, B: KeyedStateBackend<K>>(
    owned: Owned,
    replay: impl Fn(&mut B, &N, Operation, &mut &[u8]) -> StateResult<()> + Send + 'static,
) -> Replay<B> {
    Box::new(move |backend, operation, input| {
        let key = K::decode(input)?;
        owned.check(&key)?;
        backend.set_current_key(&key);
        replay(backend, &N::decode(input)?, operation, input)
    })
}

/// Why an operation cannot be made.
pub(super) fn no_such_change(operation: Operation) -> StateError {
    StateError::Snapshot(format!("its log has the operation {operation:?} for a state that has none such"))
}

/// The namespaces that a merge names.
pub(super) fn read_namespaces<N: Namespace>(input: &mut &[u8]) -> StateResult<Vec<N>> {
    let count = i32::decode(input)?;
    // No count reserves memory: each namespace takes at least a byte of what is there.
    (0..count).map(|_| Ok(N::decode(input)?)).collect()
}

/// Replays the log of one old subtask, segment by segment.
pub(super) struct Replayer<'a, B> {
    states: &'a [LoggedState<B>],
    /// The key groups whose changes count.
    key_groups: Range<u16>,
    /// By the numbers of the log, the position of each state that it has told of.
    positions: Vec<Option<usize>>,
}

impl<'a, B> Replayer<'a, B> {
    pub fn new(states: &'a [LoggedState<B>], key_groups: Range<u16>) -> Self {
        Self { states, key_groups, positions: Vec::new() }
    }

    /// Makes the changes of a segment.
    ///
    /// # Errors
    /// It is damaged, or of other states; the store failed.
    pub fn replay(&mut self, backend: &mut B, segment: &[u8]) -> StateResult<()> {
        self.read(backend, segment).map_err(|error| match error {
            StateError::Codec(error) => StateError::Snapshot(format!("in its log, {error}")),
            other => other,
        })
    }

    fn read(&mut self, backend: &mut B, mut input: &[u8]) -> StateResult<()> {
        if bool::decode(&mut input)? {
            return Err(StateError::Snapshot("its log is compressed, which this statebench does not write".to_owned()));
        }
        for _ in 0..i32::decode(&mut input)? {
            let changes = i32::decode(&mut input)?;
            let key_group = i32::decode(&mut input)?;
            let counts = u16::try_from(key_group).is_ok_and(|group| self.key_groups.contains(&group));
            for _ in 0..changes {
                let change = take_change(&mut input)?;
                if key_group == COMMON_KEY_GROUP {
                    self.learn(change)?;
                } else if counts {
                    self.make(backend, change)?;
                }
            }
        }
        if input.is_empty() {
            return Ok(());
        }
        Err(StateError::Snapshot(format!("{} bytes follow its log", input.len())))
    }

    /// Notes which state has a number.
    fn learn(&mut self, mut change: &[u8]) -> StateResult<()> {
        let (operation, number) = read_head(&mut change)?;
        let written = StateMeta::read(&mut change)?;
        if operation != Operation::Metadata || !change.is_empty() {
            return Err(StateError::Snapshot("its log does not say what a state is where it should".to_owned()));
        }
        let own = self.states.iter().position(|state| state.meta.name == written.name).ok_or_else(|| {
            StateError::Incompatible(format!("the state `{}` of its log is not one of this job", written.name))
        })?;
        written.check_against(&self.states[own].meta)?;
        if self.positions.len() <= number {
            self.positions.resize(number + 1, None);
        }
        self.positions[number] = Some(own);
        Ok(())
    }

    fn make(&self, backend: &mut B, mut change: &[u8]) -> StateResult<()> {
        let (operation, number) = read_head(&mut change)?;
        let position = self.positions.get(number).copied().flatten().ok_or_else(|| {
            StateError::Snapshot(format!("its log changes state {number} before it says what that is"))
        })?;
        (self.states[position].replay)(backend, operation, &mut change)?;
        if change.is_empty() {
            return Ok(());
        }
        Err(StateError::Snapshot(format!("{} bytes follow a change in its log", change.len())))
    }
}

fn take_change<'a>(input: &mut &'a [u8]) -> StateResult<&'a [u8]> {
    let length = i32::decode(input)?;
    let change = usize::try_from(length).ok().and_then(|length| input.split_at_checked(length));
    let (change, rest) =
        change.ok_or_else(|| StateError::Snapshot(format!("a change in its log is {length} bytes long")))?;
    *input = rest;
    Ok(change)
}

/// The operation and the number of the state.
fn read_head(change: &mut &[u8]) -> StateResult<(Operation, usize)> {
    let (head, rest) = change
        .split_first_chunk::<3>()
        .ok_or_else(|| StateError::Snapshot("a change in its log has no beginning".to_owned()))?;
    *change = rest;
    let operation = Operation::of_code(head[0])
        .ok_or_else(|| StateError::Snapshot(format!("its log has an operation of code {}", head[0])))?;
    Ok((operation, usize::from(u16::from_be_bytes([head[1], head[2]]))))
}
