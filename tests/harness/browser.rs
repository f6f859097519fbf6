//! Pages in a real browser: headless Chromium, driven over WebDriver by its own chromedriver. Debian's
//! packages `chromium` and `chromium-driver` are needed; without them a test is skipped and says so, and in CI it fails.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriverRunError};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// What to do when the browser is not there.
const PACKAGES: &str =
    "install Chromium and its driver (on Debian: apt-get install chromium chromium-driver)";

/// How long to wait for something to appear on the page, and how often to look.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// Chromium without its own traffic, updates and first-run pages. No sandbox, because CI runs as root.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,800",
];

/// Whether there is no browser, so that the test of this name is to be skipped, which is reported.
///
/// # Panics
/// In CI (`CI` is set), where every test has to run.
pub(crate) fn is_missing(test: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let browsers = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    if is_there("chromedriver") && browsers.into_iter().any(is_there) {
        return false;
    }
    skip(test, PACKAGES);
    true
}

/// Reports that a test of this name is skipped, and what to do to run it. The report goes to standard error and to a file that
/// `make test` prints at its end, since the output of a test that passes is not shown.
///
/// # Panics
/// In CI.
pub(crate) fn skip(test: &str, remedy: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!in_ci, "{test} cannot run: {remedy}");
    let report = format!("skipped: {test}; to run it, {remedy}\n");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests.txt");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(report.as_bytes())).unwrap_or_else(|error| panic!("{error}"));
    // Not `eprint!`, which the test harness keeps to itself.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

/// Starts a browser with a profile of its own, lets `visit` use it, and ends it whatever comes of that.
///
/// # Panics
/// When the browser cannot be started (the message names the packages), or `visit` fails or panics.
pub(crate) async fn with_browser<T, Visit>(visit: impl FnOnce(WebDriver) -> Visit) -> T
where
    Visit: Future<Output = WebDriverResult<T>>,
{
    // reqwest, which carries the WebDriver commands, asks for a default provider even without TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
    let (mut driver, port) = start_chromedriver(folder.path()).await;
    let profile = folder.path().join("profile");
    let session = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities(&profile)).await;
    let browser = session.unwrap_or_else(|error| panic!("Chromium did not start: {error}; {PACKAGES}"));
    let result = browser.run_and_quit(visit).await;
    // The browser is gone with its session; an error here would only hide the one above.
    let _ = driver.kill().await;
    match result {
        Ok(value) => value,
        Err(WebDriverRunError::Body(error)) => panic!("{error}"),
        Err(error) => panic!("{error:?}"),
    }
}

/// chromedriver on a port that it chooses, and that port. It and Chromium put all of their files into `folder`.
async fn start_chromedriver(folder: &Path) -> (Child, u16) {
    let child = Command::new("chromedriver")
        .arg("--port=0")
        .envs(["TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, folder)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("chromedriver did not start: {error}; {PACKAGES}"));
    let stdout = child.stdout.take().unwrap_or_else(|| unreachable!("stdout is piped"));
    let mut lines = BufReader::new(stdout).lines();
    let port = tokio::time::timeout(PATIENCE, async {
        while let Ok(Some(line)) = lines.next_line().await {
            // "ChromeDriver was started successfully on port 36581."
            let port = line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.'));
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                return port;
            }
        }
        panic!("chromedriver ended without naming its port");
    });
    let port = port.await.unwrap_or_else(|_| panic!("chromedriver did not name its port in {PATIENCE:?}"));
    (child, port)
}

fn capabilities(profile: &Path) -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    let user_data = format!("--user-data-dir={}", profile.display());
    for flag in FLAGS.into_iter().chain([user_data.as_str()]) {
        capabilities.add_arg(flag).unwrap_or_else(|error| panic!("{flag}: {error}"));
    }
    let logging = capabilities.set_browser_log_level(LoggingPrefsLogLevel::All);
    logging.unwrap_or_else(|error| panic!("console log: {error}"));
    capabilities
}

