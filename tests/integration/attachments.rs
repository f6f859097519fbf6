//! Files of cases: the life of a file, what the store refuses, and who may do what.

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use local::scanner;
use serde_json::{Value, json};
use shared::{
    base::{LabId, time::Timestamp},
    case::{
        ScanOutcome,
        repair::{Mode, Repair},
    },
};

use crate::harness::{
    Reply, Service,
    deliveries::{Receiver, fast},
    service::FILES_BUCKET,
};

const LAB: i64 = 123;
const PATH: &str = "/api/v1/cases/1/attachments";
const STL: &[u8] = b"solid upper jaw";

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn with_case() -> Service {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    service
}

async fn send(service: &Service, user: &str, method: &str, path: &str) -> Reply {
    service.as_user(user, method, path).send().await
}

fn scan_of(content: &[u8]) -> Value {
    json!({
        "file_name": "Roe, upper jaw.stl", "content_type": "model/stl", "size": content.len(), "sha256": sha256(content),
        "kind": "scan",
    })
}

/// Announces a file. Returns the answer.
async fn announce(service: &Service, user: &str, body: Value) -> Value {
    service.as_user(user, "POST", PATH).json(body).send().await.expect(201)
}

fn id(announced: &Value) -> String {
    announced["attachment"]["id"].as_str().unwrap().to_owned()
}

/// The key of a file of case 1 in the store.
fn key(id: &str) -> String {
    format!("lab={LAB}/case=1/{id}")
}

/// Sends a part of an announced file to the store. Returns the status. As in a browser, the content says the length.
async fn put(service: &Service, part: &Value, content: &[u8]) -> u16 {
    let url = part["url"].as_str().unwrap();
    let mut headers = part["headers"].clone();
    headers.as_object_mut().unwrap().remove("content-length");
    service.send_to_store("PUT", url, &headers, content.to_vec()).await.0
}

/// Announces and sends a file. Returns its id.
async fn sent(service: &Service, user: &str, content: &[u8]) -> String {
    let announced = announce(service, user, scan_of(content)).await;
    assert_eq!(put(service, &announced["upload"]["parts"][0], content).await, 200);
    id(&announced)
}

async fn complete(service: &Service, user: &str, id: &str) -> Reply {
    send(service, user, "POST", &format!("{PATH}/{id}/complete")).await
}

/// Announces, sends and completes a file, and delivers the result of its scan. Returns its id.
async fn scanned(service: &Service, user: &str, content: &[u8], result: &str) -> String {
    let id = sent(service, user, content).await;
    complete(service, user, &id).await.expect(200);
    assert_eq!(service.scan_result(&key(&id), result).await, ScanOutcome::Changed);
    id
}

async fn get(service: &Service, user: &str, path: &str) -> Value {
    send(service, user, "GET", path).await.expect(200)
}

async fn file(service: &Service, id: &str) -> Value {
    get(service, "viewer", &format!("{PATH}/{id}")).await
}

async fn verify(service: &Service) {
    let verification = get(service, "viewer", "/api/v1/cases/1/history/verify").await;
    assert_eq!(verification["valid"], true, "{verification}");
    let repair = Repair::new(&service.verification_config(), Mode::DryRun).unwrap();
    let mut report = repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap();
    // Without the function on the streams there is no index of words.
    report.faults.retain(|fault| !format!("{:?}", fault.kind).starts_with("Words"));
    assert_eq!(report.faults, []);
}

