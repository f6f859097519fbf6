//! Lead times: a case without a due date gets the earliest one, and an earlier one is accepted with a warning.

use serde_json::{Value, json};
use shared::base::{calendar::Calendar, time::Timestamp};

use crate::harness::Service;

/// The day that is this number of business days after the day on which the case was created.
fn after(case: &Value, days: u32) -> Value {
    let created: Timestamp = serde_json::from_value(case["created_at"].clone()).unwrap();
    json!(Calendar::default().after(created.date(), days))
}

#[tokio::test]
async fn a_case_without_a_due_date_gets_the_earliest_that_its_lead_time_allows() {
    let service = Service::start().await;
    for (body, days) in [
        (json!({"procedure_type": "Crown"}), 5),
        (json!({"procedure_type": "Bridge"}), 7),
        (json!({"procedure_type": "Inlay"}), 3),
        (json!({"procedure_type": "Onlay"}), 3),
        (json!({"procedure_type": "Veneer"}), 7),
        (json!({"procedure_type": "Implant Crown"}), 10),
        (json!({"procedure_type": "Partial Denture"}), 14),
        (json!({"procedure_type": "Denture"}), 21),
        (json!({"procedure_type": "Night Guard"}), 5),
        (json!({"case_type": "fixed_prosthetic"}), 5),
        (json!({"procedure_type": "Denture", "rush_order": true}), 10),
        (json!({"procedure_type": "Inlay", "rush_order": true}), 1),
        (json!({"procedure_type": "Crown", "due_date": null}), 5),
    ] {
        let case = service.create("admin", body.clone()).await;
        let expected = after(&case, days);
        assert_eq!((&case["due_date"], &case["earliest_due_date"]), (&expected, &expected), "{body}");
        assert_eq!(case["warnings"], json!([]));
    }
}

#[tokio::test]
async fn the_catalogue_lists_the_lead_times_that_cases_get() {
    let service = Service::start().await;
    let types = service.request("GET", "/api/v1/cases/types").send().await.expect(200);
    for case_type in types["case_types"].as_array().unwrap() {
        let procedures = case_type["procedures"].as_array().unwrap();
        let names: Value = procedures.iter().map(|procedure| procedure["name"].clone()).collect();
        assert_eq!(names, case_type["procedure_types"]);
        for procedure in procedures {
            for (rush_order, days) in [(false, &procedure["lead_days"]), (true, &procedure["rush_lead_days"])]
            {
                let body = json!({
                    "case_type": case_type["type"], "procedure_type": procedure["name"], "rush_order": rush_order,
                });
                let case = service.create("admin", body.clone()).await;
                let expected = after(&case, days.as_u64().unwrap().try_into().unwrap());
                assert_eq!(case["earliest_due_date"], expected, "{body}");
            }
        }
    }
}

#[tokio::test]
async fn a_due_date_within_the_lead_time_is_accepted_with_a_warning() {
    let service = Service::start().await;
    let case = service.create("admin", json!({"procedure_type": "Crown", "due_date": "2020-01-02"})).await;
    assert_eq!(case["due_date"], "2020-01-02");
    let earliest = after(&case, 5);
    let detail = format!("is earlier than the lead time allows: {}", earliest.as_str().unwrap());
    assert_eq!(case["warnings"], json!([{"pointer": "/due_date", "detail": detail}]));
    let put = |body: Value| service.as_user("admin", "PUT", "/api/v1/cases/1").json(body).send();
    assert_eq!(put(case.clone()).await.expect(200), case, "it can be sent back as it was read");
    let later = put(json!({"due_date": earliest})).await.expect(200);
    assert_eq!(later["warnings"], json!([]));
    let longer = put(json!({"procedure_type": "Bridge"})).await.expect(200);
    assert_eq!(longer["earliest_due_date"], after(&case, 7));
    assert_eq!(longer["due_date"], earliest, "an agreed due date does not change");
    assert_eq!(longer["warnings"].as_array().unwrap().len(), 1);
    let open = put(json!({"due_date": null})).await.expect(200);
    assert_eq!((&open["due_date"], &open["warnings"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn configured_holidays_are_not_business_days() {
    let service = Service::start().await;
    let case = service.create("admin", json!({"procedure_type": "Inlay", "rush_order": true})).await;
    let next_day = case["due_date"].as_str().unwrap().to_owned();
    let service = Service::start_with(&[("HOLIDAYS", &next_day)]).await;
    let case = service.create("admin", json!({"procedure_type": "Inlay", "rush_order": true})).await;
    assert_eq!(case["due_date"], after(&case, 2));
}

#[tokio::test]
async fn a_case_number_contains_the_lab_the_month_and_the_id() {
    let service = Service::start().await;
    let case = service.create("northgate", json!({"procedure_type": "Crown"})).await;
    let created = case["created_at"].as_str().unwrap();
    assert_eq!(case["case_number"], format!("NORTHGATE-{}{}-1", &created[..4], &created[5..7]));
}
