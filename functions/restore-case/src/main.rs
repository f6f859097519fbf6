//! The Lambda entry point.

fn main() -> std::process::ExitCode {
    shared::runtime::run(restore_case::handler)
}
