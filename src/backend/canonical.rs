//! Canonical savepoints: Flink's format that either backend writes and either restores (`FullSnapshotAsyncWriter`).
//!
//! Behind the header, each key group that has entries holds them state by state: the `int16` number of the state, then
//! of each entry the `int32` length of its key, the key, the `int32` length of its value and the value, as RocksDB keeps
//! them. The first bit of a key, which no key group needs, says that its entry is the last one of its state: then follows
//! the number of the next state, or the mark of the end. With compression each key group is one framed Snappy stream.

use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use super::snapshot::{CHUNK, Counted, SnapshotInfo, damaged, read_range};
use crate::state::{
    Codec, Key, KeyGroups, Namespace, StateError, StateResult, Timer, split_composite_key, split_key_group,
};

/// What stands in place of the number of a state behind the last one of a key group.
const END_OF_KEY_GROUP: u16 = u16::MAX;
/// The bit of the first byte of a key that says that its entry is the last of its state.
const META_FOLLOWS: u8 = 0x80;

/// Writes a canonical savepoint, key group by key group.
pub(super) struct CanonicalWriter<'a, W: Write> {
    out: Counted<'a, W>,
    compressed: bool,
    offsets: Vec<u64>,
    /// By the number of the state.
    state_bytes: Vec<u64>,
    pending: Vec<u8>,
}

impl<'a, W: Write> CanonicalWriter<'a, W> {
    /// Writes the header, which tells of so many states.
    pub fn begin(out: &'a mut W, header: &[u8], compressed: bool, states: usize) -> io::Result<Self> {
        let mut out = Counted::new(out);
        out.write_all(header)?;
        let pending = Vec::with_capacity(2 * CHUNK);
        Ok(Self { out, compressed, offsets: Vec::new(), state_bytes: vec![0; states], pending })
    }

    /// Writes the next key group, whose entries `write` gives, state by state in the order of their numbers.
    pub fn key_group(&mut self, write: impl FnOnce(&mut GroupWriter<'_>) -> io::Result<()>) -> io::Result<()> {
        let start = self.out.bytes;
        let Self { out, state_bytes, pending, .. } = self;
        let has_entries = if self.compressed {
            let mut frames = snap::write::FrameEncoder::new(out);
            let has_entries = GroupWriter::write(&mut frames, pending, state_bytes, write)?;
            frames.into_inner().map_err(snap::write::IntoInnerError::into_error)?;
            has_entries
        } else {
            GroupWriter::write(out, pending, state_bytes, write)?
        };
        self.offsets.push(if has_entries { start } else { 0 });
        Ok(())
    }

    /// Ends the savepoint of these key groups and states.
    pub fn finish(
        mut self,
        key_groups: Range<u16>,
        names: impl IntoIterator<Item = String>,
    ) -> io::Result<SnapshotInfo> {
        self.out.flush()?;
        Ok(SnapshotInfo {
            bytes: self.out.bytes,
            key_groups,
            offsets: self.offsets,
            compressed: self.compressed,
            state_bytes: names.into_iter().zip(self.state_bytes).collect(),
        })
    }
}

/// Takes the entries of one key group.
pub(super) struct GroupWriter<'a> {
    out: &'a mut dyn Write,
    /// What is not yet written: at least the last entry, of which it is not known whether another one follows.
    pending: &'a mut Vec<u8>,
    /// Where the key of the last entry is in there.
    last_key: usize,
    /// The state of the last entry.
    state: Option<u16>,
    state_bytes: &'a mut [u64],
}

impl GroupWriter<'_> {
    /// Writes the entries that `write` gives; whether there were any.
    fn write(
        out: &mut dyn Write,
        pending: &mut Vec<u8>,
        state_bytes: &mut [u64],
        write: impl FnOnce(&mut GroupWriter<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        pending.clear();
        let mut group = GroupWriter { out, pending, last_key: 0, state: None, state_bytes };
        write(&mut group)?;
        let has_entries = group.state.is_some();
        if has_entries {
            group.mark_last();
            group.pending.extend_from_slice(&END_OF_KEY_GROUP.to_be_bytes());
            group.out.write_all(group.pending)?;
        }
        Ok(has_entries)
    }

    fn mark_last(&mut self) {
        self.pending[self.last_key] |= META_FOLLOWS;
    }

    /// Writes an entry of a state, given by its number.
    pub fn entry(&mut self, state: u16, key: &[u8], value: &[u8]) -> io::Result<()> {
        if self.state != Some(state) {
            if self.state.is_some() {
                self.mark_last();
            }
            self.pending.extend_from_slice(&state.to_be_bytes());
            self.state = Some(state);
        }
        if self.pending.len() >= CHUNK {
            self.out.write_all(self.pending)?;
            self.pending.clear();
        }
        self.put(key)?;
        self.last_key = self.pending.len() - key.len();
        self.put(value)?;
        self.state_bytes[usize::from(state)] += 8 + (key.len() + value.len()) as u64;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::other("an entry has more bytes than the format can count");
        i32::try_from(bytes.len()).map_err(too_long)?.encode(self.pending);
        self.pending.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where an entry is read from: its key group, and how keys belong to them.
#[derive(Clone, Copy)]
pub(super) struct GroupOf {
    pub number: u16,
    pub groups: KeyGroups,
}

/// One entry of a savepoint, as RocksDB keeps it.
#[derive(Clone, Copy)]
pub(super) struct StoredEntry<'a> {
    pub group: GroupOf,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> StoredEntry<'a> {
    /// Key, namespace, and what follows of a map: its user key.
    pub fn split_key<K: Key, N: Namespace>(&self) -> StateResult<(K, N, &'a [u8])> {
        let mut rest = self.behind_group()?;
        let (key, namespace) = split_composite_key::<K, N>(&mut rest)?;
        self.group.check(&key)?;
        Ok((key, namespace, rest))
    }

    /// The same where nothing may follow.
    #[cfg(feature = "rocksdb")]
    pub fn whole_key<K: Key, N: Namespace>(&self) -> StateResult<(K, N)> {
        let (key, namespace, rest) = self.split_key()?;
        if rest.is_empty() { Ok((key, namespace)) } else { Err(damaged("bytes follow the namespace of an entry")) }
    }

    /// The entry as a timer.
    pub fn timer<K: Key, N: Namespace>(&self) -> StateResult<Timer<K, N>> {
        let mut rest = self.behind_group()?;
        let timer = Timer::<K, N>::decode(&mut rest)?;
        self.group.check(&timer.key)?;
        if rest.is_empty() && self.value.is_empty() { Ok(timer) } else { Err(damaged("bytes follow a timer")) }
    }

    fn behind_group(&self) -> StateResult<&'a [u8]> {
        let GroupOf { number, groups } = self.group;
        match split_key_group(self.key, groups.max_parallelism) {
            Some((found, rest)) if found == number => Ok(rest),
            _ => Err(damaged(format!("a key in key group {number} does not begin with it"))),
        }
    }
}

