//! The example page of the TypeScript client as a person uses it: a board that follows the lab by push.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use thirtyfour::{prelude::*, stringmatch::StringMatch};

use crate::harness::{
    Stack,
    browser::{self, click, console_errors, first, with_browser},
    spec::root,
};

/// Lets a test see what the page gets on its WebSocket.
const RECORD_MESSAGES: &str = "
    window.messages = [];
    window.WebSocket = class extends WebSocket {
        constructor(url) {
            super(url);
            this.addEventListener('message', ({ data }) => messages.push(JSON.parse(data)));
        }
    };";

/// The folder of the client.
fn client() -> PathBuf {
    root().join("clients/typescript")
}

/// Whether a test cannot run, because a browser or the built client is missing.
fn is_missing(test: &str) -> bool {
    if browser::is_missing(test) {
        return true;
    }
    let is_built = client().join("dist/index.js").is_file();
    if !is_built {
        browser::skip(
            test,
            "install Node.js 20.19 or newer with npm and run `make test`, which builds the client",
        );
    }
    !is_built
}

/// Serves the files of the client. Returns the URL.
async fn serve_client() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(file)).await });
    url
}

async fn file(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let content_type = match path.rsplit('.').next() {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js" | "mjs") => "text/javascript",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match tokio::fs::read(client().join(path)).await {
        Ok(content) => ([(header::CONTENT_TYPE, content_type)], content).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Opens the board, logs in as the admin, and waits until it follows the lab.
async fn open_board(browser: &WebDriver, pages: &str, stack: &Stack) -> WebDriverResult<()> {
    let query = format!("api={}&ums={}", stack.api, stack.ums);
    browser.goto(format!("{pages}/examples/board/index.html?{query}")).await?;
    browser.execute(RECORD_MESSAGES, Vec::new()).await?;
    let page = browser.handle();
    first(page, "#log-in [name=username]").await?.send_keys("admin").await?;
    first(page, "#log-in [name=password]").await?.send_keys("admin123").await?;
    click(page, "#log-in button").await?;
    shown(browser, "#state", "The board follows the lab.").await?;
    message(browser, "one.type === 'subscribed'").await
}

/// Waits until an element has this text.
async fn shown(browser: &WebDriver, css: &str, text: &str) -> WebDriverResult<WebElement> {
    let query = browser.query(By::Css(css)).wait(browser::PATIENCE, browser::INTERVAL);
    query.and_displayed().with_text(StringMatch::new(text).partial()).first().await
}

/// Waits until the page has got a message for which this JavaScript is true.
async fn message(browser: &WebDriver, condition: &str) -> WebDriverResult<()> {
    let find = format!("return messages.some((one) => {condition})");
    let deadline = tokio::time::Instant::now() + browser::PATIENCE;
    while !browser.execute(find.as_str(), Vec::new()).await?.convert::<bool>()? {
        assert!(tokio::time::Instant::now() < deadline, "there is no message with {condition}");
        tokio::time::sleep(browser::INTERVAL).await;
    }
    Ok(())
}

/// Creates a case over HTTP. Returns its id.
async fn create(stack: &Stack, token: &str, patient: &str) -> u64 {
    let case = json!({"procedure_type": "Crown", "patient_name": patient});
    let answer = stack.send(token, "POST", "/api/v1/cases", Some(&case)).await;
    assert_eq!(answer.status, 201);
    answer.json()["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_board_follows_the_lab_by_push_and_sends_files_and_comments() {
    if is_missing("the_example_board_follows_the_lab_by_push_and_sends_files_and_comments") {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let scan = data.path().join("upper jaw.stl");
    std::fs::write(&scan, b"solid jaw".repeat(1_000_000)).unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let pages = serve_client().await;
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("board.png");
    let errors = with_browser(async |browser| {
        open_board(&browser, &pages, &stack).await?;

        let id = create(&stack, &token, "Erika Muster").await;
        let card = format!("article[data-id='{id}']");
        shown(&browser, &format!("#pending {card} p"), "Erika Muster").await?;
        let status = json!({"status": "in_progress"});
        let moved = stack.send(&token, "PATCH", &format!("/api/v1/cases/{id}/status"), Some(&status)).await;
        assert_eq!(moved.status, 200);
        shown(&browser, &format!("#in_progress {card} p"), "Erika Muster").await?;

        click(browser.handle(), &format!("{card} .open")).await?;
        first(browser.handle(), "#file").await?.send_keys(scan.to_str().unwrap()).await?;
        click(browser.handle(), "#upload button").await?;
        shown(&browser, "#upload-state", "The file is sent.").await?;
        shown(&browser, "#files li[data-state=clean]", "upper jaw.stl").await?;

        first(browser.handle(), "#comment textarea").await?.send_keys("Which shade?").await?;
        click(browser.handle(), "#comment button").await?;
        shown(&browser, "#comments li", "Which shade?").await?;
        let answer = json!({"text": "A2, please."});
        let commented =
            stack.send(&token, "POST", &format!("/api/v1/cases/{id}/comments"), Some(&answer)).await;
        assert_eq!(commented.status, 201);
        shown(&browser, "#comments li:nth-child(2)", "A2, please.").await?;

        browser.screenshot(&screenshot).await?;
        // Created, moved, the file completed and scanned, two comments.
        let signal =
            format!("one.changes?.some(({{ case_id, version }}) => case_id === {id} && version === 6)");
        message(&browser, &signal).await?;
        console_errors(&browser).await
    })
    .await;
    assert_eq!(errors, [""; 0]);
    assert_eq!(stack.leaks(), [""; 0]);
}

/// Remembers when the page has shown which version of a case, in milliseconds since 1970.
const RECORD_CARDS: &str = "
    window.shown = {};
    new MutationObserver((records) => records.forEach(({ addedNodes }) => addedNodes.forEach(({ dataset }) => {
        shown[`${dataset.id} ${dataset.version}`] ??= Date.now();
    }))).observe(document.getElementById('columns'), { childList: true, subtree: true });";

/// How many changes are measured, and how long after one the next is made. The client reads the feed twice a second at most.
const CHANGES: u64 = 500;
const PACE: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of five minutes"]
async fn the_time_until_the_board_shows_a_change() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let pages = serve_client().await;
    let mut times = with_browser(async |browser| {
        open_board(&browser, &pages, &stack).await?;
        browser.execute(RECORD_CARDS, Vec::new()).await?;
        let id = create(&stack, &token, "Erika Muster").await;
        let mut made = Vec::new();
        let mut pace = tokio::time::interval(PACE);
        for change in 1..=CHANGES {
            pace.tick().await;
            made.push(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis());
            let notes = json!({"notes": format!("Change {change}")});
            let changed = stack.send(&token, "PUT", &format!("/api/v1/cases/{id}"), Some(&notes)).await;
            assert_eq!(changed.status, 200);
        }
        let last = format!("article[data-id='{id}'][data-version='{}']", CHANGES + 1);
        first(browser.handle(), &last).await?;
        let shown: Value = browser.execute("return shown", Vec::new()).await?.convert()?;
        let shown_at = |version: u64| shown[format!("{id} {version}")].as_u64().map(u128::from);
        // A version that the page has skipped was shown with the next one.
        let first_shown = |change: u64| (change + 1..=CHANGES + 1).find_map(shown_at).unwrap();
        Ok((1..).zip(made).map(|(change, made)| first_shown(change) - made).collect::<Vec<_>>())
    })
    .await;
    times.sort_unstable();
    let [half, most, longest] = [50, 99, 100].map(|percent| times[times.len() * percent / 100 - 1]);
    println!("{CHANGES} changes on the board: p50 {half} ms, p99 {most} ms, longest {longest} ms");
}
