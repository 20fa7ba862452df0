//! The job's Java sources, which travel in this program, and the jar that is made of them beside the Flink it runs on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{EngineError, FlinkHome};

/// The class whose `main` builds the job.
pub const MAIN_CLASS: &str = "statebench.Job";

macro_rules! sources {
    ($($name:literal)*) => {
        /// Names and contents of the source files.
        const SOURCES: &[(&str, &str)] =
            &[$((concat!($name, ".java"), include_str!(concat!("../../flink/statebench/", $name, ".java")))),*];
    };
}

sources! {
    "Aggregate" "BroadcastRules" "ChangelogJoin" "Collected" "ContinuousJoin" "Counter" "Element" "Event" "EventFile"
    "EventSource" "FirstRow" "Hashing" "IntervalJoin" "Job" "LastRow" "ListBuffer" "MapEntries" "Mix" "Operator"
    "OperatorFunction" "Probe" "Reduce" "RegularJoin" "Row" "RowKey" "Rows" "RunningTotal" "SourceOffsets" "Spec"
    "TemporalJoin" "TopN" "ValueOfMap" "VirtualTime" "Windows"
}

/// Compiles the job into a folder, and returns its jar.
///
/// # Errors
/// A file cannot be written, or the compiler refuses the sources.
pub fn compile(home: &FlinkHome, folder: &Path) -> Result<PathBuf, EngineError> {
    let (sources, classes) = (folder.join("sources"), folder.join("classes"));
    for made in [&sources, &classes] {
        std::fs::create_dir_all(made).map_err(|error| EngineError::Io(made.clone(), "cannot make a folder", error))?;
    }
    let mut compiler = home.tool("javac");
    compiler.args(["-nowarn", "-Xlint:none", "-proc:none", "-encoding", "UTF-8", "-cp"]).arg(home.class_path());
    compiler.arg("-d").arg(&classes);
    for (name, source) in SOURCES {
        let path = sources.join(name);
        std::fs::write(&path, source).map_err(|error| EngineError::Io(path.clone(), "cannot write a source", error))?;
        compiler.arg(path);
    }
    run(&mut compiler, "javac")?;
    let jar = folder.join("statebench-job.jar");
    let mut archiver = home.tool("jar");
    archiver.args(["--create", "--file"]).arg(&jar).args(["--main-class", MAIN_CLASS, "-C"]).arg(&classes).arg(".");
    run(&mut archiver, "jar")?;
    Ok(jar)
}

fn run(command: &mut Command, name: &str) -> Result<(), EngineError> {
    let output = command.output().map_err(|error| EngineError::Java(format!("cannot run `{name}`: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error:")).take(3).collect();
    let said = if errors.is_empty() { said.lines().take(3).collect() } else { errors };
    Err(EngineError::Java(format!("`{name}` refuses the job: {}", said.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Codec, Payload, StringKey, mix};
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn every_source_travels_along() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("flink/statebench");
        let mut there: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        there.sort();
        let mut listed: Vec<_> = SOURCES.iter().map(|(name, _)| std::ffi::OsString::from(name)).collect();
        listed.sort();
        assert_eq!(listed, there);
    }

    /// Needs a Flink: the job is compiled against it.
    #[test]
    fn the_job_hashes_as_this_program_does() {
        let Some(home) = std::env::var_os("STATEBENCH_FLINK_HOME").filter(|home| !home.is_empty()) else {
            eprintln!("left out: it takes a Flink, which STATEBENCH_FLINK_HOME names");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let home = FlinkHome::open(Path::new(&home)).unwrap();
        compile(&home, folder.path()).unwrap();
        let letters = "state of a key, ".repeat(15);
        let texts: Vec<&str> = (0..=238).map(|length| &letters[..length]).chain(["größer", "a😀b", "0"]).collect();
        let mut java = home.tool("java");
        java.env("LC_ALL", "C.UTF-8").arg("-cp").arg(folder.path().join("classes"));
        java.arg("statebench.Hashing").args(&texts);
        let output = java.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), texts.len());
        for (text, line) in texts.iter().zip(said.lines()) {
            let head = Payload(text.as_bytes().into()).head();
            let fingerprint = StringKey::new(*text).fingerprint(&mut Vec::new());
            let hashes = [xxh3_64(text.as_bytes()), fingerprint, head, mix(head, text.len() as u64)];
            assert_eq!(line, hashes.map(|hash| format!("{hash:016x}")).join(" "), "{text:?}");
        }
    }

    #[test]
    fn every_source_names_a_twin_that_there_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, source) in SOURCES {
            let twins: Vec<_> = source
                .split(|c: char| !(c.is_alphanumeric() || "/_.-".contains(c)))
                .filter(|word| word.starts_with("src/"))
                .collect();
            assert!(twins.iter().all(|twin| root.join(twin).exists()), "{name}: {twins:?}");
            let stands_alone = ["RowKey.java", "Rows.java"];
            assert!(!twins.is_empty() || stands_alone.contains(name), "{name} names no twin");
        }
    }
}
