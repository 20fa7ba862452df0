//! Another statebench that runs trials for this one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::own_build;
use super::process::TRIAL_COMMAND;
use crate::result::{BuildInfo, Program, printable};

/// The version of what a parent and the process of a trial say to each other. It grows with every change of a trial's input or
/// answer that the other side would not understand.
const PROTOCOL: u32 = 1;
/// The option by which a program tells which version it speaks.
pub const DESCRIBE: &str = "describe";
/// Time that a program has to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer, bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// What a program answers that is asked what it is.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    protocol: u32,
    build: BuildInfo,
}

/// A program that was asked, and speaks as this one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherProgram {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub info: Program,
}

/// Why a program cannot run trials for this one.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started or read.
    #[error("{path}: cannot be run: {error}", path = .0.display(), error = .1)]
    Start(PathBuf, #[source] std::io::Error),
    /// It answers something else.
    #[error("{path}: is no statebench that can run trials for another one: asked what it speaks, it {said}", path = .0.display(), said = .1)]
    NoAnswer(PathBuf, String),
    /// It is of a version that speaks otherwise.
    #[error(
        "{path}: statebench {version} speaks version {theirs} of the protocol of trials, this one version {PROTOCOL}; build both from \
         versions that speak the same",
        path = .0.display(), version = .1, theirs = .2
    )]
    Version(PathBuf, String, u32),
}

/// What this program answers when it is asked.
pub fn describe() -> serde_json::Result<String> {
    serde_json::to_string(&Description { protocol: PROTOCOL, build: own_build() })
}

impl OtherProgram {
    /// Asks a program what it is.
    ///
    /// # Errors
    /// It cannot be run, is no statebench, or speaks another version.
    pub fn ask(path: &Path) -> Result<Self, ProgramError> {
        let start = |error| ProgramError::Start(path.to_owned(), error);
        // As a shell does it, a name with a folder in it is no command to be looked up; a bare one is a file here.
        let path = std::path::absolute(path).map_err(start)?;
        let digest = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&std::fs::read(&path).map_err(start)?));
        let answer = answer(&path).map_err(start)?;
        let Ok(description) = serde_json::from_str::<Description>(answer.trim()) else {
            let said = match answer.lines().next() {
                Some(line) => format!("says `{}`", printable(&line.chars().take(80).collect::<String>())),
                None => "says nothing".to_owned(),
            };
            return Err(ProgramError::NoAnswer(path, said));
        };
        let BuildInfo { statebench: version, rocksdb, profile, .. } = description.build;
        if description.protocol != PROTOCOL {
            return Err(ProgramError::Version(path, printable(&version), description.protocol));
        }
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { info: Program { file, version, profile, rocksdb, digest }, path })
    }
}

/// What a program writes when it is asked; one that does not end is ended.
fn answer(path: &Path) -> std::io::Result<String> {
    let mut child = Command::new(path)
        .args([TRIAL_COMMAND, &format!("--{DESCRIBE}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let reader = child.stdout.take().map(|stdout| {
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = stdout.take(LONGEST_ANSWER).read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
    });
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(String::new());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(reader.and_then(|reader| reader.join().ok()).unwrap_or_default())
}
