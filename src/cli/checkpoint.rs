//! `statebench checkpoint`

use std::fmt::Write;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::{Failure, Outcome, print};
use crate::checkpoint::{
    CheckpointError, CheckpointStorage, JobFolder, KeyedHandle, Metadata, Orphan, StorageError, StoredCheckpoint,
};
use crate::report::printable_lines;
use crate::result::printable;

/// The commands about checkpoints and savepoints.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is in a checkpoint or savepoint: its job, its place in the stream, its states and files
    Inspect(Inspect),
    /// Read every byte of a checkpoint, or of all checkpoints of a job, and compare it with its checksum; tell orphans
    Verify(Verify),
    /// Delete what no complete checkpoint of a job needs
    Gc(Gc),
}

/// What `checkpoint inspect` looks at.
#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// The folder of a checkpoint, or its URL
    checkpoint: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `checkpoint verify` reads.
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// The folder of a checkpoint, or that of a job with all its checkpoints; or their URL
    folder: String,
}

/// What `checkpoint gc` cleans up.
#[derive(Debug, ClapArgs)]
pub struct Gc {
    /// The folder of a job, or its URL
    job: String,
    /// Only tell what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn checkpoint(command: &Command) -> Outcome {
    match command {
        Command::Inspect(args) => inspect(args),
        Command::Verify(args) => verify(args),
        Command::Gc(args) => gc(args),
    }
}

fn failure(error: CheckpointError) -> Failure {
    if error.is_input() { Failure::input(error) } else { Failure::environment(error) }
}

fn inspect(args: &Inspect) -> Outcome {
    let checkpoint = StoredCheckpoint::open(&args.checkpoint).map_err(failure)?;
    let contents = Contents::of(&checkpoint);
    if args.json {
        let text = serde_json::to_string_pretty(&contents).map_err(Failure::environment)?;
        return print(&(text + "\n"));
    }
    print(&printable_lines(&contents.text()))
}

/// What a checkpoint holds, for people and programs.
#[derive(Serialize)]
struct Contents<'a> {
    checkpoint: &'a str,
    id: u64,
    kind: String,
    backend: &'a str,
    written_by: &'a str,
    key_type: &'a str,
    parallelism: usize,
    max_parallelism: u16,
    events: u64,
    processing_time_ms: i64,
    full_bytes: u64,
    state_bytes: std::collections::BTreeMap<String, u64>,
    state_digest: Option<String>,
    subtasks: Vec<Vec<OperatorContents>>,
}

/// What one operator of one subtask has in it.
#[derive(Serialize)]
struct OperatorContents {
    first_key_group: u16,
    last_key_group: u16,
    format: &'static str,
    bytes: u64,
    inline_streams: usize,
    files: Vec<FileContents>,
}

#[derive(Serialize)]
struct FileContents {
    name: String,
    shared: bool,
    bytes: u64,
}

impl<'a> Contents<'a> {
    fn of(checkpoint: &'a StoredCheckpoint) -> Self {
        let metadata: &Metadata = &checkpoint.metadata;
        let subtasks = metadata.subtasks.iter().map(|subtask| subtask.operators.iter().map(operator).collect());
        Self {
            checkpoint: checkpoint.url(),
            id: metadata.id,
            kind: metadata.kind.to_string(),
            backend: &metadata.backend,
            written_by: &metadata.written_by,
            key_type: &metadata.job.key_type,
            parallelism: metadata.subtasks.len(),
            max_parallelism: metadata.job.max_parallelism,
            events: metadata.position.events,
            processing_time_ms: metadata.position.now.processing_ms,
            full_bytes: metadata.full_bytes(),
            state_bytes: metadata.state_bytes(),
            state_digest: metadata.state_digest.map(|digest| digest.to_string()),
            subtasks: subtasks.collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}: {} {} of the {} backend", self.checkpoint, self.kind, self.id, self.backend);
        let _ = writeln!(
            out,
            "job: keys of type {}, parallelism {} of at most {}",
            self.key_type, self.parallelism, self.max_parallelism
        );
        let _ = writeln!(out, "after {} measured events, processing time {} ms", self.events, self.processing_time_ms);
        let _ = writeln!(out, "state: {} bytes", self.full_bytes);
        for (state, bytes) in &self.state_bytes {
            let _ = writeln!(out, "  {state}: {bytes} bytes");
        }
        if let Some(digest) = &self.state_digest {
            let _ = writeln!(out, "digest of the state: {digest}");
        }
        for (subtask, operators) in self.subtasks.iter().enumerate() {
            for (place, operator) in operators.iter().enumerate() {
                let _ = writeln!(
                    out,
                    "subtask {subtask}, operator {place}: key groups {} to {}, {}, {} bytes, {} streams in the metadata",
                    operator.first_key_group,
                    operator.last_key_group,
                    operator.format,
                    operator.bytes,
                    operator.inline_streams
                );
                for file in &operator.files {
                    let scope = if file.shared { "shared" } else { "own" };
                    let _ = writeln!(out, "  {scope} {} {} bytes", file.name, file.bytes);
                }
            }
        }
        out
    }
}

