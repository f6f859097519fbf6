//! The docs page as a person uses it: opened in a browser, with a request sent from it.

use std::path::Path;

use crate::harness::{
    Stack,
    browser::{visit_docs, with_browser},
    spec,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_shows_every_operation_and_sends_requests() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let url = format!("{}/docs", stack.api);
    // The target folder can be elsewhere: CARGO_TARGET_DIR.
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs-page.png");
    let visit = with_browser(async |browser| visit_docs(&browser, &url, &token, &screenshot).await).await;
    assert_eq!(visit.title, "LHCMS API documentation");
    assert_eq!(visit.status, "200");
    assert!(visit.body.contains("\"cases\""), "{}", visit.body);
    assert_eq!(visit.console_errors, [""; 0]);
    let mut shown = visit.operations;
    let mut promised: Vec<String> = spec::operations()
        .iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    shown.sort();
    promised.sort();
    assert_eq!(shown, promised);
}