/// What a visitor of the docs page saw.
#[derive(Debug)]
pub(crate) struct DocsVisit {
    /// The page's title.
    pub(crate) title: String,
    /// The operations shown with the permission that each needs, as "GET /api/v1/cases read".
    pub(crate) operations: Vec<String>,
    /// Whether the first operation is in sight before any scrolling.
    pub(crate) first_is_visible: bool,
    /// The operations shown when the filter has "history check".
    pub(crate) filtered: Vec<String>,
    /// The status that the page showed for the answer to `GET /api/v1/cases`.
    pub(crate) status: String,
    /// The body that it showed.
    pub(crate) body: String,
    /// Errors in the browser's console, violations of the Content-Security-Policy among them.
    pub(crate) console_errors: Vec<String>,
}

/// Opens the docs page at `url`, authorizes with `token`, filters, reloads the page, sends `GET /api/v1/cases` with "Try it
/// out" without authorizing again, and writes a screenshot (PNG) of the answer.
pub(crate) async fn visit_docs(
    browser: &WebDriver,
    url: &str,
    token: &str,
    screenshot: &Path,
) -> WebDriverResult<DocsVisit> {
    browser.goto(url).await?;
    let page = browser.handle();
    first(page, ".opblock").await?;
    let in_sight =
        "return document.querySelector('.opblock').getBoundingClientRect().bottom <= window.innerHeight";
    let first_is_visible = browser.execute(in_sight, Vec::new()).await?.convert()?;
    let operations = shown(browser).await?;

    click(page, ".auth-wrapper .btn.authorize").await?;
    first(page, ".modal-ux input").await?.send_keys(token).await?;
    click(page, ".modal-ux button.authorize").await?;
    click(page, ".modal-ux .btn-done").await?;

    let filter = first(page, ".operation-filter input").await?;
    filter.send_keys("history check").await?;
    let hidden = page.query(By::Css("[data-path='/api/v1/cases']")).wait(PATIENCE, INTERVAL);
    hidden.not_exists().await?;
    let filtered = shown(browser).await?;

    browser.refresh().await?;
    let path = first(page, ".opblock-get [data-path='/api/v1/cases']").await?;
    let list_cases = path.find(By::XPath("ancestor::div[contains(@class, 'opblock-get')]")).await?;
    path.click().await?;
    click(&list_cases, ".try-out__btn").await?;
    click(&list_cases, ".btn.execute").await?;
    let answer = first(&list_cases, ".live-responses-table .response").await?;
    let status = first(&answer, ".response-col_status").await?.text().await?;
    let body = first(&answer, ".highlight-code").await?.text().await?;
    answer.scroll_into_view().await?;
    browser.screenshot(screenshot).await?;

    Ok(DocsVisit {
        title: browser.title().await?,
        operations,
        first_is_visible,
        filtered,
        status,
        body,
        console_errors: console_errors(browser).await?,
    })
}

/// Errors in the browser's console, violations of the Content-Security-Policy among them.
pub(crate) async fn console_errors(browser: &WebDriver) -> WebDriverResult<Vec<String>> {
    let log = browser.browser_log().await?;
    let errors = log.into_iter().filter(|entry| entry.level == "SEVERE");
    Ok(errors.map(|entry| entry.message).collect())
}

/// The operations that the page shows, as "GET /api/v1/cases read".
async fn shown(browser: &WebDriver) -> WebDriverResult<Vec<String>> {
    let mut operations = Vec::new();
    for operation in browser.find_all(By::Css(".opblock-summary-control")).await? {
        let method = operation.find(By::Css(".opblock-summary-method")).await?.text().await?;
        let path = operation.find(By::Css(".opblock-summary-path")).await?.attr("data-path").await?;
        let permission = operation.find(By::Css(".permission")).await?.text().await?;
        operations.push(format!("{method} {} {permission}", path.unwrap_or_default()));
    }
    Ok(operations)
}

/// The first element that is shown, as soon as there is one.
pub(crate) async fn first(within: &impl ElementQueryable, css: &str) -> WebDriverResult<WebElement> {
    within.query(By::Css(css)).wait(PATIENCE, INTERVAL).and_displayed().first().await
}

/// Clicks an element, as soon as there is one.
pub(crate) async fn click(within: &impl ElementQueryable, css: &str) -> WebDriverResult<()> {
    let element = within.query(By::Css(css)).wait(PATIENCE, INTERVAL).and_clickable().first().await?;
    element.click().await
}
