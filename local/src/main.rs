//! `lhcms-local`, what `make dev` runs: the development stack until Ctrl-C, SIGTERM or SIGHUP.

use std::{env, io, process::ExitCode};

use local::{Error, Result, config::Settings, process, stack};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let error = match &arguments[..] {
        [first, rest @ ..] if first == process::END_WITH_PARENT => process::end_with_parent(rest),
        _ => match run(&arguments) {
            Ok(code) => return code,
            Err(error) => error,
        },
    };
    report(&error)
}

fn report(error: &Error) -> ExitCode {
    eprintln!("\nlhcms-local: {error}");
    ExitCode::FAILURE
}

// The main thread starts the children: the kernel ties them to the thread that did.
#[tokio::main]
async fn run(arguments: &[String]) -> Result<ExitCode> {
    let signals = signals().map_err(|error| Error::new(format!("signals cannot be awaited: {error}")))?;
    let mut settings = Settings::from_environment(arguments)?;
    settings.supervisor =
        Some(env::current_exe().map_err(|error| Error::new(format!("its own path is unknown: {error}")))?);

    let mut stack = stack::Stack::default();
    let code = tokio::select! {
        error = supervise(&mut stack, &settings) => report(&error),
        () = signals => {
            eprintln!("\nlhcms-local: stopping");
            ExitCode::SUCCESS
        }
    };
    stack.stop().await;
    Ok(code)
}

/// Starts the stack, prints the greeting, and returns when a part has failed.
async fn supervise(stack: &mut stack::Stack, settings: &Settings) -> Error {
    match stack.start(settings).await {
        Ok(()) => {
            println!("{}", stack::greeting(settings, stack.urls()));
            stack.failed().await
        }
        Err(error) => error,
    }
}

/// Resolves at the first signal to stop.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
