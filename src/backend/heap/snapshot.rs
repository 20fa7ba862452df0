//! Checkpoints of the heap, in Flink's format, and their restore.
//!
//! A checkpoint of a subtask begins with a header, which tells of keys and states. Then it holds, for each of its key
//! groups, the `int32` number of the group and then, for each state, its `int16` number, the `int32` count of its
//! entries, and for each entry namespace, key and object; for each timer time, key and namespace. Empty groups are
//! written too.
//!
//! With compression each pair of key group and state is a framed Snappy stream of its own, state number included; the
//! header is never compressed.

use std::borrow::Cow;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::Path;

use super::HeapBackend;
use super::canonical::{GroupPlace, write_table};
use super::object::Object;
use super::table::{Place, TableSnapshot};
use crate::backend::canonical::GroupWriter;
use crate::backend::snapshot::{CHUNK, Cleanup, Counted, SnapshotInfo, damaged, read_header, read_range};
use crate::state::{Codec, CompositeKey, Key, KeyGroups, Namespace, StateError, StateResult, write_header};

/// The state of a backend as it was when [`HeapBackend::snapshot`] was called, to be written on any thread while the
/// backend goes on. Dropping it releases it.
pub struct HeapSnapshot {
    pub(super) key_groups: Range<u16>,
    pub(super) max_parallelism: u16,
    pub(super) header: Vec<u8>,
    pub(super) states: Vec<StateSnapshot>,
    pub(super) compressed: bool,
}

/// One state of a snapshot.
pub(super) struct StateSnapshot {
    pub name: String,
    pub table: Box<dyn SnapshotTable>,
    pub cleanup: Option<Cleanup>,
}

/// The part of a snapshot that one state has.
pub(super) trait SnapshotTable: Send {
    /// Writes the count and the entries of a key group, by its position, without what a clean-up leaves out; returns
    /// the bytes of the entries. `scratch` is emptied and used.
    fn write_group(
        &self,
        group: usize,
        cleanup: Option<Cleanup>,
        out: &mut dyn Write,
        scratch: &mut Vec<u8>,
    ) -> io::Result<u64>;
    /// Writes the entries of a key group as RocksDB keeps them, without what a clean-up leaves out.
    fn write_stored(
        &self,
        place: GroupPlace,
        cleanup: Option<Cleanup>,
        key: &mut CompositeKey,
        out: &mut GroupWriter<'_>,
    ) -> io::Result<()>;
}

/// Writes the entries of one state in a key group: their count, then each.
pub(super) struct EntryWriter<'a> {
    out: &'a mut dyn Write,
    scratch: &'a mut Vec<u8>,
    bytes: u64,
}

impl<'a> EntryWriter<'a> {
    pub fn begin(count: usize, out: &'a mut dyn Write, scratch: &'a mut Vec<u8>) -> io::Result<Self> {
        let too_many = |_| io::Error::other("a key group has more entries than the format can count");
        scratch.clear();
        i32::try_from(count).map_err(too_many)?.encode(scratch);
        Ok(Self { out, scratch, bytes: 0 })
    }

    pub fn entry(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let before = self.scratch.len();
        encode(self.scratch);
        self.bytes += (self.scratch.len() - before) as u64;
        if self.scratch.len() >= CHUNK {
            self.out.write_all(self.scratch)?;
            self.scratch.clear();
        }
        Ok(())
    }

    /// Ends the entries; returns their bytes.
    pub fn end(self) -> io::Result<u64> {
        self.out.write_all(self.scratch)?;
        Ok(self.bytes)
    }
}

impl<K: Key, N: Namespace, V: Object<K, N>> SnapshotTable for TableSnapshot<K, N, V> {
    fn write_group(
        &self,
        group: usize,
        cleanup: Option<Cleanup>,
        out: &mut dyn Write,
        scratch: &mut Vec<u8>,
    ) -> io::Result<u64> {
        let mut count = self.entries(group);
        if cleanup.is_some() {
            count = 0;
            self.try_for_each(group, |_, _, value| {
                count += usize::from(cleaned::<K, N, V>(value, cleanup).is_some());
                io::Result::Ok(())
            })?;
        }
        let mut entries = EntryWriter::begin(count, out, scratch)?;
        self.try_for_each(group, |key, namespace, value| {
            let Some(value) = cleaned::<K, N, V>(value, cleanup) else { return Ok(()) };
            entries.entry(|bytes| {
                namespace.encode(bytes);
                key.encode(bytes);
                value.encode(bytes);
            })
        })?;
        entries.end()
    }

    fn write_stored(
        &self,
        place: GroupPlace,
        cleanup: Option<Cleanup>,
        key: &mut CompositeKey,
        out: &mut GroupWriter<'_>,
    ) -> io::Result<()> {
        write_table(self, place, cleanup, key, out)
    }
}