#[tokio::test]
async fn a_file_is_announced_sent_completed_scanned_read_and_removed() {
    let service = with_case().await;
    let reply = service.as_user("technician", "POST", PATH).json(scan_of(STL)).send().await;
    let announced = reply.expect(201);
    let id = id(&announced);
    assert_eq!(reply.header("location"), Some(format!("{PATH}/{id}").as_str()));
    let mut expected = json!({
        "id": id, "case_id": 1, "file_name": "Roe, upper jaw.stl", "content_type": "model/stl", "size": 15,
        "sha256": sha256(STL), "kind": "scan", "state": "pending", "uploaded_by": "2",
        "created_at": announced["attachment"]["created_at"], "completed_at": null, "scanned_at": null, "removed": null,
    });
    assert_eq!(announced["attachment"], expected);
    let upload = &announced["upload"];
    let part = &upload["parts"][0];
    let sum: String =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest(&SHA256, STL));
    let upload_expected = json!({
        "method": "PUT", "part_size": 15, "expires_at": upload["expires_at"],
        "parts": [{"number": 1, "size": 15, "is_sent": false, "url": part["url"], "headers": {
            "content-length": "15", "content-type": "model/stl", "if-none-match": "*", "x-amz-checksum-sha256": sum,
        }}],
    });
    assert_eq!(*upload, upload_expected);
    // Neither the key nor the URL has the name, and the announcement is no change of the case.
    assert!(!part["url"].as_str().unwrap().contains("jaw"), "{part}");
    assert_eq!(get(&service, "viewer", "/api/v1/cases/1").await["version"], 1);

    complete(&service, "technician", &id).await.expect_problem(409, "upload_incomplete");
    assert_eq!(put(&service, part, STL).await, 200);
    assert_eq!(put(&service, part, STL).await, 412, "a file is sent once");
    let again = get(&service, "technician", &format!("{PATH}/{id}/upload")).await;
    assert_eq!(again["upload"]["parts"][0]["is_sent"], true);

    let completed = complete(&service, "technician", &id).await.expect(200);
    expected["state"] = json!("scanning");
    expected["completed_at"] = completed["completed_at"].clone();
    assert_eq!(completed, expected);
    assert_eq!(complete(&service, "technician", &id).await.expect(200), expected, "again");
    let case = get(&service, "viewer", "/api/v1/cases/1").await;
    assert_eq!((&case["version"], &case["updated_at"]), (&json!(2), &completed["completed_at"]));
    assert_eq!(file(&service, &id).await, json!({"attachment": expected, "download": null}));
    let upload = send(&service, "technician", "GET", &format!("{PATH}/{id}/upload")).await;
    upload.expect_problem(409, "upload_finished");

    assert_eq!(service.scan_result(&key(&id), "NO_THREATS_FOUND").await, ScanOutcome::Changed);
    let case = get(&service, "viewer", "/api/v1/cases/1").await;
    assert_eq!(case["version"], 3);
    expected["state"] = json!("clean");
    expected["scanned_at"] = case["updated_at"].clone();
    assert_eq!(get(&service, "viewer", PATH).await, json!({"attachments": [expected]}));
    let read = file(&service, &id).await;
    assert_eq!(read["attachment"], expected);
    let url = read["download"]["url"].as_str().unwrap();
    let (status, headers, body) = service.send_to_store("GET", url, &json!({}), Vec::new()).await;
    assert_eq!((status, body), (200, STL.to_vec()));
    assert_eq!(headers["content-type"], "model/stl");
    assert_eq!(
        headers["content-disposition"],
        "attachment; filename=\"Roe, upper jaw.stl\"; filename*=UTF-8''Roe%2C%20upper%20jaw.stl"
    );

    for _ in 0..2 {
        send(&service, "technician", "DELETE", &format!("{PATH}/{id}")).await.expect(204);
    }
    let case = get(&service, "viewer", "/api/v1/cases/1").await;
    expected["removed"] = json!({"at": case["updated_at"], "user_id": "2"});
    assert_eq!(file(&service, &id).await, json!({"attachment": expected, "download": null}));
    complete(&service, "technician", &id).await.expect_problem(409, "attachment_removed");

    let history = get(&service, "viewer", "/api/v1/cases/1/history").await;
    let events: Vec<_> = history["events"].as_array().unwrap().iter().skip(1).collect();
    let found: Vec<_> = events
        .iter()
        .map(|event| {
            (event["action"].as_str().unwrap(), event["user_id"].as_str().unwrap(), &event["changes"])
        })
        .collect();
    let content = |state: &str| {
        json!({
            "id": id, "file_name": "Roe, upper jaw.stl", "content_type": "model/stl", "size": 15, "sha256": sha256(STL),
            "kind": "scan", "state": state,
        })
    };
    let change = |from: Value, to: Value| json!([{"field": "file", "from": from, "to": to}]);
    assert_eq!(
        found,
        [
            ("file_added", "2", &change(Value::Null, content("scanning"))),
            ("file_scanned", "system", &change(content("scanning"), content("clean"))),
            ("file_removed", "2", &change(content("clean"), Value::Null)),
        ]
    );
    verify(&service).await;
}

