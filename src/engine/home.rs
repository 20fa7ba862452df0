//! A Flink on this machine, and the Java that it runs with.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EngineError;
use crate::workload::FlinkVersion;

/// A folder with a Flink in it, and a JDK.
#[derive(Debug, Clone)]
pub struct FlinkHome {
    /// The folder.
    pub path: PathBuf,
    /// The version of its jars, such as `2.3.0`.
    pub version: String,
    /// The line that the version is of: which keys it knows.
    pub line: FlinkVersion,
    jdk: Option<PathBuf>,
}

impl FlinkHome {
    /// Looks into a folder, and for a compiler.
    ///
    /// # Errors
    /// It is no Flink of a version that statebench knows, or there is no JDK.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let refuse = |what: &str| EngineError::Home(path.to_owned(), what.to_owned());
        let lib = path.join("lib");
        let jars = std::fs::read_dir(&lib).map_err(|_| {
            refuse("has no folder `lib` with Flink's jars; allowed: the folder that a download of Flink unpacks to")
        })?;
        let mut names = jars.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
        let version = names
            .find_map(|name| {
                let rest = name.strip_prefix("flink-dist-").or_else(|| name.strip_prefix("flink-dist_2.12-"))?;
                rest.strip_suffix(".jar").map(str::to_owned)
            })
            .ok_or_else(|| refuse("has no `lib/flink-dist-VERSION.jar`"))?;
        let line = if version.starts_with("1.20.") {
            FlinkVersion::V1_20
        } else if version.starts_with("2.3.") {
            FlinkVersion::V2_3
        } else {
            return Err(refuse(&format!("is Flink {version}; statebench runs on 1.20 and 2.3")));
        };
        let path = path.canonicalize().map_err(|error| EngineError::Io(path.to_owned(), "cannot open it", error))?;
        let jdk = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = Self { path, version, line, jdk };
        home.check_tools()?;
        Ok(home)
    }

    /// The jar by which Flink's scripts divide a task manager's memory, which a cluster takes.
    ///
    /// # Errors
    /// It is missing.
    pub fn memory_jar(&self) -> Result<PathBuf, EngineError> {
        const NAME: &str = "bin/bash-java-utils.jar";
        let jar = self.path.join(NAME);
        let what = || format!("has no `{NAME}`, by which Flink divides the memory of a task manager");
        if jar.is_file() { Ok(jar) } else { Err(EngineError::Home(self.path.clone(), what())) }
    }

    /// The class path of its jars.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.path.join("lib").display())
    }

    /// A tool of the JDK: that of `JAVA_HOME`, or else of the path.
    pub fn tool(&self, name: &str) -> Command {
        Command::new(self.jdk.as_ref().map_or_else(|| PathBuf::from(name), |jdk| jdk.join("bin").join(name)))
    }

    fn check_tools(&self) -> Result<(), EngineError> {
        let place = self.jdk.as_ref().map_or_else(
            || "on the path".to_owned(),
            |jdk| format!("in {}, which JAVA_HOME names", jdk.join("bin").display()),
        );
        for tool in ["java", "javac", "jar"] {
            let works = self.tool(tool).arg("-version").output().is_ok();
            if !works {
                return Err(EngineError::Java(match tool {
                    "java" => format!("there is no `java` {place}; Flink {} needs a JDK 11 or 17", self.version),
                    _ => format!(
                        "there is a `java` but no `{tool}` {place}: a JRE runs Flink, but the job is compiled with a JDK"
                    ),
                }));
            }
        }
        Ok(())
    }
}
