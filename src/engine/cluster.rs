//! A standalone cluster of Flink on this machine: a job manager and task managers as processes of their own, on loopback
//! and on free ports, which are gone when this is dropped or this program ends, however it ends.

use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::rest::{Access, JobManager, root_cause};
use super::{EngineError, FlinkHome};
use crate::flink::yaml_value;
use crate::run::stop_requested;

/// How long a cluster may take until all its slots are there.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Task managers that may die in the life of a cluster: more of them die of what the next one dies of too.
const MOST_RESTARTS: u16 = 5;
/// Time between two questions.
const POLL: Duration = Duration::from_millis(100);

/// Runs a command in a process of its own, which is killed when nobody holds the other end of its input any more: this program
/// has closed it, or is gone.
const LEASH: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
child=$!
( while read -r -u 3 _; do :; done; kill -KILL "$child" ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// What opens the JDK's classes to Flink, as the configuration does that Flink comes with.
const JAVA_OPENS: [&str; 12] = [
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.time=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
];

/// What a cluster is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlan {
    /// Task managers.
    pub task_managers: u16,
    /// Slots of each.
    pub slots: u16,
    /// Options of Flink, over those that a cluster of one machine needs.
    pub options: Vec<(String, String)>,
}

/// A cluster that runs.
pub struct LocalCluster {
    plan: ClusterPlan,
    launcher: Launcher,
    job_manager: Process,
    task_managers: Vec<Process>,
    restarted: u16,
    started_in: Duration,
    manager: JobManager,
    /// Goes last: the processes write into it.
    _folder: TempDir,
}