#[tokio::test]
async fn a_file_that_is_added_scanned_or_removed_is_a_message_without_its_name() {
    let service = Service::start_with_streams().await;
    let receiver = Receiver::start().await;
    service.add_webhook(LAB, &receiver.url(), &[]).await;
    let _deliveries = service.deliver(fast());
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let id = scanned(&service, "member", STL, "NO_THREATS_FOUND").await;
    send(&service, "member", "DELETE", &format!("{PATH}/{id}")).await.expect(204);
    service.process_streams().await;
    let received = receiver.wait_for(4).await;
    let told: Vec<Value> = (received.iter().map(|it| &it.body))
        .map(|body| json!([body["type"], body["data"]["version"]]))
        .collect();
    let expected =
        json!([["case.created", 1], ["case.updated", 2], ["case.updated", 3], ["case.updated", 4]]);
    assert_eq!(json!(told), expected, "the announcement is no change");
    assert!(received.iter().all(|it| !it.body.to_string().contains("jaw")));
}

#[tokio::test]
async fn the_store_refuses_what_was_not_announced() {
    let service = with_case().await;
    let announced = announce(&service, "technician", scan_of(STL)).await;
    let part = &announced["upload"]["parts"][0];
    let other = b"solid lower jaw".to_vec();
    let url = part["url"].as_str().unwrap();
    let headers = |name: &str, value: &str| {
        let mut headers = part["headers"].clone();
        headers[name] = json!(value);
        headers
    };
    let sum_of_other: String =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest(&SHA256, &other));
    for (what, url, headers, body, expected) in [
        ("another file", url.to_owned(), part["headers"].clone(), other.clone(), 400),
        (
            "another SHA-256",
            url.to_owned(),
            headers("x-amz-checksum-sha256", &sum_of_other),
            other.clone(),
            403,
        ),
        ("another type", url.to_owned(), headers("content-type", "text/html"), STL.to_vec(), 403),
        ("another length", url.to_owned(), headers("content-length", "14"), STL[..14].to_vec(), 403),
        ("a second version", url.to_owned(), headers("if-none-match", ""), STL.to_vec(), 403),
        ("another file's key", url.replace("att_", "att_x"), part["headers"].clone(), STL.to_vec(), 403),
        (
            "another lab's key",
            url.replace("lab%3D123", "lab%3D456"),
            part["headers"].clone(),
            STL.to_vec(),
            403,
        ),
        (
            "a longer time",
            url.replace("Expires=3600", "Expires=36000"),
            part["headers"].clone(),
            STL.to_vec(),
            403,
        ),
    ] {
        let (status, ..) = service.send_to_store("PUT", &url, &headers, body).await;
        assert_eq!(status, expected, "{what}");
    }
    complete(&service, "technician", &id(&announced)).await.expect_problem(409, "upload_incomplete");
    assert_eq!(put(&service, part, STL).await, 200);
    // Somebody changes the object behind the service's back.
    std::fs::write(service.object(&key(&id(&announced))), b"other").unwrap();
    complete(&service, "technician", &id(&announced)).await.expect_problem(409, "upload_mismatch");
    assert_eq!(get(&service, "viewer", "/api/v1/cases/1").await["version"], 1);
}

#[tokio::test]
async fn a_download_is_of_one_file_and_for_five_minutes() {
    let service = with_case().await;
    let id = scanned(&service, "member", STL, "NO_THREATS_FOUND").await;
    let other = sent(&service, "member", b"solid lower jaw").await;
    let url = file(&service, &id).await["download"]["url"].as_str().unwrap().to_owned();
    assert!(url.contains("X-Amz-Expires=300"), "{url}");
    let unsigned = url.split('?').next().unwrap().to_owned();
    for altered in [
        url.replace(&id, &other),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace("lab%3D123", "lab%3D456"),
        url.replace("attachment", "inline"),
        unsigned,
    ] {
        let (status, ..) = service.send_to_store("GET", &altered, &json!({}), Vec::new()).await;
        assert_eq!(status, 403, "{altered}");
    }
    let (status, ..) = service.send_to_store("GET", &url, &json!({}), Vec::new()).await;
    assert_eq!(status, 200);
    // Each URL has a record.
    let before = service.access_records(LAB).await.len();
    file(&service, &id).await;
    let records = service.access_records(LAB).await;
    assert_eq!(records.len(), before + 1);
    let is_download =
        |record: &&Value| record["action"] == "getAttachment" && record["case_ids"] == json!([1]);
    assert_eq!(records.iter().filter(is_download).count(), 2);
}

