//! What a run was made on.

use std::fs;

use serde::Serialize;

/// The machine that made the load.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of them this process may use.
    pub processors: usize,
    /// Memory in MiB.
    pub memory: u64,
    /// The system and its version.
    pub system: String,
}

impl Machine {
    /// This one, as far as Linux tells.
    #[must_use]
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kibibytes = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory: kibibytes.unwrap_or(0) / 1024,
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}
