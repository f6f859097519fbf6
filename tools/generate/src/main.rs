//! `make generate`: brings every generated file up to date. With `--check` it only names those that are not.

use std::{env, path::Path, process::ExitCode};

use generate::{is_current, outputs, root, write};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: generate [--check]");
            return ExitCode::FAILURE;
        }
    };
    match run(&root(), check) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, check: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut code = ExitCode::SUCCESS;
    for output in outputs(root)? {
        if is_current(root, &output) {
            continue;
        }
        if check {
            println!("{} is out of date: run `make generate`", output.path);
            code = ExitCode::FAILURE;
        } else {
            write(root, &output)?;
            println!("{}", output.path);
        }
    }
    Ok(code)
}
