//! `statebench gate`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::ab::{self, PairArgs};
use super::check::Overrides;
use super::run::PlaceArgs;
use super::{Failure, Outcome, baseline, compare, print};
use crate::compare::{Observations, Parameters};
use crate::gate::{Baseline, Decision, Gate, Key, Policy, PolicyError, gate as gate_observations};
use crate::report::{GateFormat, gate_decision, render_gate};
use crate::workload::{Time, folder_of};

/// Holds a result against a baseline, or two of its configurations against each other, under a policy; or runs a workload in
/// interleaved pairs, of its configurations or of two programs, until the policy is decided.
///
/// Exit codes: 0 nothing gated got worse, 1 something regressed, a limit was passed or digests differ, 2 the input is wrong, 4
/// inconclusive and the policy says that this fails, 5 not comparable.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result that is judged; or a workload, a .toml file, which is run in pairs as `ab` does
    subject: PathBuf,
    /// The policy, a TOML file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The baseline, or the folder of baselines that has one for this workload and kind of machine
    #[arg(long, value_name = "PATH", conflicts_with_all = ["base", "candidate"])]
    baseline: Option<PathBuf>,
    /// In place of a baseline the configuration of the result that is compared with
    #[arg(long, value_name = "NAME", requires = "candidate")]
    base: Option<String>,
    /// The configuration that is judged
    #[arg(long, value_name = "NAME", requires = "base")]
    candidate: Option<String>,
    #[command(flatten, next_help_heading = "Options of a workload that is run in pairs")]
    interleaved: InterleavedArgs,
    /// How the gate is printed
    #[arg(long, value_enum, default_value_t = GateFormat::Table)]
    format: GateFormat,
    /// Write it to a file too, such as junit=gate.xml; may be given more than once
    #[arg(long, value_name = "FORMAT=FILE", value_parser = written)]
    write: Vec<(GateFormat, PathBuf)>,
}

/// What only a workload that is run has.
#[derive(Debug, ClapArgs)]
struct InterleavedArgs {
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

impl InterleavedArgs {
    fn is_empty(&self) -> bool {
        self.overrides.is_empty() && self.pairs.is_empty() && self.place.is_empty() && !self.quiet
    }
}

fn written(text: &str) -> Result<(GateFormat, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("expected FORMAT=FILE, such as junit=gate.xml")?;
    Ok((GateFormat::from_str(format, false)?, PathBuf::from(file)))
}

pub(super) fn gate(args: &Args) -> Outcome {
    let policy = Policy::load(&args.policy).map_err(|error| match &error {
        PolicyError::Read(_, io) if io.kind() == std::io::ErrorKind::PermissionDenied => Failure::environment(error),
        _ => Failure::input(error),
    })?;
    let gate = if args.subject.extension().is_some_and(|extension| extension == "toml") {
        interleaved(args, &policy)?
    } else {
        stored(args, &policy)?
    };
    for (format, path) in &args.write {
        let text = render_gate(&gate, *format).map_err(Failure::environment)?;
        let cannot_write = |error| Failure::environment(format!("{}: cannot write: {error}", path.display()));
        std::fs::write(path, text).map_err(cannot_write)?;
    }
    print(&render_gate(&gate, args.format).map_err(Failure::environment)?)?;
    outcome(&gate)
}

/// Gates a result that is there.
fn stored(args: &Args, policy: &Policy) -> Result<Gate, Failure> {
    if !args.interleaved.is_empty() {
        return Err(Failure::input(format!(
            "{}: a result is judged as it is; a workload, a .toml file, is run, and the options of a run are for it",
            args.subject.display()
        )));
    }
    let candidate = compare::load(&args.subject)?;
    let contrasts = compare::contrast(args.base.as_ref(), args.candidate.as_ref());
    if args.baseline.is_none() && contrasts.is_empty() && candidate.interleaved.is_none() {
        return Err(Failure::input(format!(
            "{}: what is it held against? --baseline <PATH>, or --base <NAME> and --candidate <NAME>, two of its configurations",
            args.subject.display()
        )));
    }
    let baseline = args.baseline.as_deref().map(|path| find(path, &candidate, policy)).transpose()?;
    let base = baseline.as_ref().map_or(&candidate, |baseline| &baseline.observations);
    let folder = args.baseline.as_deref().map(|path| if path.is_dir() { path } else { folder_of(path) });
    let session_spreads =
        folder.map(|folder| compare::session_spreads(folder, &candidate)).transpose()?.unwrap_or_default();
    let parameters = Parameters { contrasts, session_spreads, ..policy.parameters() };
    gate_observations(base, &candidate, &parameters, policy).map_err(Failure::of_comparison)
}

/// Runs a workload in pairs until the policy is decided, and gates what it found.
fn interleaved(args: &Args, policy: &Policy) -> Result<Gate, Failure> {
    if args.baseline.is_some() || args.base.is_some() {
        return Err(Failure::input(format!(
            "{}: a workload is run, its configurations in the order of --configuration or two programs by --binary; --baseline, \
             --base and --candidate are for results",
            args.subject.display()
        )));
    }
    let InterleavedArgs { overrides, pairs, place, quiet } = &args.interleaved;
    let plan = ab::plan(overrides, &args.subject)?;
    let arms = pairs.arms(&plan)?;
    let options = pairs.options(policy.parameters(), policy.budget, policy.max_pairs);
    ab::warn_of_noise(&plan, place, &options, *quiet)?;
    let result = ab::run_pairs((&plan, &arms), place, &options, (*quiet, overrides.quick()))?;
    let observations = Observations::of(&result).map_err(Failure::of_comparison)?;
    let gate = gate_observations(&observations, &observations, &options.parameters, policy);
    let workload_file = Some(args.subject.display().to_string());
    gate.map(|gate| Gate { workload_file, ..gate }).map_err(Failure::of_comparison)
}

/// The baseline of a path: a file, or the one in a folder that is for this result.
fn find(path: &Path, candidate: &Observations, policy: &Policy) -> Result<Baseline, Failure> {
    let path = if path.is_dir() { in_folder(path, candidate)? } else { path.to_owned() };
    let baseline = baseline::load(&path)?;
    let age = Time(Duration::from_secs(baseline.age_s()));
    match policy.max_baseline_age {
        Some(most) if age > most => Err(Failure::not_comparable(format!(
            "{}: is stale: saved {age} ago, and the policy's max-baseline-age is {most}",
            path.display()
        ))),
        _ => Ok(baseline),
    }
}

fn in_folder(folder: &Path, candidate: &Observations) -> Result<PathBuf, Failure> {
    let key = Key::of(candidate);
    let path = folder.join(key.file_name(&candidate.name));
    if path.exists() {
        return Ok(path);
    }
    let there = baseline::files(folder)?.len();
    Err(Failure::not_comparable(format!(
        "{}: none of its {there} baselines is for workload {} ({}) on {}",
        folder.display(),
        candidate.name,
        key.workload_digest,
        key.host_class
    )))
}

/// What of a gate is an error.
fn outcome(gate: &Gate) -> Outcome {
    match gate.decision {
        Decision::Passed => Ok(()),
        Decision::Failed => Err(Failure::regressed(gate_decision(gate))),
        Decision::Inconclusive => Err(Failure::inconclusive(gate_decision(gate))),
    }
}
