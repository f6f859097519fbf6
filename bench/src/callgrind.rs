//! Counts instructions: the binary runs under valgrind's callgrind.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use local::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    cold::succeed,
    lambda::{Environment, Launch},
};

/// The requests before the counted ones: connections are open, caches are filled, buffers have their size.
const WARM_UP: usize = 10;
/// How long the first requests may fail.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// The counted requests.
const COUNTED: usize = 40;

/// The instructions of an operation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Instructions {
    /// From the start of the process to its first request for an event.
    pub(crate) init: u64,
    /// For a warm request.
    pub(crate) warm: u64,
}

/// Says how to install valgrind if it is missing.
pub(crate) fn require_valgrind() -> Result<()> {
    match std::process::Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Error::new("valgrind is missing: install it (Debian and Ubuntu: apt-get install valgrind)")),
    }
}

/// Counts the instructions of a function. `event` makes the event of a number; each number is used once.
///
pub(crate) async fn count(
    launch: &Launch,
    scratch: &Path,
    mut event: impl FnMut() -> Value,
) -> Result<Instructions> {
    let file = scratch.join("callgrind.out");
    let launch = Launch {
        under: vec![
            "valgrind".into(),
            "--quiet".into(),
            "--tool=callgrind".into(),
            format!("--callgrind-out-file={}", file.display()),
        ],
        ..launch.clone()
    };
    let mut environment = Environment::start(&launch).await?;
    let process = environment.id()?;
    // Writes the counts since the start into a file with the suffix .1, and begins again at 0.
    control(process, "dump").await?;
    warm_up(&mut environment, &mut event).await?;
    control(process, "zero").await?;
    for _ in 0..COUNTED {
        succeed(environment.invoke(&event()).await?)?;
    }
    environment.stop().await?;
    Ok(Instructions { init: read(&file.with_extension("out.1"))?, warm: read(&file)? / COUNTED as u64 })
}

/// Sends requests until enough in a row have succeeded. The first ones may take so long under valgrind that calls time out,
/// and are repeated or fail.
async fn warm_up(environment: &mut Environment, event: &mut impl FnMut() -> Value) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < WARM_UP {
        let answer = environment.invoke(&event()).await?;
        if answer.status < 500 || Instant::now() > deadline {
            succeed(answer)?;
            in_a_row += 1;
        } else {
            in_a_row = 0;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Sends callgrind a command while the process waits for an event.
async fn control(process: u32, command: &str) -> Result<()> {
    let output = Command::new("vgdb").arg(format!("--pid={process}")).arg(command).output().await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::new(format!("callgrind does not {command}: {why}")))
        }
        Err(error) => Err(Error::new(format!("vgdb, a part of valgrind: {error}"))),
    }
}

fn read(file: &Path) -> Result<u64> {
    let text =
        fs::read_to_string(file).map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
    total(&text).ok_or_else(|| Error::new(format!("{} has no total", file.display())))
}

/// The total of a profile.
fn total(profile: &str) -> Option<u64> {
    let line = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) main\n1 20\n\ntotals: 123456\n"), Some(123_456));
        assert_eq!(total("version: 1\n"), None);
    }
}
