//! The Lambda entry point.

fn main() -> std::process::ExitCode {
    shared::runtime::run(bulk_update_status::handler)
}
