//! `statebench gate`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::{Failure, Outcome, baseline, compare, print};
use crate::compare::Observations;
use crate::gate::{Baseline, Decision, Gate, Key, Policy, PolicyError, gate as gate_observations};
use crate::report::{GateFormat, gate_decision, render_gate};
use crate::workload::Time;

/// Holds a result against a baseline, or two of its configurations against each other, under a policy.
///
/// Exit codes: 0 nothing gated got worse, 1 something regressed, a limit was passed or digests differ, 2 the input is wrong, 4
/// inconclusive and the policy says that this fails, 5 not comparable.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result that is judged
    result: PathBuf,
    /// The policy, a TOML file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The baseline, or the folder of baselines that has one for this workload and kind of machine
    #[arg(long, value_name = "PATH", conflicts_with_all = ["base", "candidate"], required_unless_present = "base")]
    baseline: Option<PathBuf>,
    /// In place of a baseline the configuration of the result that is compared with
    #[arg(long, value_name = "NAME", requires = "candidate")]
    base: Option<String>,
    /// The configuration that is judged
    #[arg(long, value_name = "NAME", requires = "base")]
    candidate: Option<String>,
    /// How the gate is printed
    #[arg(long, value_enum, default_value_t = GateFormat::Table)]
    format: GateFormat,
    /// Write it to a file too, such as junit=gate.xml; may be given more than once
    #[arg(long, value_name = "FORMAT=FILE", value_parser = written)]
    write: Vec<(GateFormat, PathBuf)>,
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
    let candidate = compare::load(&args.result)?;
    let baseline = args.baseline.as_deref().map(|path| find(path, &candidate, &policy)).transpose()?;
    let base = baseline.as_ref().map_or(&candidate, |baseline| &baseline.observations);
    let names = [args.base.clone(), args.candidate.clone()];
    let gate = gate_observations(base, &candidate, names, &policy).map_err(Failure::of_comparison)?;
    for (format, path) in &args.write {
        let text = render_gate(&gate, *format).map_err(Failure::environment)?;
        let cannot_write = |error| Failure::environment(format!("{}: cannot write: {error}", path.display()));
        std::fs::write(path, text).map_err(cannot_write)?;
    }
    print(&render_gate(&gate, args.format).map_err(Failure::environment)?)?;
    outcome(&gate)
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
