//! The progress line on a terminal.

use std::fmt::Write;
use std::io::Write as _;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::trial::Progress;
use crate::result::printable;

/// Shows which trial runs, its phase, events per second and the time left. Shows nothing where stderr is no terminal.
pub struct ProgressLine {
    bar: ProgressBar,
    trials: usize,
    label: String,
}

impl ProgressLine {
    /// For a run of this many trials, 0 where nobody knows; hidden when asked to be quiet.
    pub fn new(trials: usize, quiet: bool) -> Self {
        // indicatif draws to stderr, and only where that is a terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(1_000), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, trials, label: String::new() }
    }

    /// A trial begins.
    pub fn begin(&mut self, index: usize, label: &str) {
        let label = printable(label);
        // A search does not know how many there will be.
        let of = if self.trials > 0 { format!("/{}", self.trials) } else { String::new() };
        self.bar.set_prefix(format!("{}{of}", index + 1));
        self.bar.set_position(0);
        self.bar.set_message(format!("{label}: opening"));
        self.label = label;
    }

    /// It has got this far.
    pub fn update(&self, progress: &Progress) {
        let share = progress.share.unwrap_or(0.0).clamp(0.0, 1.0);
        self.bar.set_position((share * 1_000.0) as u64);
        let mut text = format!("{}: {}", self.label, progress.phase);
        if progress.elapsed_s > 0.0 {
            let _ = write!(text, ", {} events/s", si(progress.events as f64 / progress.elapsed_s));
        }
        if share > 0.01 && share < 1.0 {
            let left = Duration::from_secs_f64(progress.elapsed_s * (1.0 - share) / share);
            let _ = write!(text, ", {} left", HumanDuration(left));
        }
        self.bar.set_message(text);
    }

    /// Prints a line above the progress line.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{}", printable(line));
        });
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A number with an SI prefix and three significant digits.
fn si(value: f64) -> String {
    let (scaled, prefix) = match value {
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, " "),
    };
    let digits = if scaled >= 100.0 { 0 } else { 1 + usize::from(scaled < 10.0) };
    format!("{scaled:.digits$}{prefix}").trim_end().to_owned()
}
