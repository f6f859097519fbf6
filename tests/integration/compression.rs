//! Large responses are compressed for clients that accept it, and say the same as uncompressed ones.

use serde_json::json;

use crate::harness::{Service, spec::SPEC};

/// The most bytes that a list of a hundred cases may have on the wire.
const MOST: usize = 6_000;

#[tokio::test]
async fn a_list_of_a_hundred_cases_is_sent_in_six_thousand_bytes() {
    let service = Service::start().await;
    let example = SPEC["components"]["examples"]["NewCrown"]["value"].clone();
    for number in 0..100 {
        let mut case = example.clone();
        case["patient_name"] = json!(format!("Patient {number}"));
        service.create("admin", case).await;
    }
    let list = || service.as_user("viewer", "GET", "/api/v1/cases?limit=100");
    let plain = list().send().await;
    let compressed = list().header("accept-encoding", "br, gzip;q=0.9").send().await;
    assert_eq!(plain.expect(200)["cases"].as_array().unwrap().len(), 100);
    assert_eq!(
        (plain.header("content-encoding"), compressed.header("content-encoding")),
        (None, Some("gzip"))
    );
    assert_eq!(compressed.bytes, plain.bytes);
    assert!(compressed.sent_bytes <= MOST, "{} of {} bytes", compressed.sent_bytes, plain.sent_bytes);
    for reply in [plain, compressed] {
        let vary: Vec<_> =
            reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(vary.contains(&"Accept-Encoding"), "{vary:?}");
    }
}

#[tokio::test]
async fn short_responses_and_those_of_head_have_no_compressed_body() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let gzip = |method, path| service.as_user("viewer", method, path).header("accept-encoding", "gzip");
    let problem = gzip("GET", "/api/v1/cases/2").send().await;
    problem.expect_problem(404, "case_not_found");
    assert_eq!(problem.header("content-encoding"), None);
    let head = service.request("HEAD", "/health").header("accept-encoding", "gzip").send().await;
    assert_eq!((head.status, head.sent_bytes, head.header("content-encoding")), (200, 0, None));
}
