//! A trial in a process of its own: memory, allocator, caches and background threads of one never touch the next, and a
//! trial that dies is a failed trial, not a failed run.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::dispatch::run_trial;
use super::memory_limit;
use super::trial::{Blame, Message, Progress, Report, TrialError, TrialSpec};
use super::{Observer, stop_requested};
use crate::result::OutOfMemory;

/// The hidden subcommand by which the program runs one trial.
pub const TRIAL_COMMAND: &str = "trial";

/// What became of a trial.
pub enum Ending {
    /// It finished.
    Finished(Box<Report>),
    /// It made and saved a prefill.
    Prefilled,
    /// It failed.
    Failed {
        /// Why.
        reason: String,
        /// Who is to blame.
        blame: Blame,
    },
    /// Its state did not fit the memory that the configuration gives.
    OutOfMemory(OutOfMemory),
    /// The user stopped it.
    Interrupted,
}

/// Runs a trial in a child process, of the same binary where no other is named, and hands its progress to `progress`.
///
/// # Errors
/// The process cannot be started or spoken to.
pub fn run_in_child(
    spec: &TrialSpec,
    program: Option<&Path>,
    mut progress: impl FnMut(&Progress),
) -> std::io::Result<Ending> {
    let own = std::env::current_exe()?;
    let mut child = Command::new(program.unwrap_or(&own))
        .arg(TRIAL_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().map(|stderr| std::thread::spawn(move || last_lines(stderr)));
    if let Some(mut stdin) = child.stdin.take() {
        match serde_json::to_writer(&mut stdin, spec).map_err(std::io::Error::from) {
            // A process that died before it read everything is told of below.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    let mut ending = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            match serde_json::from_str(&line?) {
                Ok(Message::Progress(at)) => progress(&at),
                Ok(Message::Finished(report)) => ending = Some(Ending::Finished(report)),
                Ok(Message::Prefilled) => ending = Some(Ending::Prefilled),
                Ok(Message::Failed { reason, blame }) => ending = Some(Ending::Failed { reason, blame }),
                Ok(Message::OutOfMemory(verdict)) => ending = Some(Ending::OutOfMemory(verdict)),
                Ok(Message::Interrupted) => ending = Some(Ending::Interrupted),
                Err(error) => {
                    let mut reason = format!("the trial's process sent something else than a message: {error}");
                    if program.is_some() {
                        reason.push_str("; the two programs differ in what they tell of a trial");
                    }
                    ending = Some(Ending::Failed { reason, blame: Blame::Environment });
                    // What comes behind it is no more understood: the process ends when nobody listens.
                    break;
                }
            }
            if ending.is_none() && stop_requested() {
                // The signal may have reached this process alone: one that nobody listens to stops too.
                break;
            }
        }
    }
    let status = wait(&mut child)?;
    let said = stderr.and_then(|reader| reader.join().ok()).unwrap_or_default();
    Ok(match ending {
        Some(ending) => ending,
        None if stop_requested() => Ending::Interrupted,
        None => Ending::Failed { reason: death(status, &said), blame: Blame::Environment },
    })
}

fn wait(child: &mut Child) -> std::io::Result<ExitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The end of what a process wrote to stderr: where a panic or RocksDB says why.
fn last_lines(stderr: impl std::io::Read) -> String {
    let mut lines = std::collections::VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        lines.push_back(line);
        if lines.len() > 5 {
            lines.pop_front();
        }
    }
    lines.make_contiguous().join("; ")
}

/// Why a process ended without a word.
fn death(status: ExitStatus, said: &str) -> String {
    let mut reason = format!("the trial's process died: {status}");
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if status.signal() == Some(9) {
            reason.push_str("; the system kills a process that way when memory runs out");
        }
    }
    if !said.is_empty() {
        reason.push_str("; it said: ");
        reason.push_str(said);
    }
    reason
}

/// Speaks to the parent over stdout.
struct ToParent {
    gone: AtomicBool,
}

impl ToParent {
    fn send(&self, message: &Message) {
        let mut stdout = std::io::stdout().lock();
        let sent = serde_json::to_writer(&mut stdout, message).map_err(std::io::Error::from);
        // A parent that is gone has no use for the rest.
        if sent.and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }
}

impl Observer for ToParent {
    fn progress(&self, progress: &Progress) {
        self.send(&Message::Progress(progress.clone()));
    }
    fn interrupted(&self) -> bool {
        stop_requested() || self.gone.load(Ordering::Relaxed)
    }
}

/// The child's side: reads the trial from stdin, runs it and reports to stdout.
///
/// # Errors
/// Stdin does not hold a trial, or its memory cannot be limited.
pub fn child_main() -> std::io::Result<()> {
    // A thread that panics would leave the others waiting for it: end the process, and let the parent tell.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
    let spec: TrialSpec = serde_json::from_reader(std::io::stdin().lock())?;
    if let Some(group) = &spec.memory_group {
        memory_limit::join(group)?;
    }
    let parent = ToParent { gone: AtomicBool::new(false) };
    parent.send(&match run_trial(&spec, &parent) {
        Ok(Some(report)) => Message::Finished(Box::new(report)),
        Ok(None) => Message::Prefilled,
        Err(TrialError::Interrupted) => Message::Interrupted,
        Err(TrialError::OutOfMemory(verdict)) => Message::OutOfMemory(verdict),
        Err(error) => Message::Failed { reason: error.to_string(), blame: error.blame() },
    });
    Ok(())
}
