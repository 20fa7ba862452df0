//! The constants of this machine: a small Java program holds and updates state under both collectors, and what its
//! collections take over what the model says scales the built-in constants.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::clock::Cause;
use super::constants::scaled;
use super::measured::{MeasuredWorkload, Shape};
use super::{Collector, Constants, Job, Jvm, Rate, window};
use crate::state::JvmHeap;

/// The program. It is compiled with the javac of the machine.
const PROGRAM: &str = include_str!("Churn.java");
/// Its class.
const CLASS: &str = "Churn";
/// A JVM that takes longer is killed.
const MOST_TIME: Duration = Duration::from_mins(2);
/// The window of a run, s.
const WINDOW_S: u32 = 3;

/// A JDK of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    java: PathBuf,
    javac: PathBuf,
    /// What `java -version` says first.
    pub version: String,
}

/// Why there are no constants.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// No JDK was found.
    #[error("no JDK: `java` and `javac` are neither in the folder `bin` of JAVA_HOME nor on the PATH")]
    NoJdk,
    /// A folder or a process failed.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// A program of the JDK ended badly or too late.
    #[error("{program}: {problem}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// What it said.
        problem: String,
    },
    /// The collector's log or the program's output is not what was expected of JDK 17.
    #[error("{run}: {problem}; calibration knows the log of JDK 17")]
    Output {
        /// The run.
        run: String,
        /// What is missing.
        problem: String,
    },
}

/// A run of the program.
struct Plan {
    collector: Collector,
    heap_mib: u64,
    keys: u64,
    value_bytes: u64,
}

/// About 64 MiB of state as values and as counters, in heaps where young, mixed and full collections and marks happen.
const PLANS: [Plan; 5] = [
    Plan { collector: Collector::G1, heap_mib: 256, keys: 300_000, value_bytes: 100 },
    Plan { collector: Collector::G1, heap_mib: 80, keys: 300_000, value_bytes: 100 },
    Plan { collector: Collector::G1, heap_mib: 128, keys: 650_000, value_bytes: 0 },
    Plan { collector: Collector::Parallel, heap_mib: 128, keys: 300_000, value_bytes: 100 },
    Plan { collector: Collector::Parallel, heap_mib: 128, keys: 650_000, value_bytes: 0 },
];

/// What calibration found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The built-in constants, scaled.
    pub constants: Constants,
    /// By what factor each kind of collection differs from the machine of the built-in constants.
    pub factors: Factors,
}

/// Measured over modelled with the built-in constants, the geometric mean over runs; 1 where nothing was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Young and mixed pauses.
    pub young: f64,
    /// Full collections of G1.
    pub g1_full: f64,
    /// Full collections of Parallel.
    pub parallel_full: f64,
    /// Concurrent marks.
    pub mark: f64,
}

/// Measured over modelled of one run; none where it did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Ratios {
    young: Option<f64>,
    full: Option<f64>,
    mark: Option<f64>,
}

/// What a run measured.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    operations: f64,
    elapsed_s: f64,
    allocated_bytes: f64,
    live_bytes: f64,
    log: Log,
}

/// Collections between the two that the program asked for, and the second of them; ms.
#[derive(Debug, Clone, PartialEq, Default)]
struct Log {
    young: Vec<f64>,
    full: Vec<f64>,
    marks: Vec<f64>,
}

impl Jdk {
    /// Finds the JDK that JAVA_HOME names, or else the one on the PATH.
    ///
    /// # Errors
    /// There is none, or its java does not run.
    pub fn find() -> Result<Self, CalibrateError> {
        let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = home.into_iter().chain(std::env::split_paths(&path));
        let name = |name: &str| format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let tools = |folder: PathBuf| (folder.join(name("java")), folder.join(name("javac")));
        let (java, javac) =
            folders.map(tools).find(|(java, javac)| java.is_file() && javac.is_file()).ok_or(CalibrateError::NoJdk)?;
        let said = run(Command::new(&java).arg("-version"))?;
        let version = said.stderr.lines().next().unwrap_or("a Java of no version").to_owned();
        Ok(Self { java, javac, version })
    }

