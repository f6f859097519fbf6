//! What a process has used so far, as the kernel counts it in /proc.

use std::{fs, time::Duration};

use local::{Error, Result};
use rustix::param::clock_ticks_per_second;

/// The use of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// The memory that it has now, in KiB (VmRSS).
    pub(crate) memory_kib: u64,
    /// The most memory that it ever had, in KiB (VmHWM).
    pub(crate) peak_kib: u64,
}

impl Usage {
    /// The use of this process so far. The processor time has the kernel's resolution of 10 ms.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{process}/{name}"))
                .map_err(|error| Error::new(format!("/proc/{process}/{name}: {error}")))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let unreadable = || Error::new("/proc has an unknown format");
        // After the name, which is in parentheses: the state, ten numbers, utime and stime.
        let fields: Vec<&str> = stat.rsplit_once(") ").ok_or_else(unreadable)?.1.split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system).ok_or_else(unreadable)?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or_else(unreadable)
        };
        Ok(Self {
            cpu: Duration::from_secs(ticks) / u32::try_from(clock_ticks_per_second()).unwrap_or(100),
            memory_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_this_process_can_be_read() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_kib > 100 && usage.peak_kib >= usage.memory_kib, "{usage:?}");
    }
}
