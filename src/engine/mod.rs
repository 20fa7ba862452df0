//! The same workload on another engine: Apache Flink itself.
//!
//! statebench writes the events of a workload to files, compiles a small job with the same operators against the user's Flink,
//! runs it on a cluster of this machine or on one that is there, and takes back what it has emitted and measured as trials of
//! the same result. A trial of Flink must have emitted what statebench's own trials of the same events have.

mod cluster;
mod compared;
mod events;
mod home;
mod job;
mod outcome;
mod program;
mod rest;
mod spec;
mod validate;

use std::path::PathBuf;

pub use cluster::{ClusterPlan, LocalCluster};
pub use home::FlinkHome;
pub use job::{FlinkOptions, Place, run_on_flink};
pub use rest::{Access, JobManager};
pub use spec::not_comparable;
pub use validate::run_both;

use crate::run::RunError;
use crate::source::trace::TraceError;

/// Why a workload was not run on Flink.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A folder is not the Flink that is needed.
    #[error("{path} {what}", path = .0.display(), what = .1)]
    Home(PathBuf, String),
    /// There is no JDK, or it refuses the job.
    #[error("{0}")]
    Java(String),
    /// A workload or an option that Flink does not run.
    #[error("{0}")]
    Unsupported(String),
    /// An address that is none.
    #[error("the job manager's address {0}: {1}")]
    Address(String, String),
    /// Nobody answers there.
    #[error("cannot reach the job manager at {0}: {1}")]
    Unreachable(String, String),
    /// The job manager says no.
    #[error("the job manager at {0}: {1}")]
    Refused(String, String),
    /// The local cluster did not come up, or went down.
    #[error("the local cluster: {0}; its log says: {1}")]
    Cluster(String, String),
    /// The job manager has not the slots that the job needs.
    #[error("the job needs {needed} slots, and the job manager has {free} free ones of {total}")]
    Slots {
        /// Slots that are needed.
        needed: u64,
        /// Slots that are free.
        free: u64,
        /// Slots that there are.
        total: u64,
    },
    /// The job failed.
    #[error("the job failed on Flink: {0}")]
    Job(String),
    /// The job has told something else than it should.
    #[error("what the job has told cannot be read: {0}")]
    Told(String),
    /// The events cannot be read.
    #[error(transparent)]
    Trace(Box<TraceError>),
    /// A file or folder cannot be used.
    #[error("{path}: {what}: {error}", path = .0.display(), what = .1, error = .2)]
    Io(PathBuf, &'static str, #[source] std::io::Error),
    /// statebench's own trials could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl From<TraceError> for EngineError {
    fn from(error: TraceError) -> Self {
        Self::Trace(Box::new(error))
    }
}

impl EngineError {
    /// Whether the input is to blame rather than the environment.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Home(..) | Self::Java(_) | Self::Unsupported(_) | Self::Address(..) | Self::Slots { .. } => true,
            Self::Trace(error) => error.is_input(),
            _ => false,
        }
    }
}