    /// Runs the program under every plan and fits the constants; `say` is told of each run before it begins.
    ///
    /// # Errors
    /// The program does not compile or run, or its output is not understood.
    pub fn calibrate(&self, cores: u32, mut say: impl FnMut(&str)) -> Result<Calibration, CalibrateError> {
        let folder = tempfile::Builder::new().prefix("statebench-jvm-").tempdir();
        let folder = folder.map_err(|error| CalibrateError::Io("a temporary folder".to_owned(), error))?;
        let source = folder.path().join(CLASS).with_extension("java");
        std::fs::write(&source, PROGRAM).map_err(|error| CalibrateError::Io(source.display().to_string(), error))?;
        run(Command::new(&self.javac).arg("-d").arg(folder.path()).arg(&source))?;
        let built_in = Constants::default();
        let mut ratios = Vec::new();
        for plan in &PLANS {
            say(&plan.to_string());
            let seen = self.measure(plan, cores, folder.path())?;
            ratios.push((plan.collector, plan.ratios(&seen, cores, &built_in)));
        }
        let factors = Factors::of(&ratios);
        Ok(Calibration { constants: factors.scale(built_in), factors })
    }

    fn measure(&self, plan: &Plan, cores: u32, folder: &Path) -> Result<Seen, CalibrateError> {
        let log = folder.join("gc.log");
        let mut command = Command::new(&self.java);
        command.arg(format!("-XX:+Use{}GC", plan.collector));
        command.arg(format!("-Xms{0}m", plan.heap_mib)).arg(format!("-Xmx{}m", plan.heap_mib));
        command.arg("-XX:+AlwaysPreTouch").arg(format!("-XX:ActiveProcessorCount={cores}"));
        command.arg(format!("-Xlog:gc:file={}", log.display()));
        command.arg("-cp").arg(folder).arg(CLASS);
        command.args([plan.keys.to_string(), plan.value_bytes.to_string(), WINDOW_S.to_string()]);
        let said = run(&mut command)?;
        let text =
            std::fs::read_to_string(&log).map_err(|error| CalibrateError::Io(log.display().to_string(), error))?;
        let missing = |problem: String| CalibrateError::Output { run: plan.to_string(), problem };
        let figure = |name: &str| {
            let line = said.stdout.lines().find_map(|line| line.strip_prefix(name));
            let figure = line.and_then(|figure| figure.trim().parse::<f64>().ok()).filter(|figure| *figure > 0.0);
            figure.ok_or_else(|| missing(format!("the program prints no `{name}`")))
        };
        Ok(Seen {
            operations: figure("operations ")?,
            elapsed_s: figure("nanoseconds ")? / 1e9,
            allocated_bytes: figure("allocated ")?,
            live_bytes: figure("live ")?,
            log: Log::parse(&text).ok_or_else(|| missing("the log lacks the two collections asked for".to_owned()))?,
        })
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { collector, heap_mib, keys, value_bytes } = self;
        let values = if *value_bytes == 0 { "counters".to_owned() } else { format!("values of {value_bytes} B") };
        write!(f, "{collector}, {heap_mib} MiB, {keys} {values}")
    }
}

impl Plan {
    /// The model's input, with what was measured of it.
    fn job(&self, heap: JvmHeap, seen: &Seen) -> Job {
        let shape = if self.value_bytes == 0 { Shape::Counter } else { Shape::Value(self.value_bytes) };
        let workload = MeasuredWorkload { shape, keys: self.keys, zipf: None, threads: 1, garbage_bytes: 0 };
        let job = workload.job(heap, self.collector);
        Job { live_bytes: seen.live_bytes, allocated_bytes: seen.allocated_bytes, ..job }
    }