/// What is left of an object without what has expired; none of one that has expired as a whole.
pub(super) fn cleaned<K: Key, N: Namespace, V: Object<K, N>>(
    value: &V,
    cleanup: Option<Cleanup>,
) -> Option<Cow<'_, V>> {
    let Some(cleanup) = cleanup else { return Some(Cow::Borrowed(value)) };
    let is_expired = |time| cleanup.is_expired(time);
    if !value.has_expired(&is_expired) {
        return Some(Cow::Borrowed(value));
    }
    let mut left = value.clone();
    let (_, is_empty) = left.expire(&is_expired);
    (!is_empty).then_some(Cow::Owned(left))
}

impl HeapSnapshot {
    /// Writes the checkpoint and releases the snapshot.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write(self, out: &mut impl Write) -> io::Result<SnapshotInfo> {
        let mut out = Counted::new(out);
        let mut state_bytes = vec![0; self.states.len()];
        out.write_all(&self.header)?;
        let (mut offsets, mut scratch) = (Vec::with_capacity(self.key_groups.len()), Vec::with_capacity(2 * CHUNK));
        for (position, group) in self.key_groups.clone().enumerate() {
            offsets.push(out.bytes);
            out.write_all(&i32::from(group).to_be_bytes())?;
            for ((state, id), entry_bytes) in self.states.iter().zip(0_u16..).zip(&mut state_bytes) {
                let StateSnapshot { table, cleanup, .. } = state;
                *entry_bytes += if self.compressed {
                    let mut frames = snap::write::FrameEncoder::new(&mut out);
                    frames.write_all(&id.to_be_bytes())?;
                    let entry_bytes = table.write_group(position, *cleanup, &mut frames, &mut scratch)?;
                    frames.into_inner().map_err(snap::write::IntoInnerError::into_error)?;
                    entry_bytes
                } else {
                    out.write_all(&id.to_be_bytes())?;
                    table.write_group(position, *cleanup, &mut out, &mut scratch)?
                };
            }
        }
        out.flush()?;
        Ok(SnapshotInfo {
            bytes: out.bytes,
            key_groups: self.key_groups,
            offsets,
            compressed: self.compressed,
            state_bytes: self.states.into_iter().map(|state| state.name).zip(state_bytes).collect(),
        })
    }
}

/// Files of a saved state: the entries, and where each key group is in them.
const ENTRIES_FILE: &str = "entries";
const INFO_FILE: &str = "info.json";

fn in_folder(folder: &Path) -> impl Fn(io::Error) -> StateError {
    move |error| StateError::Storage(format!("{}: {error}", folder.display()))
}

/// Saves the state of a backend into a folder, which is made.
pub(super) fn save<K: Key>(backend: &mut HeapBackend<K>, folder: &Path) -> StateResult<()> {
    let failed = in_folder(folder);
    std::fs::create_dir_all(folder).map_err(&failed)?;
    let mut entries = std::fs::File::create(folder.join(ENTRIES_FILE)).map_err(&failed)?;
    let info = backend.snapshot(false)?.write(&mut entries).map_err(&failed)?;
    let text = serde_json::to_vec(&info).map_err(|error| failed(error.into()))?;
    std::fs::write(folder.join(INFO_FILE), text).map_err(&failed)
}

/// Reads a saved state into a backend that is empty and has the same states.
pub(super) fn load<K: Key>(backend: &mut HeapBackend<K>, folder: &Path) -> StateResult<()> {
    let failed = in_folder(folder);
    let text = std::fs::read(folder.join(INFO_FILE)).map_err(&failed)?;
    let info = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    let mut entries = std::fs::File::open(folder.join(ENTRIES_FILE)).map_err(&failed)?;
    backend.restore(&mut entries, &info)
}

/// The bytes of one key group, in which the states follow each other.
struct GroupReader<'a> {
    rest: &'a [u8],
    compressed: bool,
    decompressed: Vec<u8>,
}

/// First byte of a framed Snappy stream: the identifier chunk.
const SNAPPY_IDENTIFIER: u8 = 0xff;

impl GroupReader<'_> {
    /// Reads the states of the group, one after another: each number with the input that its entries are read from.
    fn for_each(mut self, mut read: impl FnMut(usize, &mut &[u8]) -> StateResult<()>) -> StateResult<()> {
        let mut next = 0;
        while !self.rest.is_empty() {
            if self.compressed {
                self.decompress()?;
                let mut input = self.decompressed.as_slice();
                next = read_state(next, &mut input, &mut read)?;
                if !input.is_empty() {
                    return Err(damaged("bytes follow the last entry of a state"));
                }
            } else {
                next = read_state(next, &mut self.rest, &mut read)?;
            }
        }
        Ok(())
    }

    /// Takes one framed stream off the front.
    fn decompress(&mut self) -> StateResult<()> {
        let end = snappy_stream_end(self.rest).ok_or_else(|| damaged("a compressed stream is cut short"))?;
        let (stream, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.decompressed.clear();
        let mut frames = snap::read::FrameDecoder::new(stream);
        frames.read_to_end(&mut self.decompressed).map_err(|error| damaged(error.to_string()))?;
        Ok(())
    }
}

