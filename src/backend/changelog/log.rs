//! The log of changes: Flink's `FsStateChangelogWriter`, with the formats of `StateChangeLogger` and `StateChangeFormat`.
//!
//! A change is a byte for the operation, the `int16` number of the state, the key and namespace that it is made to, and
//! what is written. Changes are gathered until a checkpoint takes them, or they are so many that they are written ahead
//! of it; then they become a segment: a byte that says that nothing is compressed, the `int32` count of key groups, and
//! for each key group the `int32` count of its changes, its `int32` number, and each change behind its `int32` length.
//! What a state is stands under the key group -1, before its first change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ChangelogStorage;
use crate::checkpoint::{CheckpointError, FileRef, Scope, StreamHandle};
use crate::state::{Codec, Key, KeyGroups, Namespace, StateMeta};

/// What is done to a state: `StateChangeOperation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// The entry goes.
    Clear = 0,
    /// The entry becomes what follows.
    Set = 1,
    /// The same of what a reduce or aggregate function keeps.
    SetInternal = 2,
    /// Other namespaces are merged into this one.
    MergeNamespaces = 4,
    /// A list gets one more element, or a queue one more timer.
    AddElement = 5,
    /// An entry of a map is set.
    PutElement = 6,
    /// An entry of a map, or a timer, goes.
    RemoveElement = 7,
    /// What the state is.
    Metadata = 9,
}

impl Operation {
    const ALL: [Self; 8] = [
        Self::Clear,
        Self::Set,
        Self::SetInternal,
        Self::MergeNamespaces,
        Self::AddElement,
        Self::PutElement,
        Self::RemoveElement,
        Self::Metadata,
    ];

    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| *operation as u8 == code)
    }
}

/// The key group of what a state is: `StateChangeLogger.COMMON_KEY_GROUP`.
pub(super) const COMMON_KEY_GROUP: i32 = -1;

/// The changes of one operator in one subtask.
pub(super) struct ChangeLog {
    storage: Arc<ChangelogStorage>,
    groups: KeyGroups,
    /// The current key as it is written, and its group.
    key: Vec<u8>,
    key_group: i32,
    states: Vec<Logged>,
    /// Changes that no segment holds yet.
    gathered: Gathered,
    segments: Vec<Arc<Segment>>,
    next_segment: u64,
    appended_bytes: u64,
    /// How long changes had to wait for others to be uploaded.
    waited: Duration,
}

/// A state in the log.
struct Logged {
    meta: Vec<u8>,
    /// Whether the log tells what it is.
    is_announced: bool,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    changes: Vec<Change>,
    /// Bytes of each state.
    state_bytes: Vec<u64>,
}

struct Change {
    key_group: i32,
    end: usize,
}

