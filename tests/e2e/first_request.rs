//! The first request and the tour of the README, over HTTP.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;
use tokio::process::Command;

use crate::harness::{Stack, spec::root};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_the_readme_creates_a_case_that_can_be_read_updated_and_deleted() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let first = json!({
        "patient_name": "John Doe", "procedure_type": "Crown", "status": "in_progress", "notes": "Upper left molar",
    });
    let created = stack.send(&token, "POST", "/api/v1/cases", Some(&first)).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.headers["location"], "/api/v1/cases/1");
    let case = created.json();
    assert_eq!((&case["id"], &case["lab_id"]), (&json!(1), &json!(123)));
    for (name, value) in first.as_object().unwrap() {
        assert_eq!(&case[name], value);
    }
    for path in ["/api/v1/cases/1/", "/api/v1/cases/?limit=5"] {
        let moved = stack.send_once(&token, "GET", path, None).await;
        let expected = path.replace("/?", "?");
        let expected = expected.strip_suffix('/').unwrap_or(&expected);
        assert_eq!((moved.status.as_u16(), &moved.headers["location"]), (308, &expected.parse().unwrap()));
    }
    for slash in ["", "/"] {
        let path = format!("/api/v1/cases/1{slash}");
        let read = stack.send(&token, "GET", &path, None).await;
        assert_eq!((read.status.as_u16(), read.json()["id"].clone()), (200, json!(1)));
        let list = stack.send(&token, "GET", &format!("/api/v1/cases{slash}?limit=5"), None).await;
        assert_eq!((list.status.as_u16(), list.json()["cases"][0]["id"].clone()), (200, json!(1)));
        let notes = json!({"notes": format!("changed at {path}")});
        let updated = stack.send(&token, "PUT", &path, Some(&notes)).await;
        assert_eq!((updated.status.as_u16(), updated.json()["notes"].clone()), (200, notes["notes"].clone()));
        let status = json!({"status": if slash.is_empty() { "on_hold" } else { "in_progress" }, "reason": "impression"});
        let moved =
            stack.send(&token, "PATCH", &format!("/api/v1/cases/1/status{slash}"), Some(&status)).await;
        assert_eq!((moved.status.as_u16(), moved.json()["status"].clone()), (200, status["status"].clone()));
    }
    assert_eq!(stack.send(&token, "POST", "/api/v1/cases/", Some(&first)).await.status, 201);
    assert_eq!(stack.send(&token, "DELETE", "/api/v1/cases/1", None).await.status, 204);
    assert_eq!(stack.send(&token, "DELETE", "/api/v1/cases/2/", None).await.status, 204);
    assert_eq!(stack.send(&token, "GET", "/api/v1/cases/1", None).await.status, 404);

    let other = stack.log_in("northgate").await;
    assert_eq!(stack.send(&other, "GET", "/api/v1/cases/2", None).await.status, 404);
    let unknown = stack.send(&token, "GET", "/api/v1/nothing", None).await;
    assert_eq!((unknown.status.as_u16(), unknown.json()["code"].clone()), (404, json!("not_found")));
    let wrong = stack.send(&token, "DELETE", "/api/v1/cases", None).await;
    assert_eq!((wrong.status.as_u16(), &wrong.headers["allow"]), (405, &"GET, POST".parse().unwrap()));
    let root = stack.send(&token, "GET", "/", None).await;
    assert_eq!((root.status.as_u16(), root.json()["code"].clone()), (404, json!("not_found")));
    assert_eq!(stack.leaks(), [""; 0]);
}

/// The shell commands of the README's first request and tour, in order.
fn commands() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let begin = readme.find("## A first request").unwrap();
    let end = readme.find("All routes, with schemas and examples").unwrap();
    let blocks = readme[begin..end].split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_tour_works() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    // Each request prints its status after its answer, except those whose answer goes into a variable. The ports change.
    let commands = commands()
        .replace("http://localhost:5000", &stack.ums)
        .replace("http://localhost:5001", &stack.api)
        .replace("\ncurl ", "\ncurl -w '\\n%{http_code}\\n' ");
    let mut shell = Command::new("bash");
    let output = shell.arg("-euc").arg(commands).current_dir(data.path()).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let codes: Vec<&str> =
        text.lines().filter(|line| line.len() == 3 && line.parse::<u16>().is_ok()).collect();
    let expected = "201 200 200 200 200 200 409 200 200 200 200 201 200 201 200 200 200 204 200 200 200 200";
    assert_eq!(codes.join(" "), expected, "{text}");
    let csv = std::fs::read_to_string(data.path().join("cases.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4, "the header and three cases: {csv}");
    assert!(text.contains(r#""valid":true,"events":6"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_simultaneous_clients_get_sixty_four_ids() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let body = json!({"procedure_type": "Crown"});
    let answers = join_all((0..64).map(|_| stack.send(&token, "POST", "/api/v1/cases", Some(&body)))).await;
    let ids: BTreeSet<u64> = answers.iter().map(|answer| answer.json()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 64);
}