    fn ratios(&self, seen: &Seen, cores: u32, constants: &Constants) -> Ratios {
        let heap = JvmHeap { bytes: self.heap_mib << 20 };
        let job = self.job(heap, seen);
        let jvm = Jvm { collector: self.collector, heap, cores, constants };
        let paused_s = seen.log.young.iter().chain(&seen.log.full).sum::<f64>() / 1e3;
        let rate = Rate::BetweenPauses(seen.operations / (seen.elapsed_s - paused_s).max(0.1 * seen.elapsed_s));
        let modelled = window(&job, jvm, rate, 0.0, seen.elapsed_s);
        let young_ms: f64 = modelled.sorted(&[Cause::Young, Cause::Mixed]).iter().sum();
        // Of all operations: how often pauses come differs, what they cost in all follows from what survives.
        let of_each = young_ms / modelled.operations * seen.operations / seen.log.young.len() as f64;
        Ratios {
            young: ratio(&seen.log.young, of_each),
            full: ratio(&seen.log.full, jvm.full_pause_ms(&job)),
            mark: ratio(&seen.log.marks, jvm.mark_s(&job) * 1e3),
        }
    }
}

/// The mean of what was measured over what was modelled; none where either is not there.
fn ratio(measured_ms: &[f64], modelled_ms: f64) -> Option<f64> {
    let mean = measured_ms.iter().sum::<f64>() / measured_ms.len() as f64;
    let ratio = mean / modelled_ms;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

impl Factors {
    fn of(ratios: &[(Collector, Ratios)]) -> Self {
        let mean = |of: &dyn Fn(&(Collector, Ratios)) -> Option<f64>| {
            let logarithms: Vec<_> = ratios.iter().filter_map(of).map(f64::ln).collect();
            (logarithms.iter().sum::<f64>() / logarithms.len().max(1) as f64).exp()
        };
        let full = |of: Collector| mean(&move |(collector, ratios)| ratios.full.filter(|_| *collector == of));
        Self {
            young: mean(&|(_, ratios)| ratios.young),
            g1_full: full(Collector::G1),
            parallel_full: full(Collector::Parallel),
            mark: mean(&|(_, ratios)| ratios.mark),
        }
    }

    fn scale(self, constants: Constants) -> Constants {
        Constants {
            young_ms: scaled(constants.young_ms, self.young),
            young_ns_per_heap_mib: scaled(constants.young_ns_per_heap_mib, self.young),
            copy_ns_per_object: scaled(constants.copy_ns_per_object, self.young),
            copy_ns_per_byte: scaled(constants.copy_ns_per_byte, self.young),
            evacuate_ns_per_object: scaled(constants.evacuate_ns_per_object, self.young),
            g1_full: constants.g1_full.scaled(self.g1_full),
            parallel_full: constants.parallel_full.scaled(self.parallel_full),
            mark: constants.mark.scaled(self.mark),
            pessimism: constants.pessimism,
        }
    }
}

impl Log {
    /// Reads what `-Xlog:gc` writes, such as
    /// `[0.9s][info][gc] GC(7) Pause Young (Normal) (G1 Evacuation Pause) 24M->5M(96M) 3.4ms`; none where the program's own
    /// two collections are not in it.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<_> = text.lines().filter_map(Line::parse).collect();
        let mut asked = (0..lines.len()).filter(|at| lines[*at].what.contains("System.gc()"));
        let (first, last) = (asked.next()?, asked.next_back()?);
        let between = lines.get(first + 1..=last)?;
        let of = |what: &str| {
            let lines = between.iter().filter(|line| line.what.starts_with(what));
            lines.filter_map(|line| line.ms).collect::<Vec<_>>()
        };
        let marks = between.split(|line| line.what.starts_with("Pause Full")).flat_map(whole_marks);
        Some(Self { young: of("Pause Young"), full: of("Pause Full"), marks: marks.collect() })
    }
}

/// The marks that begin and end among some lines, ms: a full collection between would have ended one early.
fn whole_marks<'a>(lines: &'a [Line<'a>]) -> impl Iterator<Item = f64> + 'a {
    let is_mark = |line: &Line<'_>| line.what.starts_with("Concurrent Mark Cycle");
    let begins = move |line: &Line<'_>, id: &str| is_mark(line) && line.ms.is_none() && line.id == id;
    let ended = lines.iter().filter(move |line| is_mark(line) && lines.iter().any(|other| begins(other, line.id)));
    ended.filter_map(|line| line.ms)
}

/// A line of the log: the collection's number, what happened, and how long it took where it has ended.
struct Line<'a> {
    id: &'a str,
    what: &'a str,
    ms: Option<f64>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (id, what) = line.split_once("GC(")?.1.split_once(") ")?;
        let ms = what.rsplit(' ').next().and_then(|last| last.strip_suffix("ms")?.parse().ok());
        Some(Self { id, what, ms })
    }
}

