//! The Lambda entry point.

fn main() -> std::process::ExitCode {
    shared::runtime::run(create_case::handler)
}
