//! The machine and the tools of a run, so that figures can be compared.

use std::{fs, process::Command};

use serde::{Deserialize, Serialize};

/// The machine and the tools.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) valgrind: String,
    /// How busy the machine was when the run began (the load of the last minute).
    pub(crate) load: String,
}

impl Machine {
    /// This machine. What cannot be found out is empty.
    pub(crate) fn describe() -> Self {
        let first_word = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let value = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal");
        let memory_kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Self {
            date: today().to_string(),
            commit: output("git", &["describe", "--always", "--dirty"]),
            processor: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib.div_ceil(1 << 20),
            kernel: first_word("/proc/sys/kernel/osrelease"),
            rustc: output("rustc", &["--version"]),
            valgrind: output("valgrind", &["--version"]),
            load: first_word("/proc/loadavg"),
        }
    }
}

impl Machine {
    /// The machine as a table.
    pub(crate) fn table(&self) -> String {
        let rows = [
            ("date", self.date.clone()),
            ("commit", self.commit.clone()),
            ("processor", format!("{}, {} cores", self.processor, self.cores)),
            ("memory", format!("{} GiB", self.memory_gib)),
            ("kernel", self.kernel.clone()),
            ("compiler", self.rustc.clone()),
            ("valgrind", self.valgrind.clone()),
            ("load at the start", self.load.clone()),
        ];
        crate::report::table(["", ""], &rows.map(|(name, value)| [name.to_owned(), value]))
    }
}

/// The date in UTC.
pub(crate) fn today() -> jiff::civil::Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
