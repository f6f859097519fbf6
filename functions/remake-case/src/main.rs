//! The Lambda entry point.

fn main() -> std::process::ExitCode {
    shared::runtime::run(remake_case::handler)
}
