//! The command line: one file per command.

mod ab;
mod advise;
mod baseline;
mod calibrate;
mod check;
mod checkpoint;
mod compare;
mod flink;
mod flink_run;
mod flink_validate;
mod gate;
mod gc_model;
mod history;
mod init;
mod list;
mod report;
mod run;
mod schema;
mod show;
mod trace;
mod tune;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::report::printable_lines;
use crate::run::{DESCRIBE, TRIAL_COMMAND};
use crate::source::trace::TraceError;

/// Tells how a stream processor's state will behave: which state backend, how much memory, which settings.
#[derive(Debug, Parser)]
#[command(name = "statebench", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a workload under its configurations and save the result
    Run(run::Args),
    /// Validate a workload, show its plan and predict what it needs
    Check(check::Args),
    /// Print the table of a result again
    Show(show::Args),
    /// Write results as one self-contained page, or as Markdown
    Report(report::Args),
    /// Draw one chart of results as an SVG or a PNG
    Chart(report::ChartArgs),
    /// Tell what to change after a result, and why, with the Flink keys
    Advise(advise::Args),
    /// Tell what changed between two results, or two configurations of one
    Compare(compare::Args),
    /// Run configurations or programs in turn until it is clear what differs
    Ab(ab::Args),
    /// Hold a result against a baseline under a policy: pass or fail
    Gate(gate::Args),
    /// Search Flink's options for better settings of a workload, and prove them
    Tune(tune::Args),
    /// Keep what gates hold results against
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Tell what noise there is on this machine, and what a gate can see here
    Calibrate(calibrate::Args),
    /// Show the results of a folder over time, and where their level changed
    History(history::Args),
    /// Look into checkpoints and savepoints, verify them and clean up behind them
    #[command(subcommand)]
    Checkpoint(checkpoint::Command),
    /// Look into a file of events
    #[command(subcommand)]
    Trace(trace::Command),
    /// Take over, write or look through Flink's configuration files
    #[command(subcommand)]
    Flink(flink::Command),
    /// Model what a JVM's garbage collector would do with the state
    #[command(subcommand)]
    GcModel(gc_model::Command),
    /// List operators, distributions, options or the workloads of a folder
    List(list::Args),
    /// Write a commented starter workload
    Init(init::Args),
    /// Print the JSON Schema of a file format
    Schema(schema::Args),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run one trial for a parent process
    #[command(name = TRIAL_COMMAND, hide = true)]
    Trial {
        /// Tell which version of the protocol it speaks
        #[arg(long = DESCRIBE)]
        describe: bool,
    },
}

/// Why a command ended otherwise than well, by exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The trials differ, or a gate regressed: exit code 1. The output has said why.
    fn differing() -> Self {
        Self { code: 1, message: "the trials did not compute the same; the lines above say where they part".to_owned() }
    }

    /// Something got worse: exit code 1. The output has said what.
    fn regressed(message: impl Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// The input is wrong: exit code 2.
    fn input(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// The environment failed: exit code 3.
    fn environment(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// A trace cannot be read.
    fn of_trace(error: TraceError) -> Self {
        if error.is_input() { Self::input(error) } else { Self::environment(error) }
    }

    /// It cannot be told, and that is to fail: exit code 4.
    fn inconclusive(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string() }
    }

    /// The inputs are not of one kind: exit code 5.
    fn not_comparable(message: impl Display) -> Self {
        Self { code: 5, message: message.to_string() }
    }

    /// The user stopped it: exit code 130.
    fn interrupted(message: impl Display) -> Self {
        Self { code: 130, message: message.to_string() }
    }
}

type Outcome = Result<(), Failure>;

/// Parses the command line, runs the command and prints what went wrong.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            ExitCode::from(failure.code)
        }
    }
}

impl Command {
    /// Whether it runs trials, which the user may want to stop.
    fn runs_trials(&self) -> bool {
        matches!(
            self,
            Self::Run(_)
                | Self::Flink(flink::Command::Run(_) | flink::Command::Validate(_))
                | Self::Ab(_)
                | Self::Gate(_)
                | Self::Calibrate(_)
                | Self::Tune(_)
                | Self::Trial { .. }
        )
    }
}

fn dispatch(command: Command) -> Outcome {
    if command.runs_trials() {
        crate::run::handle_stop_signals().map_err(Failure::environment)?;
    }
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Show(args) => show::show(&args),
        Command::Report(args) => report::report(&args),
        Command::Chart(args) => report::chart(&args),
        Command::Advise(args) => advise::advise(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Ab(args) => ab::ab(&args),
        Command::Gate(args) => gate::gate(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Baseline(command) => baseline::baseline(&command),
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::History(args) => history::history(&args),
        Command::Checkpoint(command) => checkpoint::checkpoint(&command),
        Command::Trace(command) => trace::trace(&command),
        Command::Flink(command) => flink::flink(&command),
        Command::GcModel(command) => gc_model::gc_model(&command),
        Command::List(args) => list::list(&args),
        Command::Init(args) => init::init(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "statebench", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Trial { describe: true } => print(&(crate::run::describe().map_err(Failure::environment)? + "\n")),
        Command::Trial { describe: false } => crate::run::child_main().map_err(Failure::environment),
    }
}

/// Writes to stdout; a reader that closed it has seen what it wanted.
fn print(text: &str) -> Outcome {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes lines to stderr, made safe to print: they may quote a file. Nobody is told where stderr is closed.
fn say(lines: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}", printable_lines(lines));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
