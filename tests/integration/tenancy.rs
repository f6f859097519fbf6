//! Tenancy: every request works in one lab of its caller, whatever the request says.

use serde_json::{Value, json};

use crate::harness::{Service, spec};

/// Each operation on a single case, with a valid body.
const SINGLE_CASE: [(&str, &str, Option<&str>); 4] = [
    ("GET", "/api/v1/cases/1", None),
    ("PUT", "/api/v1/cases/1", Some(r#"{"notes": "mine now"}"#)),
    ("PATCH", "/api/v1/cases/1/status", Some(r#"{"status": "completed"}"#)),
    ("DELETE", "/api/v1/cases/1", None),
];

#[tokio::test]
async fn a_case_of_another_lab_is_not_found_on_every_route() {
    let service = Service::start().await;
    service.create("northgate", json!({"procedure_type": "Crown", "patient_name": "Nora North"})).await;
    let before = service.items(456).await;
    for (method, path, body) in SINGLE_CASE {
        let call = service.as_user("admin", method, path);
        let call = match body {
            Some(body) => call.json(serde_json::from_str(body).unwrap()),
            None => call,
        };
        let reply = call.send().await;
        reply.expect_problem(404, "case_not_found");
        assert!(!String::from_utf8_lossy(&reply.bytes).contains("North"));
    }
    let list = service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    assert_eq!(list["cases"], json!([]));
    assert_eq!(service.items(456).await, before);
    assert_eq!(service.items(123).await.len(), 0);
}

#[tokio::test]
async fn naming_another_lab_is_forbidden_on_every_route_that_works_in_a_lab() {
    let service = Service::start().await;
    for operation in spec::operations().iter().filter(|operation| !operation.is_public()) {
        let path = operation.example_path();
        let method = operation.method;
        for call in [
            service.as_user("admin", method, &path).lab(456),
            service.as_user("admin", method, &format!("{path}?lab_id=456")),
        ] {
            let call = if method == "GET" || method == "DELETE" { call } else { call.json(json!({})) };
            call.send().await.expect_problem(403, "lab_forbidden");
        }
    }
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
}

#[tokio::test]
async fn a_member_of_two_labs_chooses_one_per_request() {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Crown"});
    let reply = service.as_user("both", "POST", "/api/v1/cases").json(body.clone()).send().await;
    let problem = reply.expect_problem(400, "lab_required");
    assert_eq!(
        problem["labs"],
        json!([{"lab_id": 123, "name": "Riverside Dental Lab"}, {"lab_id": 456, "name": "Northgate Dental Lab"}])
    );
    let call = service.as_user("both", "POST", "/api/v1/cases").lab(456).json(body.clone());
    assert_eq!(call.send().await.expect(201)["lab_id"], 456);
    let call = service.as_user("both", "POST", "/api/v1/cases?lab_id=123").json(body);
    assert_eq!(call.send().await.expect(201)["lab_id"], 123);
    let call = service.as_user("both", "GET", "/api/v1/cases?lab_id=123").lab(456);
    call.send().await.expect_problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_lab_in_the_body_does_not_choose_the_lab() {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Crown", "lab_id": 456});
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(body).send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/lab_id"]);
}

#[tokio::test]
async fn an_inactive_membership_or_lab_gives_no_access() {
    for broken in [false, true] {
        let mut service = Service::start().await;
        if broken {
            service.ums.update(|directory| {
                directory.memberships_route = local::ums::MembershipsRoute::PublishedDefect
            });
        }
        service.ums.update(|directory| directory.membership_mut(3, 123).unwrap().is_active = false);
        service.as_user("member", "GET", "/api/v1/cases").send().await.expect_problem(403, "lab_forbidden");
        service
            .as_user("member", "GET", "/api/v1/cases")
            .lab(123)
            .send()
            .await
            .expect_problem(403, "lab_forbidden");
        service.ums.update(|directory| directory.membership_mut(3, 123).unwrap().is_active = true);
        service.restart_functions();
        service.as_user("member", "GET", "/api/v1/cases").send().await.expect(200);
        service.ums.update(|directory| directory.lab_mut(123).unwrap().is_active = false);
        service.restart_functions();
        service.as_user("member", "GET", "/api/v1/cases").send().await.expect_problem(403, "lab_forbidden");
    }
}

#[tokio::test]
async fn a_system_administrator_is_not_a_member_of_any_lab() {
    for broken in [false, true] {
        let service = Service::start().await;
        if broken {
            service.ums.update(|directory| {
                directory.memberships_route = local::ums::MembershipsRoute::PublishedDefect
            });
        }
        service
            .as_user("sysadmin", "GET", "/api/v1/cases")
            .send()
            .await
            .expect_problem(403, "break_glass_required");
        service
            .as_user("sysadmin", "GET", "/api/v1/cases")
            .lab(123)
            .send()
            .await
            .expect_problem(403, "break_glass_required");
    }
}

#[tokio::test]
async fn an_id_that_is_not_a_number_is_not_found() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for id in [
        "0",
        "01",
        "-1",
        "1.0",
        "10000000000",
        "1%20",
        "COUNTER",
        "CASE%230000000001",
        "99999999999999999999999",
    ] {
        let reply = service.as_user("admin", "GET", &format!("/api/v1/cases/{id}")).send().await;
        reply.expect_problem(404, "case_not_found");
    }
}

#[tokio::test]
async fn a_doctor_is_visible_only_to_labs_with_a_relation() {
    let service = Service::start().await;
    let doctor =
        service.as_user("viewer", "GET", "/api/v1/cases/doctor-info/DOC001").send().await.expect(200);
    assert_eq!((&doctor["doctor_id"], &doctor["first_name"]), (&json!("DOC001"), &json!("Ada")));
    assert_eq!(
        doctor.get("lab_relations"),
        None::<&Value>,
        "the response does not reveal a doctor's other labs"
    );
    for id in ["doctor_north", "nobody"] {
        let path = format!("/api/v1/cases/doctor-info/{id}");
        service.as_user("viewer", "GET", &path).send().await.expect_problem(404, "doctor_not_found");
    }
    let reply = service.as_user("viewer", "GET", "/api/v1/cases/doctor-info/X%3Fy=1").send().await;
    reply.expect_problem(400, "invalid_parameter");
    assert_eq!(reply.pointers(), ["/path/doctor_id"]);
}