impl GroupOf {
    fn check<K: Key>(self, key: &K) -> StateResult<()> {
        let own = self.groups.group_of(key.hash_code());
        if own == self.number {
            return Ok(());
        }
        Err(damaged(format!("a key in key group {} belongs to {own}", self.number)))
    }
}

/// Visits every entry of those key groups of a savepoint that are in `own`: with the number of its state, which is below
/// `states`.
pub(super) fn for_each_entry(
    source: &mut (impl Read + Seek),
    info: &SnapshotInfo,
    (own, groups): (Range<u16>, KeyGroups),
    states: usize,
    mut visit: impl FnMut(usize, StoredEntry<'_>) -> StateResult<()>,
) -> StateResult<()> {
    let (mut bytes, mut decompressed) = (Vec::new(), Vec::new());
    for (number, range) in info.groups()? {
        if !own.contains(&number) {
            continue;
        }
        read_range(source, range, &mut bytes)?;
        let entries = if info.compressed { decompress(&bytes, &mut decompressed)? } else { &mut bytes };
        read_group(entries, |state, key, value| {
            if state >= states {
                return Err(damaged(format!("it has a state {state}, and its header has none")));
            }
            visit(state, StoredEntry { group: GroupOf { number, groups }, key, value })
        })?;
    }
    Ok(())
}

/// A chunk of Snappy holds 64 KiB at most, so this takes a few tens of times what is there.
fn decompress<'a>(bytes: &[u8], out: &'a mut Vec<u8>) -> StateResult<&'a mut Vec<u8>> {
    out.clear();
    let read = snap::read::FrameDecoder::new(bytes).read_to_end(out);
    read.map_err(|error| damaged(error.to_string()))?;
    Ok(out)
}

/// Reads the entries of a key group, and takes the marks out of their keys.
fn read_group(bytes: &mut [u8], mut visit: impl FnMut(usize, &[u8], &[u8]) -> StateResult<()>) -> StateResult<()> {
    let (mut rest, mut least) = (Rest(bytes), 0);
    loop {
        let state = rest.take_state()?;
        if state == END_OF_KEY_GROUP {
            let is_whole = least > 0 && rest.0.is_empty();
            return if is_whole { Ok(()) } else { Err(damaged("a key group ends before its last byte")) };
        }
        let state = usize::from(state);
        if state < least {
            return Err(damaged(format!("state {state} comes twice or out of order in a key group")));
        }
        least = state + 1;
        let mut is_last = false;
        while !is_last {
            let key = rest.take_bytes()?;
            let first = key.first_mut().ok_or_else(|| damaged("a key is empty"))?;
            is_last = *first & META_FOLLOWS != 0;
            *first &= !META_FOLLOWS;
            let value = rest.take_bytes()?;
            visit(state, key, value)?;
        }
    }
}

/// What is left to be read of a key group.
struct Rest<'a>(&'a mut [u8]);

impl<'a> Rest<'a> {
    /// Takes the number of a state, or what stands in its place.
    fn take_state(&mut self) -> StateResult<u16> {
        let (state, behind) = std::mem::take(&mut self.0).split_first_chunk_mut().ok_or_else(cut_short)?;
        self.0 = behind;
        Ok(u16::from_be_bytes(*state))
    }

    /// Takes a length and so many bytes.
    fn take_bytes(&mut self) -> StateResult<&'a mut [u8]> {
        let (len, behind) = std::mem::take(&mut self.0).split_first_chunk_mut().ok_or_else(cut_short)?;
        let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| damaged("a length is negative"))?;
        let (bytes, behind) = behind.split_at_mut_checked(len).ok_or_else(cut_short)?;
        self.0 = behind;
        Ok(bytes)
    }
}

fn cut_short() -> StateError {
    damaged("a key group is cut short")
}
