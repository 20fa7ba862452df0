//! statebench tells how a stream processor's state will behave: which backend, how much memory, which settings.
//!
//! The layers, each importing only from those below it:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`cli`] | the commands: arguments in, text and an exit code out |
//! | [`tune`] | a search for better settings, and their proof |
//! | [`engine`] | the same workload on a real Flink: events written, a job compiled and run, its figures taken back |
//! | [`flink`] | Flink's configuration files: taken over, written, looked through for mistakes |
//! | [`report`] | what results, comparisons, gates and advice look like to people and programs |
//! | [`advise`] | what to change after a result, and why |
//! | [`ab`] | interleaved pairs that are run until their comparison is decided |
//! | [`gate`] | a comparison against a policy, and the baselines that it is made with |
//! | [`compare`] | what changed between two results or configurations, by how much, how sure |
//! | [`run`] | a plan's trials in processes of their own; stages, the hot loop, digests compared |
//! | [`operator`] | the operators, each written once, for any backend |
//! | [`backend`] | heap, RocksDB, null; the wrapper that meters them |
//! | [`model`] | what cannot be measured here: garbage collection of a JVM, block caches of other sizes; with its error |
//! | [`checkpoint`] | where checkpoints are kept |
//! | [`source`] | events, generated or read from a trace |
//! | [`measure`] | when the clock is read, and what becomes of the readings |
//! | [`result`] | the versioned result file and the table of metrics |
//! | [`statistics`] | rank tests, with the estimates and bounds that belong to them |
//! | [`workload`] | the workload file: wire types, models, samplers, Flink's options, the plan |
//! | [`state`] | typed keyed state: the interface, codecs, key groups, digests |
//!
//! `report`, `gate` and `compare` need only `statistics`, `result` and `workload`, and pages what `model` says as well, so results
//! can be read by a build without RocksDB (feature `rocksdb` off). Choices are data down to `run/dispatch.rs`; below it they are types, and the
//! hot loop is statically dispatched.

pub mod ab;
pub mod advise;
pub mod backend;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod engine;
pub mod flink;
pub mod gate;
pub mod measure;
pub mod model;
pub mod operator;
pub mod report;
pub mod result;
pub mod run;
pub mod source;
pub mod state;
pub mod statistics;
pub mod tune;
pub mod workload;
