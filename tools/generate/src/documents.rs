//! The generated part of the documents.

use std::path::Path;

use contract::Contract;

use crate::{Output, Result};

/// Which permission each operation needs, in docs/security.md.
pub(crate) fn operations(root: &Path, contract: &Contract) -> Result<Output> {
    let mut lines = "| operation | method and path | permission |\n|---|---|---|\n".to_owned();
    for operation in contract.operations().iter().filter(|operation| !operation.is_public()) {
        let (id, method, path) = (&operation.id, &operation.method, &operation.path);
        lines += &format!("| {id} | `{method} {path}` | {} |\n", operation.permission);
    }
    Output::part(root, "docs/security.md", "operations", &lines)
}
