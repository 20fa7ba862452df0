//! `statebench flink run`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::check::{Overrides, WorkloadArgs};
use super::run::{PlaceArgs, verdict};
use super::{Failure, Outcome, print, report, say};
use crate::engine::{Access, EngineError, FlinkHome, FlinkOptions, Place, not_comparable, run_on_flink};
use crate::report::{Format, render};
use crate::run::run_plan;
use crate::workload::{BackendType, Extent, Plan, Setting, Time};

/// Runs a workload here and on a real Flink, and compares what they computed.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    flink: FlinkArgs,
    /// Kill a task manager of the local cluster after this time in each job, to see it recover
    #[arg(long, value_name = "TIME", conflicts_with = "jobmanager")]
    kill_after: Option<Time>,
    /// Write the page of the result too; beside the result file where no FILE is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
    report: Option<Option<PathBuf>>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

/// Which Flink, and where.
#[derive(Debug, ClapArgs)]
pub struct FlinkArgs {
    /// The folder of a Flink, 1.20 or 2.3, whose jars the job is compiled against; without --jobmanager a cluster of it is
    /// started on this machine
    #[arg(long, value_name = "DIR")]
    flink_home: PathBuf,
    /// Run on the session cluster with this REST address
    #[arg(long, value_name = "URL")]
    jobmanager: Option<String>,
    /// A file with a token that is sent to the job manager with every request
    #[arg(long, value_name = "FILE", requires = "jobmanager")]
    token_file: Option<PathBuf>,
    /// A file with the certificates that the job manager's is signed with, in PEM
    #[arg(long, value_name = "FILE", requires = "jobmanager")]
    ca_file: Option<PathBuf>,
    /// The folder for the files of events, which all task managers must see under the same path
    #[arg(long, value_name = "DIR")]
    events_dir: Option<PathBuf>,
    /// Run all jobs on one local cluster, one after another: quicker, for results rather than figures
    #[arg(long, conflicts_with = "jobmanager")]
    reuse_cluster: bool,
    /// Measured events of a workload that says how long is measured, where a job needs a number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
}

impl FlinkArgs {
    /// Measured events, where the command line says how many.
    pub(super) fn events(&self) -> Option<u64> {
        self.events
    }

    /// How jobs are run.
    pub(super) fn options(&self, kill_after: Option<Time>, quiet: bool) -> Result<FlinkOptions, Failure> {
        let home = FlinkHome::open(&self.flink_home).map_err(failure)?;
        let place = match &self.jobmanager {
            None => {
                home.memory_jar().map_err(failure)?;
                Place::Local
            }
            Some(url) => Place::Session { url: url.clone(), access: self.access()? },
        };
        let events_folder = self.events_dir.as_ref().map(|folder| {
            folder.canonicalize().map_err(|error| Failure::input(format!("--events-dir {}: {error}", folder.display())))
        });
        Ok(FlinkOptions {
            home,
            place,
            events_folder: events_folder.transpose()?,
            reuse_cluster: self.reuse_cluster,
            kill_after: kill_after.map(|time| time.0),
            say: if quiet { |_| () } else { say },
        })
    }

    fn access(&self) -> Result<Access, Failure> {
        let read = |path: &PathBuf| {
            let token = std::fs::read_to_string(path);
            let token = token.map_err(|error| Failure::input(format!("--token-file {}: {error}", path.display())))?;
            match token.trim() {
                "" => Err(Failure::input(format!("--token-file {}: it is empty", path.display()))),
                token => Ok(token.to_owned()),
            }
        };
        let token = self.token_file.as_ref().map(read).transpose()?;
        Ok(Access { token, ca_file: self.ca_file.clone() })
    }
}

/// What went wrong, with its exit code.
pub(super) fn failure(error: EngineError) -> Failure {
    match error {
        EngineError::Interrupted => Failure::interrupted("interrupted; the cluster is gone"),
        error if error.is_input() => Failure::input(error),
        error => Failure::environment(error),
    }
}

pub(super) fn run(args: &Args) -> Outcome {
    let plan = planned(&args.workload.overrides, args.workload.path(), args.flink.events)?;
    let flink = args.flink.options(args.kill_after, args.quiet)?;
    let options = args.place.options(&plan, &plan.name, args.quiet, args.workload.quick())?;
    let page = args.report.as_ref().map(|file| file.clone().unwrap_or_else(|| report::page_beside(&options.output)));
    report::check_output(page.as_deref(), args.place.is_forced())?;
    let mut result = run_plan(&plan, &options).map_err(Failure::environment)?;
    if !result.interrupted {
        run_on_flink(&plan, &mut result, &options, &flink).map_err(failure)?;
    }
    if let Some(page) = page {
        report::write_page(&result, &options.output, &page, args.quiet)?;
    }
    if result.has_answers() {
        print(&render(&result, args.format).map_err(Failure::environment)?)?;
        if !args.quiet {
            say(&format!("result: {}", options.output.display()));
        }
    }
    verdict(&result)
}

/// The plan of a workload, of a number of events; what Flink does not run is refused.
pub(super) fn planned(overrides: &Overrides, workload: &Path, events: Option<u64>) -> Result<Plan, Failure> {
    // Companions count what is RocksDB's; the comparison with Flink has no use for them.
    let settings = [Setting::of_flag("flink run", "run.counters", &false)];
    let plan = overrides.plan_of_events(workload, events, &settings)?;
    for variant in &plan.variants {
        let place = if variant.label.is_empty() { String::new() } else { format!(" ({})", variant.label) };
        if matches!(variant.workload.run.measured, Extent::Time(_)) {
            let what = "it is measured for a time, and a job needs a number of events: --events N";
            return Err(Failure::input(format!("{}{place}: {what}", workload.display())));
        }
        if let Some(why) = not_comparable(&variant.workload) {
            return Err(Failure::not_comparable(format!("{}{place}: {why}", workload.display())));
        }
    }
    if plan.cells.iter().all(|cell| cell.configuration.options.backend == BackendType::Null) {
        return Err(Failure::input("Flink has no null backend, and the workload has no other"));
    }
    Ok(plan)
}
