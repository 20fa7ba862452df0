//! Writes the events of a workload to files that a job of Flink reads, one for each subtask.
//!
//! Numbers are big endian. A file begins with the bytes `SBEV`, a version (1), the kind of keys (0 longs, 1 texts) and a
//! key of the subtask's own key groups, which the job gives to events that go to all subtasks. Then come records, each
//! with a byte that says what it is:
//!
//! | byte | record | what follows |
//! | --- | --- | --- |
//! | 1 | an event | sequence, event time, watermark before it, processing time, value, second number (`i64` each), input and operation (a byte each), 1 and its key as a number (`i64`) for an event that goes to all subtasks, else 0 and its key; length (`i32`) and bytes of the payload |
//! | 2 | a watermark | the watermark (`i64`, ms) |
//! | 3 | the prefill ends | |
//! | 4 | the measured part begins | |
//! | 0 | the end | |
//!
//! A long key is an `i64`; a text key is its length in bytes (`i32`) and its bytes in UTF-8. The reader is
//! `flink/statebench/EventFile.java`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::EngineError;
use super::spec::delivery;
use crate::run::{Delivery, stop_requested};
use crate::source::{Event, EventSource, Scratch, SourceKey};
use crate::state::{KeyGroups, StringKey};
use crate::workload::{Extent, KeyType, Now, Workload};

const MAGIC: &[u8] = b"SBEV";
const VERSION: u8 = 1;
const END: u8 = 0;
const EVENT: u8 = 1;
const WATERMARK: u8 = 2;
const PREFILL_ENDS: u8 = 3;
const MEASURING_BEGINS: u8 = 4;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Events before the measured part, the prefill left out.
    pub warm_up_events: u64,
    /// Events of the measured part.
    pub events: u64,
    /// Rows of a trace that were skipped.
    pub skipped_rows: u64,
}

/// The file of a subtask.
pub fn file_name(subtask: u16) -> String {
    format!("events-{subtask}.bin")
}

/// Writes the events of a repeat into a folder.
///
/// # Errors
/// The source or a file failed, or the user stopped it.
pub fn write_events(workload: &Workload, stream_seed: u64, folder: &Path) -> Result<Written, EngineError> {
    match workload.keys.key_type {
        KeyType::Long => Writer::<i64>::create(workload, folder)?.write(workload, stream_seed),
        KeyType::String { .. } => Writer::<StringKey>::create(workload, folder)?.write(workload, stream_seed),
    }
}

/// A key as a file has it.
trait FileKey: SourceKey {
    const KIND: u8;
    fn put(&self, out: &mut Vec<u8>);
    /// The n-th of some keys that are spread over all key groups.
    fn numbered(number: u32) -> Self;
}

impl FileKey for i64 {
    const KIND: u8 = 0;
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn numbered(number: u32) -> Self {
        Self::from(number)
    }
}