#[tokio::test]
async fn an_announcement_must_be_complete_and_consistent() {
    let service = with_case().await;
    let large = 104_857_601_u64;
    let sums = |count: usize| vec![sha256(b""); count];
    for (changes, expected) in [
        (json!({"file_name": "jaw.exe"}), vec!["/file_name"]),
        (json!({"file_name": "a/jaw.stl"}), vec!["/file_name"]),
        (json!({"file_name": "jaw.stl\u{202e}"}), vec!["/file_name"]),
        (json!({"content_type": "text/html"}), vec!["/content_type"]),
        (json!({"size": 0}), vec!["/size"]),
        (json!({"size": 5_368_709_121_u64}), vec!["/size"]),
        (json!({"size": 1.5, "kind": "x"}), vec!["/size", "/kind"]),
        (json!({"sha256": sha256(b"").to_uppercase()}), vec!["/sha256"]),
        (json!({"size": large}), vec!["/part_sha256"]),
        (json!({"size": large, "part_sha256": sums(3)}), vec!["/part_sha256"]),
        (json!({"size": 15, "part_sha256": sums(2)}), vec!["/part_sha256"]),
        (json!({"state": "clean"}), vec!["/state"]),
    ] {
        let mut body = scan_of(STL);
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let reply = service.as_user("admin", "POST", PATH).json(body).send().await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), expected, "{changes}");
    }
    let empty = service.as_user("admin", "POST", PATH).json(json!({})).send().await;
    empty.expect_problem(422, "validation_failed");
    assert_eq!(empty.pointers(), ["/file_name", "/content_type", "/size", "/sha256", "/kind"]);
    assert_eq!(get(&service, "viewer", PATH).await, json!({"attachments": []}));
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts_and_resumed() {
    let service = with_case().await;
    let content: Vec<u8> = (0..104_857_700_u32).map(|number| number.to_le_bytes()[0] ^ 7).collect();
    let parts: Vec<&[u8]> = content.chunks(67_108_864).collect();
    let mut body = scan_of(&content);
    body["part_sha256"] = parts.iter().map(|part| sha256(part)).collect();
    let announced = announce(&service, "member", body).await;
    let id = id(&announced);
    let upload = &announced["upload"];
    assert_eq!(upload["part_size"], 67_108_864);
    let sizes: Vec<_> = upload["parts"].as_array().unwrap().iter().map(|part| &part["size"]).collect();
    assert_eq!(sizes, [&json!(67_108_864), &json!(37_748_836)]);

    // The second part is sent, the first one is cut off.
    assert_eq!(put(&service, &upload["parts"][1], parts[1]).await, 200);
    assert_eq!(put(&service, &upload["parts"][0], parts[1]).await, 403, "another length");
    let mut damaged = parts[0].to_vec();
    damaged[9] ^= 1;
    assert_eq!(put(&service, &upload["parts"][0], &damaged).await, 400, "another content");
    complete(&service, "member", &id).await.expect_problem(409, "upload_incomplete");
    let resumed = get(&service, "member", &format!("{PATH}/{id}/upload")).await;
    let sent: Vec<_> =
        resumed["upload"]["parts"].as_array().unwrap().iter().map(|part| &part["is_sent"]).collect();
    assert_eq!(sent, [&json!(false), &json!(true)]);
    assert_eq!(put(&service, &resumed["upload"]["parts"][0], parts[0]).await, 200);
    assert_eq!(complete(&service, "member", &id).await.expect(200)["state"], "scanning");
    assert_eq!(service.scan_result(&key(&id), "NO_THREATS_FOUND").await, ScanOutcome::Changed);
    let url = file(&service, &id).await["download"]["url"].as_str().unwrap().to_owned();
    let (status, _, body) = service.send_to_store("GET", &url, &json!({}), Vec::new()).await;
    assert!(status == 200 && body == content);
}