fn operator(operator: &crate::checkpoint::OperatorHandle) -> OperatorContents {
    let streams = operator.streams();
    let key_groups = operator.keyed.key_groups();
    let file = |file: &crate::checkpoint::FileRef| FileContents {
        name: file.name.clone(),
        shared: file.scope == crate::checkpoint::Scope::Shared,
        bytes: file.stored.bytes,
    };
    OperatorContents {
        first_key_group: key_groups.start,
        last_key_group: key_groups.end.saturating_sub(1),
        format: match &operator.keyed {
            KeyedHandle::KeyGroups { canonical: true, .. } => "canonical entries",
            KeyedHandle::KeyGroups { .. } => "entries of the heap",
            KeyedHandle::RocksDb { .. } => "files of RocksDB",
            KeyedHandle::Changelog { .. } => "a materialization and a log of changes",
        },
        bytes: streams.iter().map(|stream| stream.bytes()).sum(),
        inline_streams: streams.iter().filter(|stream| stream.file().is_none()).count(),
        files: streams.iter().filter_map(|stream| stream.file()).map(file).collect(),
    }
}

fn verify(args: &Verify) -> Outcome {
    match StoredCheckpoint::open(&args.folder) {
        Ok(checkpoint) => {
            let report = verified(&checkpoint)?;
            print(&printable_lines(&report))
        }
        Err(CheckpointError::Storage(StorageError::NotFound { .. })) => verify_job(&args.folder),
        Err(error) => Err(failure(error)),
    }
}

/// Reads every stream of a checkpoint.
fn verified(checkpoint: &StoredCheckpoint) -> Result<String, Failure> {
    let (mut files, mut bytes) = (0_u64, 0);
    for stream in checkpoint.metadata.streams() {
        checkpoint.verify(stream).map_err(failure)?;
        bytes += stream.bytes();
        files += u64::from(stream.file().is_some());
    }
    Ok(format!("{}: whole, {files} files, {bytes} bytes\n", checkpoint.url()))
}

fn verify_job(folder: &str) -> Outcome {
    let job = open_job(folder)?;
    let names = job.checkpoints().map_err(failure)?;
    if names.is_empty() {
        let message = format!("{}: no complete checkpoint is there, and it is none", job.storage().url());
        return Err(Failure::input(message));
    }
    let mut report = String::new();
    for name in names {
        report += &verified(&job.open(&name).map_err(failure)?)?;
    }
    let orphans = job.orphans().map_err(failure)?;
    if !orphans.is_empty() {
        let bytes: u64 = orphans.iter().map(|orphan| orphan.bytes).sum();
        let _ = writeln!(
            report,
            "{} files of {bytes} bytes belong to no complete checkpoint; `statebench checkpoint gc` deletes them",
            orphans.len()
        );
    }
    print(&printable_lines(&report))
}

fn open_job(folder: &str) -> Result<JobFolder, Failure> {
    let storage = CheckpointStorage::open(folder, None).map_err(|error| failure(error.into()))?;
    Ok(JobFolder::new(storage))
}

fn gc(args: &Gc) -> Outcome {
    let job = open_job(&args.job)?;
    if job.checkpoints().map_err(failure)?.is_empty() {
        let message = format!(
            "{}: no complete checkpoint is there, so that it may not be the folder of a job; delete it yourself",
            job.storage().url()
        );
        return Err(Failure::input(message));
    }
    let _lock = job.lock().map_err(failure)?;
    let orphans = job.orphans().map_err(failure)?;
    for Orphan { path, bytes } in &orphans {
        if !args.dry_run {
            job.storage().delete(path).map_err(|error| failure(error.into()))?;
        }
        print(&format!(
            "{} {} {bytes} bytes\n",
            if args.dry_run { "would delete" } else { "deleted" },
            printable(path)
        ))?;
    }
    let bytes: u64 = orphans.iter().map(|orphan| orphan.bytes).sum();
    print(&format!("{} orphans, {bytes} bytes\n", orphans.len()))
}