impl FileKey for StringKey {
    const KIND: u8 = 1;
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_str().as_bytes(), out);
    }
    fn numbered(number: u32) -> Self {
        Self::new(number.to_string())
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

struct Writer<K> {
    files: Vec<(PathBuf, BufWriter<File>)>,
    groups: KeyGroups,
    delivery: Delivery,
    /// The last watermark that all files have, where subtasks see every one.
    watermark_ms: i64,
    record: Vec<u8>,
    keys: std::marker::PhantomData<K>,
}

impl<K: FileKey> Writer<K> {
    fn create(workload: &Workload, folder: &Path) -> Result<Self, EngineError> {
        let groups = workload.run.groups;
        let create = |subtask: u16| {
            let path = folder.join(file_name(subtask));
            let mut head = MAGIC.to_vec();
            head.extend([VERSION, K::KIND]);
            anchor::<K>(groups, subtask).put(&mut head);
            let file = File::create(&path).and_then(|file| {
                let mut file = BufWriter::with_capacity(1 << 18, file);
                file.write_all(&head).map(|()| file)
            });
            file.map(|file| (path.clone(), file)).map_err(|error| EngineError::Io(path, "cannot write events", error))
        };
        Ok(Self {
            files: (0..groups.parallelism).map(create).collect::<Result<_, _>>()?,
            groups,
            delivery: delivery(&workload.operator),
            watermark_ms: i64::MIN,
            record: Vec::new(),
            keys: std::marker::PhantomData,
        })
    }

    fn write(mut self, workload: &Workload, stream_seed: u64) -> Result<Written, EngineError> {
        self.copy(&EventSource::prefill(workload), u64::MAX, true)?;
        self.mark(PREFILL_ENDS)?;
        let source = EventSource::open(workload, stream_seed)?;
        let warm_up_events = self.copy(&source, workload.run.first_measured(), false)?;
        self.mark(MEASURING_BEGINS)?;
        let of_phases = workload.phases.iter().map(|phase| phase.events).sum::<u64>();
        let limit = match workload.run.measured {
            _ if !workload.phases.is_empty() => warm_up_events + of_phases,
            Extent::Events(events) => warm_up_events + events,
            Extent::Time(_) | Extent::SourceEnd => u64::MAX,
        };
        let events = self.copy(&source, limit, false)?;
        if let Some(last) = (warm_up_events + events).checked_sub(1) {
            self.put_watermark(source.now_at(last))?;
        }
        self.mark(END)?;
        for (path, file) in &mut self.files {
            file.flush().map_err(|error| EngineError::Io(path.clone(), "cannot write events", error))?;
        }
        Ok(Written { warm_up_events, events, skipped_rows: source.skipped_rows() })
    }

    /// Copies the events below a sequence that the source has not handed out yet; how many there were.
    fn copy(&mut self, source: &EventSource, limit: u64, is_prefill: bool) -> Result<u64, EngineError> {
        let (mut scratch, mut block, mut count) = (Scratch::default(), Vec::new(), 0);
        let block_end = limit.div_ceil(crate::source::BLOCK_EVENTS as u64);
        while source.take_block(block_end, limit, &mut scratch, |event: Event<K>| block.push(event))?.is_some() {
            if stop_requested() {
                return Err(EngineError::Interrupted);
            }
            count += block.len() as u64;
            for event in block.drain(..) {
                self.put(&event, is_prefill)?;
            }
        }
        Ok(count)
    }

    fn put(&mut self, event: &Event<K>, is_prefill: bool) -> Result<(), EngineError> {
        if self.delivery.every_watermark && !is_prefill && event.watermark_ms > self.watermark_ms {
            self.put_watermark(event.now())?;
        }
        let is_broadcast = self.delivery.is_broadcast(event);
        self.record.clear();
        self.record.push(EVENT);
        for number in
            [event.sequence as i64, event.time_ms, event.watermark_ms, event.processing_ms, event.value, event.other]
        {
            self.record.extend_from_slice(&number.to_be_bytes());
        }
        self.record.extend([event.stream, event.operation as u8, u8::from(is_broadcast)]);
        if is_broadcast {
            event.key.as_long().put(&mut self.record);
        } else {
            event.key.put(&mut self.record);
        }
        put_bytes(&event.payload.0, &mut self.record);
        if is_broadcast {
            return self.put_in_all();
        }
        let subtask = self.groups.subtask_of(self.groups.group_of(event.key.hash_code()));
        let (path, file) = &mut self.files[usize::from(subtask)];
        file.write_all(&self.record).map_err(|error| EngineError::Io(path.clone(), "cannot write events", error))
    }

    fn put_watermark(&mut self, now: Now) -> Result<(), EngineError> {
        self.watermark_ms = now.watermark_ms;
        self.record.clear();
        self.record.push(WATERMARK);
        self.record.extend_from_slice(&now.watermark_ms.to_be_bytes());
        self.put_in_all()
    }

    fn mark(&mut self, tag: u8) -> Result<(), EngineError> {
        self.record.clear();
        self.record.push(tag);
        self.put_in_all()
    }

    fn put_in_all(&mut self) -> Result<(), EngineError> {
        for (path, file) in &mut self.files {
            file.write_all(&self.record)
                .map_err(|error| EngineError::Io(path.clone(), "cannot write events", error))?;
        }
        Ok(())
    }
}

/// A key whose key group is a subtask's own.
fn anchor<K: FileKey>(groups: KeyGroups, subtask: u16) -> K {
    let is_own = |key: &K| groups.subtask_of(groups.group_of(key.hash_code())) == subtask;
    // A few draws find one: every subtask has a key group, and there are at most 32768.
    (0..=u32::MAX).map(K::numbered).find(is_own).unwrap_or_else(|| K::numbered(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Codec, Key};

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    /// What a file holds: its records by kind, with the sequence or the watermark, and of events the key.
    type Records = Vec<(u8, i64, Option<i64>)>;

    /// Of a file with long keys.
    fn records(mut bytes: &[u8]) -> Records {
        assert_eq!(bytes.split_off(..6).unwrap(), b"SBEV\x01\x00");
        let long = |bytes: &mut &[u8]| i64::decode(bytes).unwrap();
        let anchor = long(&mut bytes);
        let mut records = Vec::new();
        while let Some((&tag, rest)) = bytes.split_first() {
            bytes = rest;
            records.push(match tag {
                EVENT => {
                    let sequence = long(&mut bytes);
                    (0..5).for_each(|_| _ = long(&mut bytes));
                    let flags = bytes.split_off(..3).unwrap();
                    let key = long(&mut bytes);
                    let payload = i32::decode(&mut bytes).unwrap();
                    bytes.split_off(..payload as usize).unwrap();
                    (tag, sequence, Some(if flags[2] == 1 { anchor } else { key }))
                }
                WATERMARK => (tag, long(&mut bytes), None),
                _ => (tag, 0, None),
            });
        }
        records
    }

    fn written(text: &str) -> (Workload, Written, Vec<Records>) {
        let (workload, folder) = (workload(text), tempfile::tempdir().unwrap());
        let written = write_events(&workload, 1, folder.path()).unwrap();
        let file = |subtask| records(&std::fs::read(folder.path().join(file_name(subtask))).unwrap());
        let files = (0..workload.run.groups.parallelism).map(file).collect();
        (workload, written, files)
    }

    #[test]
    fn each_event_is_in_the_file_of_its_key_and_in_order() {
        let text = "keys.cardinality = 300\nvalues.size = 9\nrun = { events = 5_000, warm-up = 100, parallelism = 3 }";
        let (workload, written, files) = written(text);
        assert_eq!(written, Written { warm_up_events: ROUND, events: 5_000, skipped_rows: 0 });
        let groups = workload.run.groups;
        let (mut prefilled, mut sequences) = (0, Vec::new());
        for (records, subtask) in files.iter().zip(0..) {
            let own = records.iter().filter_map(|(_, _, key)| *key);
            assert!(own.clone().all(|key| groups.subtask_of(groups.group_of(key.hash_code())) == subtask));
            let marks: Vec<_> = records.iter().map(|(tag, ..)| *tag).filter(|tag| *tag != EVENT).collect();
            assert_eq!(marks, [PREFILL_ENDS, MEASURING_BEGINS, WATERMARK, END]);
            let parts: Vec<_> =
                records.split(|(tag, ..)| *tag != EVENT).map(|part| part.iter().map(|one| one.1)).collect();
            prefilled += parts[0].len();
            assert!(parts[1].clone().all(|sequence| sequence < ROUND as i64));
            assert!(parts[2].clone().all(|sequence| sequence >= ROUND as i64));
            assert!(parts.iter().all(|part| part.clone().is_sorted()));
            sequences.extend(parts[1].clone().chain(parts[2].clone()));
        }
        sequences.sort_unstable();
        assert!(prefilled == 300 && sequences.into_iter().eq(0..ROUND as i64 + 5_000));
    }

    /// A warm-up ends with a round.
    const ROUND: u64 = crate::workload::ROUND_EVENTS;

    #[test]
    fn broadcast_events_and_watermarks_go_to_all_where_they_have_to() {
        let run = "run = { events = 2_000, warm-up = 0, parallelism = 2 }\nkeys.cardinality = 50\n";
        let (.., files) = written(&format!("{run}operator.broadcast-rules = {{ updates = 0.1 }}"));
        let all: usize = files.iter().map(|records| records.iter().filter(|one| one.0 == EVENT).count()).sum();
        assert!((2_050 + 150..2_050 + 250).contains(&all), "{all}");
        let (.., files) = written(&format!("{run}operator = 'temporal-join'\ntime.rate = 1000"));
        for records in files {
            let watermarks: Vec<_> = records.iter().filter(|one| one.0 == WATERMARK).map(|one| one.1).collect();
            assert!(watermarks.len() > 5 && watermarks.is_sorted(), "{watermarks:?}");
        }
    }
}
