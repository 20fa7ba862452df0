//! `statebench advise`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Failure, Outcome, print, show};
use crate::advise::{Parameters, advise as advise_on};
use crate::report::{AdviceFormat, render_advice};
use crate::workload::Bytes;

/// Tells what to change after a result, and why: each finding with the figures of the result that it rests on, the Flink
/// keys to set, and what that would bring.
///
/// What a change brings is measured where another configuration of the result differs in that setting alone, so a result
/// with a matrix says more; else it is modelled. What cannot be told for want of a figure is listed with the way to get it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result file
    result: PathBuf,
    /// Only this configuration of the result; the others stay what it is compared with
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,
    /// The hit rate of the block cache below which it is too small, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0, value_parser = percent)]
    hit_rate: f64,
    /// The state of a TaskManager, as Java objects, up to which the heap is looked at as its place
    #[arg(long, value_name = "SIZE", default_value_t = Bytes(1 << 30))]
    heap_state: Bytes,
    /// Events that a JVM is offered in a second, of the whole job, for what its garbage collector would do; that of an open
    /// loop where it is not given
    #[arg(long, value_name = "N", value_parser = rate)]
    events_per_second: Option<f64>,
    /// The share of time in pauses of a garbage collector that is too much, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    max_pauses: f64,
    /// The share of time that writers may be held back, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    max_stalls: f64,
    /// Bytes written to disk for each byte of the workload's from which on that is too much
    #[arg(long, value_name = "FACTOR", default_value_t = 10.0, value_parser = factor)]
    max_write_amplification: f64,
    /// The share of its timeout, or of the interval, that a checkpoint may take, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0, value_parser = percent)]
    max_checkpoint: f64,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = AdviceFormat::Table)]
    format: AdviceFormat,
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, at most 100", |percent| percent > 0.0 && percent <= 100.0)
}

fn factor(text: &str) -> Result<f64, String> {
    number(text, "a number from 1 to 1000", |factor| (1.0..=1e3).contains(&factor))
}

fn rate(text: &str) -> Result<f64, String> {
    number(&text.replace('_', ""), "a number from 0.001 to 1e12", |rate| (1e-3..=1e12).contains(&rate))
}

fn number(text: &str, allowed: &str, is_allowed: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse().ok().filter(|number| is_allowed(*number)).ok_or_else(|| allowed.to_owned())
}

pub(super) fn advise(args: &Args) -> Outcome {
    let result = show::load(&args.result)?;
    let advice = advise_on(&result, &args.parameters())
        .map_err(|error| Failure::input(format!("{}: {error}", args.result.display())))?;
    print(&render_advice(&advice, args.format).map_err(Failure::environment)?)
}

impl Args {
    fn parameters(&self) -> Parameters {
        Parameters {
            hit_rate: self.hit_rate / 100.0,
            heap_state_bytes: self.heap_state.0,
            pause_share: self.max_pauses / 100.0,
            stall_share: self.max_stalls / 100.0,
            write_amplification: self.max_write_amplification,
            checkpoint_share: self.max_checkpoint / 100.0,
            events_per_s: self.events_per_second,
            configuration: self.configuration.clone(),
        }
    }
}
