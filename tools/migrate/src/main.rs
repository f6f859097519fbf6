//! `make migrate`: brings the items of an earlier release up to date.

use std::{env, process::ExitCode};

use migrate::{Options, Progress, run};
use shared::{
    config::{Env, TableConfig},
    migration::Mode,
};

const USAGE: &str = "usage: migrate [--dry-run] [--units PER_SECOND] [--segments COUNT] [--start-over]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("migrate: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&options, |progress| eprintln!("migrate: {progress}")).await {
        Ok(Progress { counts, .. }) => {
            let verb = if options.mode == Mode::DryRun { "would be" } else { "were" };
            println!("{} items of {} {verb} checked:", counts.items, options.table.name);
            for (count, what) in [
                (counts.cases, "cases, live and deleted"),
                (counts.keys, "cases got keys of indexes"),
                (counts.words_added, "words added to the index of words"),
                (counts.words_removed, "words removed from it"),
                (counts.labs, "labs added to the index of labs"),
                (counts.changed_meanwhile, "cases were changed by requests meanwhile"),
                (counts.unreadable, "cases cannot be read: look at them"),
            ] {
                println!("{count:>10} {what}");
            }
            if counts.unreadable > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("migrate: {error}\nRun it again: it goes on where it stopped.");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let table = TableConfig::alone(Env::process()).map_err(|error| error.to_string())?;
    let mut options = Options::new(table);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        let number = |text: String| text.parse::<u32>().ok().filter(|number| *number > 0);
        match argument.as_str() {
            "--dry-run" => options.mode = Mode::DryRun,
            "--start-over" => options.starts_over = true,
            "--units" => {
                options.units_per_second = Some(number(value()?).ok_or("--units must be a number from 1")?)
            }
            "--segments" => {
                options.segments = number(value()?).ok_or("--segments must be a number from 1")?
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}
