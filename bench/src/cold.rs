//! Times, processor time and memory: cold in fresh processes, warm in one that has been warmed up.

use std::{path::Path, time::Duration};

use local::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    lambda::{Answer, Environment, Launch},
    usage::Usage,
};

/// The processes for the cold figures. The first one, which reads the binary from the disk, does not count.
const COLD: usize = 21;
/// The requests before the timed ones.
const WARM_UP: usize = 100;
/// The timed requests: with the warm-up 1,000.
const TIMED: usize = 900;
/// The requests after these, which must not need more memory.
const MORE: usize = 2_000;

/// The figures of an operation. Times are in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    /// From the start of a process to its first request for an event: the median of fresh processes.
    pub(crate) init_ms: f64,
    /// The first request of a process: the median of the same processes.
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    /// The processor time of a warm request.
    pub(crate) cpu_ms: f64,
    /// The peak after 1,000 requests, in KiB.
    pub(crate) peak_kib: u64,
    /// The peak after 3,000 requests, in KiB.
    pub(crate) later_peak_kib: u64,
}

/// Measures an operation.
pub(crate) async fn measure(launch: &Launch, mut event: impl FnMut() -> Value) -> Result<Times> {
    let (mut inits, mut firsts) = (Vec::new(), Vec::new());
    for process in 0..COLD {
        let mut environment = Environment::start(launch).await?;
        let answer = succeed(environment.invoke(&event()).await?)?;
        if process > 0 {
            inits.push(environment.init);
            firsts.push(answer.latency);
        }
    }
    let mut environment = Environment::start(launch).await?;
    let id = environment.id()?;
    for _ in 0..WARM_UP {
        succeed(environment.invoke(&event()).await?)?;
    }
    let before = Usage::of(id)?;
    let mut warm = Vec::new();
    for _ in 0..TIMED {
        warm.push(succeed(environment.invoke(&event()).await?)?.latency);
    }
    let after = Usage::of(id)?;
    for _ in 0..MORE {
        succeed(environment.invoke(&event()).await?)?;
    }
    let end = Usage::of(id)?;
    Ok(Times {
        init_ms: percentile(&mut inits, 50),
        first_ms: percentile(&mut firsts, 50),
        warm_p50_ms: percentile(&mut warm, 50),
        warm_p99_ms: percentile(&mut warm, 99),
        // All requests after the warm-up, because the kernel counts in steps of 10 ms.
        cpu_ms: milliseconds((end.cpu - before.cpu) / u32::try_from(TIMED + MORE).unwrap_or(1)),
        peak_kib: after.peak_kib,
        later_peak_kib: end.peak_kib,
    })
}

/// The answer, if it is a success.
pub(crate) fn succeed(answer: Answer) -> Result<Answer> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(Error::new(format!("a measured request was answered {}: {body}", answer.status)))
}

/// A percentile in milliseconds (the nearest rank).
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied().map_or(0.0, milliseconds)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Reads the log lines that a process has written, for their size.
pub(crate) fn log_bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), 100.0);
        assert_eq!(percentile(&mut times, 99), 198.0);
        assert_eq!(percentile(&mut [Duration::from_millis(3)], 99), 3.0);
        assert_eq!(percentile(&mut [], 50), 0.0);
    }
}