/// Where the framed stream at the front of `bytes` ends: before the next identifier, or with the bytes.
fn snappy_stream_end(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    while end < bytes.len() && (end == 0 || bytes[end] != SNAPPY_IDENTIFIER) {
        let &[_, a, b, c] = bytes.get(end..end + 4)? else { return None };
        end += 4 + u32::from_le_bytes([a, b, c, 0]) as usize;
    }
    (end <= bytes.len()).then_some(end)
}

/// Reads one state's number and entries; returns the least number that may follow.
fn read_state(
    least: usize,
    input: &mut &[u8],
    read: &mut impl FnMut(usize, &mut &[u8]) -> StateResult<()>,
) -> StateResult<usize> {
    let (id, rest) = input.split_first_chunk().ok_or_else(|| damaged("it ends within the number of a state"))?;
    *input = rest;
    let id = usize::from(u16::from_be_bytes(*id));
    if id < least {
        return Err(damaged(format!("state {id} comes twice or out of order in a key group")));
    }
    read(id, input)?;
    Ok(id + 1)
}

/// Reads the entries that one state has in a key group, one after another. `read` tells whether its entry is new.
pub(super) fn read_entries(
    group: u16,
    input: &mut &[u8],
    mut read: impl FnMut(&mut &[u8]) -> StateResult<bool>,
) -> StateResult<()> {
    let count = usize::try_from(i32::decode(input)?).map_err(|_| damaged("a count of entries is negative"))?;
    // An entry takes a byte at least.
    if count > input.len() {
        return Err(damaged(format!("{count} entries are said to lie in {} bytes", input.len())));
    }
    for _ in 0..count {
        if !read(input)? {
            return Err(damaged(format!("an entry of key group {group} is there already")));
        }
    }
    Ok(())
}

/// The place of an entry that was read from a key group, given by number and position.
pub(super) fn place_in_group<'a, K: Key, N: Namespace>(
    key: &'a K,
    namespace: &'a N,
    groups: KeyGroups,
    (group, position): (u16, usize),
) -> StateResult<Place<'a, K, N>> {
    let hash_code = key.hash_code();
    if groups.group_of(hash_code) != group {
        return Err(damaged(format!("a key in key group {group} belongs to {}", groups.group_of(hash_code))));
    }
    Ok(Place::new(key, hash_code, namespace, position))
}

impl<K: Key> HeapBackend<K> {
    /// Begins a snapshot of every state: the synchronous part of a checkpoint, which copies the arrays of buckets and
    /// leaves the entries to copy-on-write. With `compressed` it is written with Flink's
    /// `execution.checkpointing.snapshot-compression`.
    ///
    /// # Errors
    /// 2^31 snapshots were taken before.
    pub fn snapshot(&mut self, compressed: bool) -> StateResult<HeapSnapshot> {
        let now_ms = self.now_ms;
        let states = self.states.iter_mut().map(|state| {
            let cleanup = Cleanup::of(state.ttl, now_ms);
            Some(StateSnapshot { name: state.meta.name.clone(), table: state.table.snapshot()?, cleanup })
        });
        let states: Option<Vec<_>> = states.collect();
        let states = states.ok_or_else(|| StateError::Storage("no snapshot version is left".to_owned()))?;
        let header = write_header(compressed, &K::serializer(), self.metas());
        let max_parallelism = self.groups.max_parallelism;
        Ok(HeapSnapshot { key_groups: self.key_groups(), max_parallelism, header, states, compressed })
    }

    /// Puts the entries of a checkpoint into the states, which are those that it was written from, and which hold none
    /// of its keys: of the key groups that this subtask owns; others are not read. A backend of
    /// another parallelism is restored from the checkpoints of all subtasks, one after another.
    ///
    /// # Errors
    /// The checkpoint cannot be read, is damaged, or is one of another key type or other states, which the error names.
    /// The backend then holds a part of it, or nothing where the header says so.
    pub fn restore(&mut self, source: &mut (impl Read + Seek), info: &SnapshotInfo) -> StateResult<()> {
        let positions = read_header(source, info, &K::serializer(), self.metas())?;
        if info.offsets.contains(&0) {
            return Err(damaged("a key group has no place in it"));
        }
        let mut bytes = Vec::new();
        for (group, range) in info.groups()? {
            if !self.key_groups().contains(&group) {
                continue;
            }
            read_range(source, range, &mut bytes)?;
            self.restore_group(group, &bytes, info.compressed, &positions)?;
        }
        Ok(())
    }

    fn restore_group(&mut self, group: u16, bytes: &[u8], compressed: bool, positions: &[usize]) -> StateResult<()> {
        let (number, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("a key group has no number"))?;
        if i32::from_be_bytes(*number) != i32::from(group) {
            return Err(damaged(format!("key group {} lies where {group} should", i32::from_be_bytes(*number))));
        }
        let at = (group, usize::from(group - self.first_group));
        let groups = self.groups;
        GroupReader { rest, compressed, decompressed: Vec::new() }.for_each(|id, input| {
            let state = positions.get(id).and_then(|position| self.states.get_mut(*position));
            let state = state.ok_or_else(|| damaged(format!("it has a state {id}, and its header has none")))?;
            state.table.read_group(groups, at, input)
        })
    }
}
