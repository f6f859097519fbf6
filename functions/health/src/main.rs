//! The Lambda entry point.

fn main() -> std::process::ExitCode {
    shared::runtime::run_probe(health::handler)
}