#[tokio::test]
async fn results_of_scans_count_in_any_order_and_any_number() {
    let service = with_case().await;
    let state = async |id: &str| file(&service, id).await["attachment"]["state"].as_str().unwrap().to_owned();
    // A result can come before the file is completed.
    let early = sent(&service, "member", STL).await;
    for _ in 0..2 {
        service.scan_result(&key(&early), "NO_THREATS_FOUND").await;
    }
    assert_eq!(state(&early).await, "pending");
    assert_eq!(complete(&service, "member", &early).await.expect(200)["state"], "clean");

    let id = sent(&service, "member", b"solid lower jaw").await;
    complete(&service, "member", &id).await.expect(200);
    for (result, outcome, expected) in [
        ("FAILED", ScanOutcome::Changed, "rejected"),
        ("FAILED", ScanOutcome::Ignored, "rejected"),
        ("NO_THREATS_FOUND", ScanOutcome::Changed, "clean"),
        ("UNSUPPORTED", ScanOutcome::Ignored, "clean"),
        ("NO_THREATS_FOUND", ScanOutcome::Ignored, "clean"),
        ("THREATS_FOUND", ScanOutcome::Changed, "infected"),
        ("NO_THREATS_FOUND", ScanOutcome::Ignored, "infected"),
    ] {
        assert_eq!(service.scan_result(&key(&id), result).await, outcome, "{result}");
        assert_eq!(state(&id).await, expected, "{result}");
    }
    // Results of other versions, buckets and keys change nothing.
    let other = sent(&service, "member", b"solid bite").await;
    complete(&service, "member", &other).await.expect(200);
    for (bucket, key, version) in [
        (FILES_BUCKET, key(&other), Some("another")),
        ("lhcms-other-files", key(&other), None),
        (FILES_BUCKET, key(&other).replace("case=1", "case=2"), None),
        (FILES_BUCKET, key(&other).replace("lab=123", "lab=456"), None),
        (FILES_BUCKET, "malware-protection-resource-validation-object".to_owned(), None),
    ] {
        let event = scanner::event(bucket, &key, version, "NO_THREATS_FOUND");
        assert_eq!(service.deliver_scan(event).await, ScanOutcome::Ignored, "{bucket} {key} {version:?}");
    }
    assert_eq!(state(&other).await, "scanning");
    verify(&service).await;
}

#[tokio::test]
async fn only_a_clean_file_can_be_downloaded() {
    let service = with_case().await;
    for (result, state) in [
        ("THREATS_FOUND", "infected"),
        ("UNSUPPORTED", "rejected"),
        ("ACCESS_DENIED", "rejected"),
        ("FAILED", "rejected"),
    ] {
        let id = scanned(&service, "member", scanner::eicar().as_bytes(), result).await;
        for user in ["viewer", "member", "admin"] {
            let read = get(&service, user, &format!("{PATH}/{id}")).await;
            assert_eq!(
                (&read["attachment"]["state"], &read["download"]),
                (&json!(state), &Value::Null),
                "{result}"
            );
        }
    }
}

#[tokio::test]
async fn a_scan_that_ends_after_its_case_was_deleted_counts_when_it_is_restored() {
    let service = with_case().await;
    let id = sent(&service, "admin", STL).await;
    complete(&service, "admin", &id).await.expect(200);
    send(&service, "admin", "DELETE", "/api/v1/cases/1").await.expect(204);
    send(&service, "admin", "GET", &format!("{PATH}/{id}")).await.expect_problem(404, "case_not_found");
    assert_eq!(service.scan_result(&key(&id), "NO_THREATS_FOUND").await, ScanOutcome::Changed);
    send(&service, "admin", "POST", "/api/v1/cases/1/restore").await.expect(200);
    let read = file(&service, &id).await;
    assert!(read["attachment"]["state"] == "clean" && read["download"]["url"].is_string());
    verify(&service).await;
}

#[tokio::test]
async fn technicians_and_others_who_work_on_a_case_add_files_and_viewers_read_them() {
    let service = with_case().await;
    for user in ["technician", "member", "admin"] {
        announce(&service, user, scan_of(STL)).await;
    }
    let refused = service.as_user("viewer", "POST", PATH).json(scan_of(STL)).send().await;
    refused.expect_problem(403, "forbidden");
    let id = scanned(&service, "technician", STL, "NO_THREATS_FOUND").await;
    for method in ["DELETE", "GET"] {
        let path = if method == "GET" { format!("{PATH}/{id}/upload") } else { format!("{PATH}/{id}") };
        send(&service, "viewer", method, &path).await.expect_problem(403, "forbidden");
    }
    assert!(file(&service, &id).await["download"]["url"].is_string());
    let problem =
        send(&service, "member", "DELETE", &format!("{PATH}/{id}")).await.expect_problem(403, "forbidden");
    assert_eq!(
        problem["detail"],
        "Only the user who announced it, or a user with the permission delete, can remove a file."
    );
    send(&service, "admin", "DELETE", &format!("{PATH}/{id}")).await.expect(204);
}

