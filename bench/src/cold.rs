//! Times, processor time and memory: cold in fresh processes, warm in one that has been warmed up.

use std::{fs, path::Path, time::Duration};

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
const MORE: usize = 1_000;

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
    /// The peak after 2,000 requests, in KiB.
    pub(crate) later_peak_kib: u64,
}

/// The times of an operation with a slow network to DynamoDB, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SlowNetworkTimes {
    pub(crate) init_ms: f64,
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
}

/// Measures an operation.
pub(crate) async fn measure(launch: &Launch, mut event: impl FnMut() -> Value) -> Result<Times> {
    let (init_ms, first_ms) = measure_cold(launch, &mut event).await?;
    let mut environment = Environment::start(launch).await?;
    let id = environment.id()?;
    send(&mut environment, WARM_UP, &mut event).await?;
    let before = Usage::of(id)?;
    let mut warm = send(&mut environment, TIMED, &mut event).await?;
    let after = Usage::of(id)?;
    send(&mut environment, MORE, &mut event).await?;
    let end = Usage::of(id)?;
    Ok(Times {
        init_ms,
        first_ms,
        warm_p50_ms: percentile(&mut warm, 50),
        warm_p99_ms: percentile(&mut warm, 99),
        // All requests after the warm-up, because the kernel counts in steps of 10 ms.
        cpu_ms: milliseconds((end.cpu - before.cpu) / u32::try_from(TIMED + MORE).unwrap_or(1)),
        peak_kib: after.peak_kib,
        later_peak_kib: end.peak_kib,
    })
}

/// Measures an operation of a function that reaches DynamoDB through a slow network.
pub(crate) async fn measure_slow_network(
    launch: &Launch,
    mut event: impl FnMut() -> Value,
) -> Result<SlowNetworkTimes> {
    let (init_ms, first_ms) = measure_cold(launch, &mut event).await?;
    let mut environment = Environment::start(launch).await?;
    send(&mut environment, WARM_UP / 10, &mut event).await?;
    let mut warm = send(&mut environment, WARM_UP, &mut event).await?;
    Ok(SlowNetworkTimes { init_ms, first_ms, warm_p50_ms: percentile(&mut warm, 50) })
}

/// The medians of init and of the first request, of fresh processes.
async fn measure_cold(launch: &Launch, event: &mut impl FnMut() -> Value) -> Result<(f64, f64)> {
    let (mut inits, mut firsts) = (Vec::new(), Vec::new());
    for process in 0..COLD {
        let mut environment = Environment::start(launch).await?;
        let answer = succeed(environment.invoke(&event()).await?)?;
        if process > 0 {
            inits.push(environment.init);
            firsts.push(answer.latency);
        }
    }
    Ok((percentile(&mut inits, 50), percentile(&mut firsts, 50)))
}

async fn send(
    environment: &mut Environment,
    count: usize,
    event: &mut impl FnMut() -> Value,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(succeed(environment.invoke(&event()).await?)?.latency);
    }
    Ok(times)
}

/// The bytes that a request adds to the log.
pub(crate) async fn log_bytes(
    launch: &Launch,
    folder: &Path,
    mut event: impl FnMut() -> Value,
) -> Result<u64> {
    const REQUESTS: usize = 10;
    let log = folder.join("function.log");
    // It may be left over.
    let _ = fs::remove_file(&log);
    let mut environment = Environment::start(&Launch { log: Some(log.clone()), ..launch.clone() }).await?;
    let length = || fs::metadata(&log).map_or(0, |file| file.len());
    let before = length();
    send(&mut environment, REQUESTS, &mut event).await?;
    Ok((length() - before) / REQUESTS as u64)
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
