//! Child processes that do not outlive the supervisor.
//!
//! cargo-lambda puts every function into a process group of its own, so a signal to one group does not reach them
//! all. Therefore the supervisor first asks cargo-lambda to stop, which stops its functions, and then, on Linux,
//! ends what is left: it is made the new parent of orphans. If the supervisor itself is killed, the kernel asks
//! cargo-lambda to stop in its place. On other systems only the first of these three holds.

use std::{
    io::{self, Write},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::Notify,
    time::timeout,
};

use crate::{
    Error, Result,
    log::{self, Style},
};

/// The time that a child has to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first argument of `lhcms-local`, if it is to run a program that ends with its parent.
pub const END_WITH_PARENT: &str = "end-with-parent";

/// A running child in a process group of its own.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    sweeps: bool,
    printed: Arc<Notify>,
}

/// Starts `program`. Its output goes to standard error, because standard output belongs to the supervisor. `supervisor` is
/// the `lhcms-local` executable, if this process runs nothing but the stack.
///
/// [`Supervised::printed`] reports lines of the output with one of the `phrases`. `prepare` completes the command: arguments,
/// environment, folder.
///
/// # Errors
/// When it cannot be started.
pub fn start(
    program: &Path,
    supervisor: Option<&Path>,
    phrases: &'static [&'static str],
    prepare: impl FnOnce(&mut Command),
) -> Result<Supervised> {
    let mut command = match supervisor {
        Some(supervisor) if cfg!(target_os = "linux") => {
            orphans::adopt_orphans()?;
            let mut command = Command::new(supervisor);
            command.arg(END_WITH_PARENT).arg(std::process::id().to_string()).arg(program);
            command
        }
        _ => Command::new(program),
    };
    prepare(&mut command);
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::new(format!("{} cannot be started: {error}", program.display())))?;
    let printed = Arc::new(Notify::new());
    if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
        tokio::spawn(pass_on(output, phrases, printed.clone()));
        tokio::spawn(pass_on(errors, phrases, printed.clone()));
    }
    Ok(Supervised { child, sweeps: supervisor.is_some(), printed })
}

/// Writes every line to standard error, readable for people if that is a terminal, and notifies `printed` of a line that contains one of the phrases.
async fn pass_on(output: impl AsyncRead + Unpin, phrases: &[&str], printed: Arc<Notify>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let style = Style::of_standard_error();
    // An error ends the output as well.
    while output.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        let shown = style.and_then(|style| log::readable(&text, style)).map(|text| text + "\n");
        // If standard error is closed, nobody could read an error message either.
        let _ = io::stderr().write_all(shown.as_ref().map_or(&*line, |text| text.as_bytes()));
        if phrases.iter().any(|phrase| text.contains(phrase)) {
            printed.notify_one();
        }
        line.clear();
    }
}

impl Supervised {
    /// Resolves when the child has ended by itself.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        }
    }

    /// Notified when the output contains one of the phrases.
    pub fn printed(&self) -> Arc<Notify> {
        self.printed.clone()
    }

    /// Stops the child and everything that it started.
    pub async fn stop(mut self) {
        // There is no id after the child has ended.
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // An error means that the child has just ended.
            let _ = kill_process_group(group, Signal::INT);
            if timeout(PATIENCE, self.child.wait()).await.is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = self.child.wait().await;
            }
        }
        if self.sweeps {
            orphans::end_orphans(PATIENCE).await;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// Replaces this process by the program in `arguments` (the supervisor's process id, the program, its arguments). The kernel
/// sends SIGTERM to it when the supervisor ends. Returns only an error.
pub fn end_with_parent(arguments: &[String]) -> Error {
    use std::os::unix::process::CommandExt;
    let [parent, program, arguments @ ..] = arguments else {
        return Error::new(format!("{END_WITH_PARENT} needs a process id and a program"));
    };
    if let Err(error) = orphans::end_with(parent) {
        return error;
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    Error::new(format!("{program} cannot be started: {error}"))
}

#[cfg(target_os = "linux")]
mod orphans {
    use std::{fs, time::Duration};

    use rustix::process::{
        Pid, Signal, WaitOptions, getpgrp, getppid, kill_process, kill_process_group, set_child_subreaper,
        set_parent_process_death_signal, waitpid,
    };
    use tokio::time::{Instant, sleep};

    use crate::{Error, Result};

    /// Makes this process the parent of every descendant whose own parent ends.
    pub(super) fn adopt_orphans() -> Result<()> {
        set_child_subreaper(Some(Pid::INIT))
            .map_err(|error| Error::new(format!("orphans cannot be adopted: {error}")))
    }

    /// Has the kernel send SIGTERM to this process when its parent ends.
    pub(super) fn end_with(parent: &str) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Error::new(format!("cannot be tied to the supervisor: {error}")))?;
        // The parent may have ended before this call.
        match getppid().map(|id| id.as_raw_nonzero().to_string()) {
            Some(now) if now == parent => Ok(()),
            _ => Err(Error::new("the supervisor is gone")),
        }
    }

    /// Sends SIGTERM to the adopted processes, and SIGKILL to those that do not end in time.
    pub(super) async fn end_orphans(patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut signal = Signal::TERM;
        loop {
            let orphans = children();
            if orphans.is_empty() || Instant::now() > deadline + patience {
                return;
            }
            if Instant::now() > deadline {
                signal = Signal::KILL;
            }
            for (process, group) in orphans {
                // An error means that the process has ended.
                let _ = match group == getpgrp() {
                    true => kill_process(process, signal),
                    false => kill_process_group(group, signal),
                };
                let _ = waitpid(Some(process), WaitOptions::NOHANG);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The children of this process, with their process groups.
    fn children() -> Vec<(Pid, Pid)> {
        let me = std::process::id().to_string();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let process = Pid::from_raw(name.parse().ok()?)?;
                let stat = fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
                // After the name, which is in parentheses and may contain anything: state, parent, group.
                let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
                let (parent, group) = (fields.next()?, fields.next()?);
                (parent == me).then_some((process, Pid::from_raw(group.parse().ok()?)?))
            })
            .collect()
    }
}

#[cfg(not(target_os = "linux"))]
mod orphans {
    use std::time::Duration;

    use crate::Result;

    pub(super) fn adopt_orphans() -> Result<()> {
        Ok(())
    }

    pub(super) fn end_with(_parent: &str) -> Result<()> {
        Ok(())
    }

    pub(super) async fn end_orphans(_patience: Duration) {}
}
