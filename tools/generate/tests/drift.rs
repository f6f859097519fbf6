//! Every generated file is what `make generate` would write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use generate::{is_current, outputs, root};

#[test]
fn every_generated_file_is_up_to_date() {
    let outputs = outputs(&root()).unwrap();
    let stale = outputs.iter().filter(|output| !is_current(&root(), output));
    let stale: Vec<&str> = stale.map(|output| &output.path[..]).collect();
    assert!(stale.is_empty(), "run `make generate`; these files are out of date: {}", stale.join(", "));
}