impl ChangeLog {
    /// A log of states, by their numbers, that goes to a storage.
    pub fn begin<'a>(
        storage: Arc<ChangelogStorage>,
        groups: KeyGroups,
        states: impl Iterator<Item = &'a StateMeta>,
    ) -> Self {
        let logged = |meta: &StateMeta| {
            let mut bytes = Vec::new();
            meta.write(&mut bytes);
            Logged { meta: bytes, is_announced: false }
        };
        Self {
            storage,
            groups,
            key: Vec::new(),
            key_group: 0,
            states: states.map(logged).collect(),
            gathered: Gathered::default(),
            segments: Vec::new(),
            next_segment: 1,
            appended_bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Changes are made to this key from here on.
    #[inline]
    pub fn set_current_key<K: Key>(&mut self, key: &K) {
        self.key.clear();
        key.encode(&mut self.key);
        self.key_group = i32::from(self.groups.group_of(key.hash_code()));
    }

    /// Notes a change to an entry of the current key.
    #[inline]
    pub fn change<N: Namespace>(
        &mut self,
        state: u16,
        operation: Operation,
        namespace: &N,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.begin_change(state, operation);
        self.gathered.bytes.extend_from_slice(&self.key);
        namespace.encode(&mut self.gathered.bytes);
        write(&mut self.gathered.bytes);
        self.end_change(state, self.key_group);
    }

    /// Notes that a timer of the current key was set or removed.
    #[inline]
    pub fn timer_change(&mut self, queue: u16, operation: Operation, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
        self.begin_change(queue, operation);
        write(&self.key, &mut self.gathered.bytes);
        self.end_change(queue, self.key_group);
    }

    #[inline]
    fn begin_change(&mut self, state: u16, operation: Operation) {
        if !self.states[usize::from(state)].is_announced {
            self.announce(state);
        }
        self.gathered.head(state, operation);
    }

    #[inline]
    fn end_change(&mut self, state: u16, key_group: i32) {
        self.appended_bytes += self.gathered.end(state, key_group);
        if self.gathered.bytes.len() >= self.storage.persist_threshold {
            self.persist_ahead();
        }
    }

    #[cold]
    fn announce(&mut self, state: u16) {
        let logged = &mut self.states[usize::from(state)];
        logged.is_announced = true;
        self.gathered.head(state, Operation::Metadata);
        self.gathered.bytes.extend_from_slice(&logged.meta);
        self.appended_bytes += self.gathered.end(state, COMMON_KEY_GROUP);
    }

    /// Begins to upload what was gathered, and waits where too much is on its way already.
    #[cold]
    fn persist_ahead(&mut self) {
        let Some(segment) = self.cut() else { return };
        if segment.storage.in_memory {
            return;
        }
        let start = Instant::now();
        segment.storage.in_flight.enter(segment.bytes, segment.storage.max_in_flight);
        self.waited += start.elapsed();
        std::thread::spawn(move || {
            // A failure is met again, and told, by the checkpoint that needs the segment.
            let _ = segment.persist();
            segment.storage.in_flight.leave(segment.bytes);
        });
    }

    /// Makes a segment of what was gathered, if there is anything.
    fn cut(&mut self) -> Option<Arc<Segment>> {
        if self.gathered.changes.is_empty() {
            return None;
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered.bytes.reserve(gathered.bytes.len().min(self.storage.persist_threshold));
        let content = gathered.encode();
        let segment = Arc::new(Segment {
            storage: Arc::clone(&self.storage),
            number: self.next_segment,
            bytes: content.len() as u64,
            state_bytes: gathered.state_bytes,
            content: Mutex::new(Content::Waiting(content)),
            changed: Condvar::new(),
            is_named: AtomicBool::new(false),
        });
        self.next_segment += 1;
        self.segments.push(Arc::clone(&segment));
        Some(segment)
    }

    /// The segments that hold every change up to here.
    pub fn segments(&mut self) -> Vec<Arc<Segment>> {
        self.cut();
        self.segments.clone()
    }

    /// Whether there was a change since the log began or was truncated.
    pub fn has_changes(&self) -> bool {
        !self.segments.is_empty() || !self.gathered.changes.is_empty()
    }

    /// A place in the log behind every change so far; what follows tells anew what its states are.
    pub fn mark(&mut self) -> u64 {
        self.cut();
        self.states.iter_mut().for_each(|state| state.is_announced = false);
        self.next_segment
    }

    /// Forgets the changes before a place.
    pub fn truncate(&mut self, mark: u64) {
        self.segments.retain(|segment| segment.number >= mark);
    }

    /// Changes so far, bytes, and how long they had to wait for uploads.
    pub fn totals(&self) -> (u64, Duration) {
        (self.appended_bytes, self.waited)
    }
}

impl Gathered {
    #[inline]
    fn head(&mut self, state: u16, operation: Operation) {
        self.bytes.push(operation as u8);
        self.bytes.extend_from_slice(&state.to_be_bytes());
    }

    /// A change ends here; its length, bytes.
    #[inline]
    fn end(&mut self, state: u16, key_group: i32) -> u64 {
        let end = self.bytes.len();
        let bytes = (end - self.changes.last().map_or(0, |last| last.end)) as u64;
        self.changes.push(Change { key_group, end });
        let state = usize::from(state);
        if self.state_bytes.len() <= state {
            self.state_bytes.resize(state + 1, 0);
        }
        self.state_bytes[state] += bytes;
        bytes
    }

    /// `StateChangeFormat`: by key group, what states are first.
    fn encode(&self) -> Vec<u8> {
        let starts = std::iter::once(0).chain(self.changes.iter().map(|change| change.end));
        let mut changes: Vec<_> =
            self.changes.iter().zip(starts).map(|(change, start)| (change.key_group, start..change.end)).collect();
        changes.sort_by_key(|(key_group, _)| *key_group); // stable: changes of a key keep their order
        let groups: Vec<_> = changes.chunk_by(|(one, _), (other, _)| one == other).collect();
        let mut out = Vec::with_capacity(1 + 4 + 8 * groups.len() + 4 * changes.len() + self.bytes.len());
        false.encode(&mut out);
        (groups.len() as i32).encode(&mut out);
        for group in groups {
            (group.len() as i32).encode(&mut out);
            group[0].0.encode(&mut out);
            for (_, range) in group {
                (range.len() as i32).encode(&mut out);
                out.extend_from_slice(&self.bytes[range.clone()]);
            }
        }
        out
    }
}

/// A piece of the log.
pub(super) struct Segment {
    storage: Arc<ChangelogStorage>,
    number: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// Bytes of the changes of each state.
    pub state_bytes: Vec<u64>,
    content: Mutex<Content>,
    changed: Condvar,
    /// Whether a checkpoint has named it, which then keeps it.
    pub is_named: AtomicBool,
}

enum Content {
    Waiting(Vec<u8>),
    OnItsWay,
    Stored(StreamHandle),
}

impl Segment {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the segment, if nobody has; waits where somebody is at it.
    ///
    /// # Errors
    /// The storage failed. The segment can be stored again.
    pub fn persist(&self) -> Result<StreamHandle, CheckpointError> {
        let mut content = self.content();
        let bytes = loop {
            match std::mem::replace(&mut *content, Content::OnItsWay) {
                Content::Stored(stream) => {
                    *content = Content::Stored(stream.clone());
                    return Ok(stream);
                }
                Content::OnItsWay => content = self.changed.wait(content).unwrap_or_else(PoisonError::into_inner),
                Content::Waiting(bytes) => break bytes,
            }
        };
        drop(content);
        let stored = self.store(&bytes);
        *self.content() =
            stored.as_ref().map_or_else(|_| Content::Waiting(bytes), |stream| Content::Stored(stream.clone()));
        self.changed.notify_all();
        stored
    }

    fn store(&self, bytes: &[u8]) -> Result<StreamHandle, CheckpointError> {
        if self.storage.in_memory {
            return Ok(StreamHandle::Inline(bytes.to_vec()));
        }
        let name = format!("{}log-{}", self.storage.prefix, self.number);
        let stored = self.storage.shared.put(&name, bytes)?;
        Ok(StreamHandle::File(FileRef { scope: Scope::Shared, name, stored }))
    }
}

/// A segment that no checkpoint has named belongs to nobody else.
impl Drop for Segment {
    fn drop(&mut self) {
        let content = self.content.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Content::Stored(StreamHandle::File(file)), false) = (content, self.is_named.load(Ordering::Relaxed)) {
            // What cannot be deleted stays behind as an orphan, which `checkpoint gc` finds.
            let _ = self.storage.shared.delete(&file.name);
        }
    }
}

/// Bytes on their way to the storage.
#[derive(Default)]
pub(super) struct InFlight {
    bytes: Mutex<u64>,
    left: Condvar,
}

impl InFlight {
    /// Waits until there is room for so many below the limit, or nothing is on its way.
    fn enter(&self, bytes: u64, limit: u64) {
        let mut all = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *all > 0 && *all + bytes > limit {
            all = self.left.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
        *all += bytes;
    }

    fn leave(&self, bytes: u64) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.left.notify_all();
    }
}
