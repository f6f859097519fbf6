//! A closed loop: several environments of a function, each of which gets its next request when it has answered the last one.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use local::Result;
use serde::{Deserialize, Serialize};

use crate::{
    cold::{milliseconds, percentile, succeed},
    labs::Lab,
    lambda::Environment,
    operation::Operation,
    run::Bench,
    usage::Usage,
};

/// How long each loop runs, after a warm-up of a tenth of it.
const TIME: Duration = Duration::from_secs(4);

/// The figures of a loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) operation: String,
    pub(crate) environments: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The processor time of a request in the function's process.
    pub(crate) cpu_ms: f64,
}

/// Runs a loop with so many environments.
pub(crate) async fn measure(bench: &Bench, operation: Operation, lab: Lab, count: usize) -> Result<Load> {
    let launch = bench.launch(operation);
    let environments = try_join_all((0..count).map(|_| Environment::start(&launch))).await?;
    let (begin, end) = (Instant::now() + TIME / 10, Instant::now() + TIME / 10 + TIME);
    let loops = environments.into_iter().map(async |mut environment| {
        let mut requests = lab.requests(bench)?;
        let (mut times, mut cpu) = (Vec::new(), Duration::ZERO);
        let id = environment.id()?;
        while Instant::now() < end {
            let is_warm = Instant::now() >= begin;
            if is_warm && times.is_empty() {
                cpu = Usage::of(id)?.cpu;
            }
            let answer = succeed(environment.invoke(&requests.next(operation)).await?)?;
            if is_warm {
                times.push(answer.latency);
            }
        }
        Ok::<_, local::Error>((times, Usage::of(id)?.cpu - cpu))
    });
    let (mut times, mut cpu) = (Vec::new(), Duration::ZERO);
    for (some, used) in try_join_all(loops).await? {
        times.extend(some);
        cpu += used;
    }
    let requests = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
    Ok(Load {
        operation: operation.name().to_owned(),
        environments: count,
        per_second: f64::from(requests) / TIME.as_secs_f64(),
        p50_ms: percentile(&mut times, 50),
        p99_ms: percentile(&mut times, 99),
        cpu_ms: milliseconds(cpu / requests),
    })
}