/// What a program printed.
struct Said {
    stdout: String,
    stderr: String,
}

/// Runs a program to its end, or to the end of its time.
fn run(command: &mut Command) -> Result<Said, CalibrateError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let io = |error| CalibrateError::Io(program.clone(), error);
    let failed = |problem: String| CalibrateError::Failed { program: program.clone(), problem };
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io)?;
    let started = Instant::now();
    // It prints a few lines only, which the pipes hold.
    while child.try_wait().map_err(io)?.is_none() {
        if started.elapsed() > MOST_TIME {
            child.kill().and_then(|()| child.wait()).map_err(io)?;
            return Err(failed(format!("not done after {} s", MOST_TIME.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().map_err(io)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { stdout: text(&output.stdout), stderr: text(&output.stderr) };
    if output.status.success() {
        Ok(said)
    } else {
        let first = said.stderr.lines().next().or(said.stdout.lines().next()).unwrap_or("it says nothing");
        Err(failed(format!("{}: {first}", output.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[0.010s][info][gc] Using G1
[0.300s][info][gc] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 24M->5M(96M) 99.0ms
[0.900s][info][gc] GC(1) Pause Full (System.gc()) 70M->64M(96M) 50.0ms
[0.950s][info][gc] GC(2) Pause Young (Concurrent Start) (G1 Evacuation Pause) 70M->68M(96M) 4.0ms
[0.951s][info][gc] GC(3) Concurrent Mark Cycle
[0.960s][info][gc] GC(4) Pause Young (Normal) (G1 Preventive Collection) 72M->70M(96M) 2.0ms
[0.980s][info][gc] GC(3) Concurrent Mark Cycle 47.5ms
[0.990s][info][gc] GC(4) Concurrent Mark Cycle
[1.000s][info][gc] GC(5) Pause Full (G1 Compaction Pause) 95M->64M(96M) 80.0ms
[1.001s][info][gc] GC(4) Concurrent Mark Cycle 11.0ms
[1.100s][info][gc] GC(6) Pause Full (System.gc()) 70M->64M(96M) 120.0ms
[1.200s][info][gc] GC(7) Pause Young (Normal) (G1 Evacuation Pause) 24M->5M(96M) 99.0ms
";

    #[test]
    fn the_log_between_the_collections_asked_for_is_read() {
        let log = Log::parse(LOG).unwrap();
        let expected = Log { young: vec![4.0, 2.0], full: vec![80.0, 120.0], marks: vec![47.5] };
        assert_eq!(log, expected);
        assert_eq!(Log::parse(""), None);
        assert_eq!(Log::parse(&LOG.replace("System.gc()", "Ergonomics")), None);
    }

    #[test]
    fn constants_scale_with_what_was_measured() {
        let of = |young, full, mark| Ratios { young, full, mark };
        let ratios = [
            (Collector::G1, of(Some(2.0), None, None)),
            (Collector::G1, of(Some(8.0), Some(3.0), None)),
            (Collector::Parallel, of(None, Some(0.5), None)),
        ];
        let factors = Factors::of(&ratios);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(factors.young, 4.0) && near(factors.g1_full, 3.0));
        assert!(near(factors.parallel_full, 0.5) && near(factors.mark, 1.0));
        let constants = factors.scale(Constants::default());
        assert!(near(constants.copy_ns_per_object, 1_280.0));
        assert!(near(constants.g1_full.ns_per_byte, 1.5) && near(constants.parallel_full.ms, 53.5));
        assert_eq!(ratio(&[], 5.0), None);
        assert_eq!(ratio(&[5.0], 0.0), None);
    }
}