#[tokio::test]
async fn another_lab_cannot_reach_a_file() {
    let service = with_case().await;
    service.create("northgate", json!({"procedure_type": "Bridge"})).await;
    let id = scanned(&service, "member", STL, "NO_THREATS_FOUND").await;
    for (method, path) in [
        ("GET", format!("{PATH}/{id}")),
        ("DELETE", format!("{PATH}/{id}")),
        ("GET", format!("{PATH}/{id}/upload")),
        ("POST", format!("{PATH}/{id}/complete")),
        ("GET", format!("{PATH}/att_0000")),
    ] {
        send(&service, "northgate", method, &path).await.expect_problem(404, "attachment_not_found");
    }
    assert_eq!(get(&service, "northgate", PATH).await, json!({"attachments": []}));
}

#[tokio::test]
async fn the_quota_of_a_lab_and_the_limit_of_a_case_hold_for_simultaneous_requests() {
    let service = Service::start_with(&[("FILES_QUOTA_BYTES", "60")]).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let body = scan_of(STL);
    let calls = (0..8).map(|_| service.as_user("admin", "POST", PATH).json(body.clone()).send());
    let replies = join_all(calls).await;
    let announced = replies.iter().filter(|reply| reply.status == 201).count();
    // A request whose time is over gets a conflict; nobody gets more than the quota.
    assert!((1..=4).contains(&announced), "{announced}");
    for _ in announced..4 {
        announce(&service, "admin", body.clone()).await;
    }
    let refused = service.as_user("admin", "POST", PATH).json(body.clone()).send().await;
    refused.expect_problem(409, "storage_quota_exceeded");
    assert_eq!(service.items(LAB).await["STORAGE"]["file_bytes"], 60);

    let service = with_case().await;
    for number in 0..199 {
        service.put_file(LAB, 1, &format!("att_{number:016}"), "clean", "scan.stl").await;
    }
    announce(&service, "admin", body.clone()).await;
    let refused = service.as_user("admin", "POST", PATH).json(body).send().await;
    refused.expect_problem(409, "file_limit_reached");
    assert_eq!(get(&service, "viewer", PATH).await["attachments"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn a_file_that_is_not_completed_or_is_cancelled_disappears() {
    let service = Service::start_with_streams().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let kept = sent(&service, "admin", b"solid bite").await;
    complete(&service, "admin", &kept).await.expect(200);
    let late = sent(&service, "admin", STL).await;
    let cancelled = sent(&service, "admin", b"solid lower jaw").await;
    assert_eq!(service.items(LAB).await["STORAGE"]["file_bytes"], 10 + 15 + 15);
    send(&service, "admin", "DELETE", &format!("{PATH}/{cancelled}")).await.expect(204);
    complete(&service, "admin", &cancelled).await.expect_problem(409, "attachment_removed");
    let upload = |id: &str| format!("UPLOAD#0000000001#{id}");
    // The requests that were signed before can be used for another hour.
    let ends_at = service.items(LAB).await[&upload(&cancelled)]["expires_at"].as_i64().unwrap();
    assert!(ends_at - Timestamp::now().epoch_seconds() > 3500);
    for id in [&late, &cancelled] {
        service.change_number(LAB, &upload(id), "expires_at", 1_000_000_000).await;
    }
    send(&service, "admin", "GET", &format!("{PATH}/{late}/upload"))
        .await
        .expect_problem(404, "attachment_not_found");
    let mut expired = 0;
    while expired < 2 {
        expired += service.expire_items().await;
    }
    service.process_streams().await;
    service.deliver_again(10).await;
    let left = get(&service, "viewer", PATH).await;
    let ids: Vec<_> = left["attachments"].as_array().unwrap().iter().map(|file| &file["id"]).collect();
    assert_eq!(ids, [&json!(kept)]);
    assert!(service.object(&key(&kept)).exists());
    assert!(!service.object(&key(&late)).exists() && !service.object(&key(&cancelled)).exists());
    assert_eq!(service.items(LAB).await["STORAGE"]["file_bytes"], 10, "also if the changes come twice");
    assert_eq!(get(&service, "viewer", "/api/v1/cases/1").await["version"], 2, "no change of the case");
}

#[tokio::test]
async fn the_files_of_a_case_end_with_it() {
    let service = Service::start_with_streams_tuned(|config| config.retention_days = 0).await;
    for _ in 0..2 {
        service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    }
    let id = scanned(&service, "admin", STL, "NO_THREATS_FOUND").await;
    let removed = scanned(&service, "admin", b"solid lower jaw", "NO_THREATS_FOUND").await;
    send(&service, "admin", "DELETE", &format!("{PATH}/{removed}")).await.expect(204);
    assert!(service.object(&key(&removed)).exists(), "it is kept as long as its case");
    send(&service, "admin", "DELETE", "/api/v1/cases/1").await.expect(204);
    service.process_streams().await;
    assert_eq!(service.expire_items().await, 1);
    // The store fails once, and the disposal is completed when the change comes again.
    service.s3.rule(|path, _| {
        if path.contains("files") { crate::harness::Fault::refused() } else { crate::harness::Fault::Pass }
    });
    let (_, report) = service.process_next_batch().await.unwrap();
    assert_eq!(report.batch_item_failures.len(), 1);
    assert!(!service.items(LAB).await.contains_key("TOMBSTONE#0000000001"));
    service.s3.heal();
    service.process_streams().await;
    let items = service.items(LAB).await;
    assert!(items.contains_key("TOMBSTONE#0000000001"));
    assert!(!items.keys().any(|sk| sk.starts_with("FILE#")));
    assert_eq!(items["STORAGE"]["file_bytes"], 0);
    assert!(!service.object(&key(&id)).exists() && !service.object(&key(&removed)).exists());
}

#[tokio::test]
async fn the_check_of_a_labs_data_finds_changed_files_and_lost_objects() {
    let service = with_case().await;
    let id = scanned(&service, "member", STL, "NO_THREATS_FOUND").await;
    let infected = scanned(&service, "member", b"solid lower jaw", "THREATS_FOUND").await;
    announce(&service, "member", scan_of(STL)).await;
    verify(&service).await;
    service.change_item(LAB, &format!("FILE#0000000001#{infected}"), json!({"state": "clean"})).await;
    service.change_number(LAB, "STORAGE", "file_bytes", 7).await;
    std::fs::remove_file(service.object(&key(&id))).unwrap();
    let mut found = Vec::new();
    for mode in [Mode::DryRun, Mode::Write] {
        let repair = Repair::new(&service.verification_config(), mode).unwrap();
        let mut report = repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap();
        report.faults.retain(|fault| !format!("{:?}", fault.kind).starts_with("Words"));
        found = report.faults;
        assert_eq!(found.len(), 3, "{found:?}");
    }
    let kinds: Vec<String> =
        found.iter().map(|fault| format!("{:?} {}", fault.kind, fault.is_mended)).collect();
    assert_eq!(kinds, ["Attachment false", "FileMissing false", "StorageCount true"]);
    assert_eq!(service.items(LAB).await["STORAGE"]["file_bytes"], 15 + 15 + 15);
}

#[tokio::test]
async fn a_comment_names_files_of_its_case() {
    let service = with_case().await;
    let id = scanned(&service, "member", STL, "NO_THREATS_FOUND").await;
    let removed = scanned(&service, "member", b"solid lower jaw", "NO_THREATS_FOUND").await;
    send(&service, "member", "DELETE", &format!("{PATH}/{removed}")).await.expect(204);
    let comment = async |attachments: Value| {
        let body = json!({"text": "See the scan", "attachments": attachments});
        service.as_user("viewer", "POST", "/api/v1/cases/1/comments").json(body).send().await
    };
    assert_eq!(comment(json!([id])).await.expect(201)["attachments"], json!([id]));
    for attachments in [
        json!([id, removed]),
        json!(["att_0000000000000000"]),
        json!([id, id]),
        json!(["x"]),
        json!(vec![id.clone(); 21]),
    ] {
        let reply = comment(attachments.clone()).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), ["/attachments"], "{attachments}");
    }
    send(&service, "viewer", "DELETE", "/api/v1/cases/1/comments/1").await.expect(204);
    let page = get(&service, "viewer", "/api/v1/cases/1/comments").await;
    assert_eq!(page["comments"][0]["attachments"], json!([]));
    verify(&service).await;
}