/// One of its processes.
struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl LocalCluster {
    /// Starts one, with its files in a folder of its own in this one, and waits until all slots are there.
    ///
    /// # Errors
    /// A process does not come up, or the user stopped it.
    pub fn start(home: &FlinkHome, plan: ClusterPlan, parent: &Path) -> Result<Self, EngineError> {
        let began = Instant::now();
        let io = |error| EngineError::Io(parent.to_owned(), "cannot make a folder for the cluster", error);
        let folder = tempfile::Builder::new().prefix("statebench-flink-").tempdir_in(parent).map_err(io)?;
        let ports = free_ports().map_err(|error| EngineError::Io(PathBuf::new(), "finds no free port", error))?;
        write_configuration(&plan, folder.path(), ports)?;
        let launcher = Launcher { home: home.clone(), folder: folder.path().to_owned(), memory: Memory::default() };
        let job_manager = launcher.start_job_manager()?;
        let manager = JobManager::at(&format!("http://127.0.0.1:{}/", ports[1]), &Access::default())?;
        let mut cluster = Self {
            plan,
            launcher,
            job_manager,
            task_managers: Vec::new(),
            restarted: 0,
            started_in: Duration::ZERO,
            manager,
            _folder: folder,
        };
        cluster.launcher.memory = cluster.launcher.divided_memory()?;
        for number in 0..cluster.plan.task_managers {
            let started = cluster.launcher.start_task_manager(number)?;
            cluster.task_managers.push(started);
        }
        cluster.wait_for_slots()?;
        cluster.started_in = began.elapsed();
        Ok(cluster)
    }

    /// Its job manager.
    pub fn manager(&self) -> &JobManager {
        &self.manager
    }

    /// How long it took until all slots were there.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Task managers that have died and were replaced.
    pub fn restarted_task_managers(&self) -> u16 {
        self.restarted
    }

    fn wait_for_slots(&mut self) -> Result<(), EngineError> {
        let slots = u64::from(self.plan.task_managers) * u64::from(self.plan.slots);
        let started = Instant::now();
        loop {
            if stop_requested() {
                return Err(EngineError::Interrupted);
            }
            for process in std::iter::once(&mut self.job_manager).chain(&mut self.task_managers) {
                process.check()?;
            }
            let there = self.manager.get("overview").ok();
            let there = there.and_then(|overview| overview.get("slots-total")?.as_u64()).unwrap_or(0);
            if there >= slots {
                return Ok(());
            }
            if started.elapsed() > START_TIMEOUT {
                let why = format!("after {START_TIMEOUT:?} it has {there} of {slots} slots");
                return Err(EngineError::Cluster(why, self.job_manager.last_words()));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Looks after the processes: a task manager that has died is replaced, as a cluster's resource manager would; a job manager
    /// that has died ends it, and so do too many task managers.
    ///
    /// # Errors
    /// The job manager died, task managers keep dying, or a process cannot be started.
    pub fn tend(&mut self) -> Result<(), EngineError> {
        self.job_manager.check()?;
        for number in 0..self.task_managers.len() {
            if self.task_managers[number].has_ended() {
                if self.restarted == MOST_RESTARTS {
                    let why = format!("a task manager died after {MOST_RESTARTS} others");
                    return Err(EngineError::Cluster(why, self.task_managers[number].last_words()));
                }
                self.restarted += 1;
                let next = self.plan.task_managers + self.restarted;
                self.task_managers[number] = self.launcher.start_task_manager(next)?;
            }
        }
        Ok(())
    }

    /// Kills a task manager, as a machine that fails would.
    pub fn kill_task_manager(&mut self) {
        if let Some(first) = self.task_managers.first_mut() {
            first.kill();
        }
    }
}

/// Starts the processes of a cluster, as Flink's scripts do.
struct Launcher {
    home: FlinkHome,
    folder: PathBuf,
    memory: Memory,
}

/// How the memory of a task manager is divided, by Flink's own arithmetic.
#[derive(Default)]
struct Memory {
    /// For the JVM.
    jvm: Vec<String>,
    /// For Flink.
    flink: Vec<String>,
}

impl Launcher {
    fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }

    fn start_job_manager(&self) -> Result<Process, EngineError> {
        // It only coordinates: it starts quicker with the simplest of everything.
        let jvm = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned);
        let class = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
        self.start("jobmanager-0".to_owned(), &jvm, class, &[])
    }

    fn start_task_manager(&self, number: u16) -> Result<Process, EngineError> {
        let class = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
        self.start(format!("taskmanager-{number}"), &self.memory.jvm, class, &self.memory.flink)
    }

    fn start(&self, name: String, jvm: &[String], class: &str, options: &[String]) -> Result<Process, EngineError> {
        let log = self.folder.join(format!("{name}.log"));
        let io = |error| EngineError::Io(log.clone(), "cannot write a log", error);
        let out = File::create(&log).map_err(io)?;
        let err = out.try_clone().map_err(io)?;
        let java = self.home.tool("java");
        let mut command = Command::new("bash");
        command.arg("-c").arg(LEASH).arg("statebench-flink").arg(java.get_program()).args(jvm).args(JAVA_OPENS);
        command.arg(format!("-Dlog4j.configurationFile=file:{}", self.conf().join(LOGGING_FILE).display()));
        command.arg("-cp").arg(self.home.class_path()).arg(class).arg("--configDir").arg(self.conf()).args(options);
        command.env("FLINK_CONF_DIR", self.conf()).env("FLINK_LOG_DIR", &self.folder);
        command
            .env("FLINK_PLUGINS_DIR", self.home.path.join("plugins"))
            .env("FLINK_LIB_DIR", self.home.path.join("lib"));
        command.stdin(Stdio::piped()).stdout(out).stderr(err).process_group(0);
        let refused = |error: std::io::Error| EngineError::Cluster(format!("cannot start {name}"), error.to_string());
        let child = command.spawn().map_err(refused)?;
        Ok(Process { name, log: log.clone(), child })
    }

    /// Asks Flink how it divides the memory of a task manager.
    fn divided_memory(&self) -> Result<Memory, EngineError> {
        let mut java = self.home.tool("java");
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
        java.arg(format!("{}:{}", self.home.memory_jar()?.display(), self.home.class_path()));
        java.args(["org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS", "--configDir"]);
        let output = java.arg(self.conf()).output();
        let output = output.map_err(|error| EngineError::Java(format!("cannot run `java`: {error}")))?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let mut lines = said.lines().filter_map(|line| line.strip_prefix("BASH_JAVA_UTILS_EXEC_RESULT:"));
        match (lines.next(), lines.next()) {
            (Some(jvm), Some(flink)) => {
                let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
                Ok(Memory { jvm: words(jvm), flink: words(flink) })
            }
            _ => Err(EngineError::Unsupported(format!(
                "Flink refuses the memory of the task manager: {}",
                root_cause(&said)
            ))),
        }
    }
}

impl Process {
    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Fails where it is not there any more.
    fn check(&mut self) -> Result<(), EngineError> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(EngineError::Cluster(format!("{} ended: {status}", self.name), self.last_words())),
            _ => Ok(()),
        }
    }

    /// Ends it at once: what holds its input's other end lets go.
    fn kill(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }

    /// Why it failed, of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let told = log.rfind("Caused by: ").map(|at| root_cause(&log[at..]));
        told.or_else(|| log.lines().rev().find(|line| line.contains("ERROR")).map(str::to_owned))
            .or_else(|| log.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned))
            .unwrap_or_else(|| "it has said nothing".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Two ports of loopback that nobody has: of the job manager's messages, and of its REST interface.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (first, second) = (listen()?, listen()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// Writes the configuration of a cluster, with logging as Flink's own consoles have it.
fn write_configuration(plan: &ClusterPlan, folder: &Path, ports: [u16; 2]) -> Result<(), EngineError> {
    let conf = folder.join("conf");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| EngineError::Io(path, "cannot write the cluster's configuration", error)
    };
    let temporary = folder.join("tmp");
    for made in [&conf, &temporary] {
        std::fs::create_dir_all(made).map_err(io(made))?;
    }
    let mut options = vec![
        ("jobmanager.rpc.address".to_owned(), "127.0.0.1".to_owned()),
        ("jobmanager.bind-host".to_owned(), "127.0.0.1".to_owned()),
        ("jobmanager.rpc.port".to_owned(), ports[0].to_string()),
        ("rest.address".to_owned(), "127.0.0.1".to_owned()),
        ("rest.bind-address".to_owned(), "127.0.0.1".to_owned()),
        ("rest.port".to_owned(), ports[1].to_string()),
        ("taskmanager.bind-host".to_owned(), "127.0.0.1".to_owned()),
        ("taskmanager.host".to_owned(), "127.0.0.1".to_owned()),
        ("taskmanager.numberOfTaskSlots".to_owned(), plan.slots.to_string()),
        ("jobmanager.memory.process.size".to_owned(), "1 gb".to_owned()),
        ("io.tmp.dirs".to_owned(), temporary.display().to_string()),
        ("heartbeat.timeout".to_owned(), "10 s".to_owned()),
        ("heartbeat.interval".to_owned(), "2 s".to_owned()),
        ("execution.checkpointing.dir".to_owned(), format!("file://{}", folder.join("checkpoints").display())),
    ];
    for (key, value) in &plan.options {
        options.retain(|(own, _)| own != key);
        options.push((key.clone(), value.clone()));
    }
    let sizes_total =
        ["taskmanager.memory.process.size", "taskmanager.memory.flink.size", "taskmanager.memory.task.heap.size"];
    if !options.iter().any(|(key, _)| sizes_total.contains(&key.as_str())) {
        // That of the configuration that Flink comes with.
        options.push(("taskmanager.memory.process.size".to_owned(), "1728 mb".to_owned()));
    }
    let mut text = String::new();
    for (key, value) in &options {
        let _ = writeln!(text, "{key}: {}", yaml_value(value));
    }
    let file = conf.join("config.yaml");
    std::fs::write(&file, text).map_err(io(&file))?;
    let logging = conf.join(LOGGING_FILE);
    std::fs::write(&logging, LOGGING).map_err(io(&logging))?;
    Ok(())
}

const LOGGING_FILE: &str = "log4j-console.properties";

/// Logs to the console, which goes into a file of the cluster's folder.
const LOGGING: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = ConsoleAppender
appender.console.name = ConsoleAppender
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
";

#[cfg(test)]
mod tests {
    use super::*;

    /// A script that leaves a mark as long as it runs.
    fn leashed(script: &str) -> Child {
        let mut command = Command::new("bash");
        command.arg("-c").arg(LEASH).arg("leash").args(["bash", "-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_process_ends_when_its_leash_is_let_go() {
        let mut child = leashed("echo $$; exec sleep 600");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let alive = || Path::new("/proc").join(line.trim()).join("exe").exists();
        assert!(alive());
        drop(child.stdin.take());
        assert!(!child.wait().unwrap().success());
        assert!(!alive());
    }

    #[test]
    fn the_end_of_a_process_is_its_own() {
        let mut child = leashed("exit 7");
        // To wait lets the leash go, where it is not held.
        let _leash = child.stdin.take();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn ports_differ() {
        let [rpc, rest] = free_ports().unwrap();
        assert_ne!(rpc, rest);
    }
}
