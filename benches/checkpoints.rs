//! What checkpoints and restores cost, beside the bare work that they cannot do without, in one process and interleaved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[cfg(feature = "rocksdb")]
fn main() {
    // `cargo test --benches` runs benchmarks with this flag; there is nothing to test here.
    if !std::env::args().any(|argument| argument == "--test") {
        measured::all();
    }
}

#[cfg(not(feature = "rocksdb"))]
fn main() {}

#[cfg(feature = "rocksdb")]
mod measured {
    use std::io::Cursor;
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use rocksdb::checkpoint::Checkpoint;
    use rocksdb::{DB, WriteOptions};
    use statebench::backend::{
        HeapBackend, OpenMode, RocksDbBackend, SnapshotRequest, Snapshots, fetch_files, rocksdb_options,
    };
    use statebench::checkpoint::{
        CheckpointStorage, JobIdentity, KeyedHandle, Metadata, OperatorHandle, Output, Position, Scope, SnapshotKind,
        SnapshotTarget, StoredCheckpoint, SubtaskHandle, Written,
    };
    use statebench::state::{Digest, KeyGroups, KeyedStateBackend, Payload, StateTtls, ValueState, VoidNamespace, mix};
    use statebench::workload::{BackendType, Now, Options};

    const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };
    const REPEATS: usize = 7;
    const GIB: f64 = (1 << 30) as f64;

    pub fn all() {
        println!("| what | figure | median | range | goal |");
        println!("| --- | --- | --- | --- | --- |");
        rocksdb_synchronous_part();
        upload_beside_cp();
        heap_restore();
        rocksdb_restore();
    }

    fn row(what: &str, figure: &str, values: &[f64], goal: &str) {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        println!("| {what} | {figure} | {:.2} | {least:.2} to {most:.2} | {goal} |", values[values.len() / 2]);
    }

    /// Bytes that no compressor makes fewer.
    fn payload(bytes: usize, seed: u64) -> Payload {
        let words = (0..bytes.div_ceil(8) as u64).flat_map(|word| mix(seed, word).to_le_bytes());
        Payload(words.take(bytes).collect())
    }

    fn options() -> Options {
        let mut options = Options::of(BackendType::RocksDb);
        options.set("state.backend.rocksdb.memory.managed", "false").unwrap();
        options
    }

    fn open(folder: &Path) -> (RocksDbBackend<i64>, ValueState<VoidNamespace, Payload>) {
        let mut backend =
            RocksDbBackend::<i64>::open(folder, &options(), (GROUPS, 0), None, OpenMode::default(), StateTtls::new())
                .unwrap();
        let value = backend.value_state("value").unwrap();
        (backend, value)
    }

    /// (a) The synchronous part of an incremental checkpoint beside a flush and a checkpoint of a bare database with the same
    /// entries: both get the same 50,000 of 100 bytes before each.
    fn rocksdb_synchronous_part() {
        let folder = tempfile::tempdir().unwrap();
        let (mut backend, value) = open(&folder.path().join("backend"));
        let mut db_options = rocksdb_options(&options(), None).unwrap();
        db_options.create_if_missing(true);
        let mut bare = DB::open(&db_options, folder.path().join("bare")).unwrap();
        bare.create_cf("value", &db_options).unwrap();
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        let (mut ratios, mut ours) = (Vec::new(), Vec::new());
        for round in 0..2 * REPEATS as u64 {
            for key in 0..50_000 {
                let (key, payload) = ((mix(round, key) % 500_000) as i64, payload(100, mix(key, round)));
                bare.put_cf_opt(bare.cf_handle("value").unwrap(), key.to_be_bytes(), &payload.0, &write).unwrap();
                backend.set_current_key(&key);
                backend.update(value, &VoidNamespace, payload).unwrap();
            }
            let request = SnapshotRequest {
                id: round,
                kind: SnapshotKind::IncrementalCheckpoint,
                compressed: false,
                confirmed: None,
                scratch: folder.path(),
            };
            let mut begin = || {
                let start = Instant::now();
                let pending = backend.begin_snapshot(&request).unwrap();
                let time = start.elapsed();
                drop(pending);
                time
            };
            let target = folder.path().join(format!("checkpoint-{round}"));
            let flush = || {
                let start = Instant::now();
                Checkpoint::new(&bare).unwrap().create_checkpoint(&target).unwrap();
                start.elapsed()
            };
            let (h, b) = if round % 2 == 0 {
                let h = begin();
                (h, flush())
            } else {
                let b = flush();
                (begin(), b)
            };
            ratios.push(h.as_secs_f64() / b.as_secs_f64());
            ours.push(h.as_secs_f64() * 1e3);
        }
        let what = "RocksDB, synchronous part after 50,000 updates of 100 b";
        row(what, "time over a bare flush's and checkpoint's", &ratios, "≤ 1.2");
        row(what, "ms", &ours, "");
    }

    /// (b) 512 MiB in eight files, uploaded by four threads to a local directory, beside `cp` of the same files.
    fn upload_beside_cp() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let files: Vec<_> = (0..8).map(|file| source.join(format!("{file}.sst"))).collect();
        for (file, seed) in files.iter().zip(0..) {
            std::fs::write(file, &payload(64 << 20, seed).0).unwrap();
        }
        let mut ratios = Vec::new();
        let mut speeds = Vec::new();
        for round in 0..REPEATS {
            let copied = folder.path().join("copied");
            let start = Instant::now();
            assert!(Command::new("cp").arg("-r").arg(&source).arg(&copied).status().unwrap().success());
            let cp = start.elapsed();
            std::fs::remove_dir_all(&copied).unwrap();
            let target = folder.path().join(format!("uploaded-{round}"));
            let storage = CheckpointStorage::open(target.to_str().unwrap(), None).unwrap();
            let start = Instant::now();
            std::thread::scope(|scope| {
                for part in files.chunks(2) {
                    let storage = &storage;
                    scope.spawn(move || {
                        for file in part {
                            storage.upload(file.file_name().unwrap().to_str().unwrap(), file).unwrap();
                        }
                    });
                }
            });
            let upload = start.elapsed();
            std::fs::remove_dir_all(&target).unwrap();
            ratios.push(cp.as_secs_f64() / upload.as_secs_f64());
            speeds.push(0.5 / upload.as_secs_f64());
        }
        row("upload of 512 MiB to a local directory", "speed over that of `cp`", &ratios, "≥ 0.8");
        row("upload of 512 MiB to a local directory", "GiB/s", &speeds, "");
    }

    /// (c) A heap of 1,000,000 values of 100 bytes, restored from its checkpoint on one thread.
    fn heap_restore() {
        let mut heap = HeapBackend::<i64>::new(GROUPS, 0);
        let value = heap.value_state::<VoidNamespace, Payload>("value").unwrap();
        for key in 0..1_000_000 {
            heap.set_current_key(&key);
            heap.update(value, &VoidNamespace, payload(100, key as u64)).unwrap();
        }
        let mut bytes = Vec::new();
        let info = heap.snapshot(false).unwrap().write(&mut bytes).unwrap();
        drop(heap);
        let mut speeds = Vec::new();
        for _ in 0..REPEATS {
            let mut heap = HeapBackend::<i64>::new(GROUPS, 0);
            heap.value_state::<VoidNamespace, Payload>("value").unwrap();
            let start = Instant::now();
            heap.restore(&mut Cursor::new(&bytes), &info).unwrap();
            speeds.push(bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
        row("heap restore, 1,000,000 values of 100 b", "MB/s of one core", &speeds, "≥ 300");
    }

    /// (d) 1 GiB of RocksDB state from a local directory: its table files linked and checked, the database opened.
    fn rocksdb_restore() {
        let folder = tempfile::tempdir().unwrap();
        let (mut backend, value) = open(&folder.path().join("backend"));
        for key in 0..1_000_000 {
            backend.set_current_key(&key);
            backend.update(value, &VoidNamespace, payload(1080, key as u64)).unwrap();
        }
        backend.settle().unwrap();
        let dir = folder.path().join("checkpoints");
        let storage = CheckpointStorage::open(dir.to_str().unwrap(), None).unwrap();
        save(&mut backend, &storage, folder.path());
        drop(backend);
        let checkpoint = StoredCheckpoint::open_in(&storage, "chk-1").unwrap();
        let KeyedHandle::RocksDb { files, .. } = &checkpoint.metadata.subtasks[0].operators[0].keyed else {
            panic!("files of RocksDB")
        };
        let gib = checkpoint.metadata.full_bytes() as f64 / GIB;
        let (mut seconds, mut linking) = (Vec::new(), Vec::new());
        for round in 0..REPEATS {
            let target = folder.path().join(format!("restored-{round}"));
            let start = Instant::now();
            fetch_files(&checkpoint, files, &target, 4).unwrap();
            let linked: Duration = start.elapsed();
            let (mut restored, value) = open(&target);
            let time = start.elapsed();
            restored.set_current_key(&7);
            assert!(restored.value(value, &VoidNamespace).unwrap().is_some());
            drop(restored);
            std::fs::remove_dir_all(&target).unwrap();
            seconds.push(time.as_secs_f64() / gib);
            linking.push(linked.as_secs_f64() / gib);
        }
        let what = format!("RocksDB restore of {gib:.2} GiB from a local directory");
        row(&what, "s for 1 GiB", &seconds, "< 1");
        row(&what, "of it to link and check the files, s for 1 GiB", &linking, "");
    }

    fn save(backend: &mut RocksDbBackend<i64>, storage: &CheckpointStorage, scratch: &Path) {
        let request = SnapshotRequest {
            id: 1,
            kind: SnapshotKind::IncrementalCheckpoint,
            compressed: false,
            confirmed: None,
            scratch,
        };
        let (exclusive, shared, written) = (storage.child("chk-1"), storage.child("shared"), Written::default());
        let target = SnapshotTarget {
            exclusive: &exclusive,
            own: Scope::Exclusive,
            shared: &shared,
            prefix: "1-",
            inline_threshold: 20 << 10,
            transfer_threads: 4,
            written: &written,
        };
        let keyed = backend.begin_snapshot(&request).unwrap().write(&target).unwrap();
        let output = Output { emitted: Digest::default(), late_events: 0, now: Now::START, latest: vec![] };
        let metadata = Metadata {
            id: 1,
            kind: request.kind,
            written_by: String::new(),
            backend: "rocksdb".to_owned(),
            job: JobIdentity { key_type: "long".to_owned(), max_parallelism: 128, sections: [].into() },
            stream_seed: 1,
            position: Position { next_block: 0, phase: 0, phase_events: 0, events: 0, now: Now::START },
            state_digest: None,
            subtasks: vec![SubtaskHandle { operators: vec![OperatorHandle { keyed, operator_state: None, output }] }],
        };
        metadata.save(&exclusive).unwrap();
    }
}
