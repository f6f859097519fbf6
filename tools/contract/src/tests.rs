use serde_json::json;

use super::*;

const TEXT: &str = r"
openapi: 3.0.3
paths:
  /z/{id}:
    parameters: []
    put: {operationId: updateZ, x-permission: update, x-uses: [webhook_queue], summary: Change it, responses: {'410': {content: {json: {schema: {$ref: '#/components/schemas/Problem'}}}}}}
    get: {operationId: getZ, x-permission: read, x-patient-data: false}
  /z/{id}/notes:
    get: {operationId: listNotes, x-permission: read, responses: {'200': {content: {json: {schema: {$ref: '#/components/schemas/Notes'}}}}}}
  /z/all/{kind}: {get: {operationId: listAll, x-permission: read}}
  /z/stats: {get: {operationId: zStats, x-permission: read}}
  /a: {head: {operationId: headA, x-permission: public, x-function: get-a}}
  /b: {get: {operationId: getB, x-permission: public, x-function: get-a}}
  /$default: {x-amazon-apigateway-any-method: {isDefaultRoute: true}}
components:
  schemas:
    Notes: {properties: {first: {$ref: '#/components/schemas/Note'}, pagination: {$ref: '#/components/schemas/Pagination'}}}
    Note: {properties: {answers: {type: array, items: {$ref: '#/components/schemas/Note'}}}}
    Pagination: {properties: {next_cursor: {type: string}}}
    Problem: {properties: {next_cursor: {type: string}}}
";

fn contract() -> Contract {
    Contract::parse(TEXT).unwrap()
}

#[test]
fn operations_come_in_the_order_of_the_file() {
    let contract = contract();
    let ids: Vec<&str> = contract.operations().iter().map(|operation| &operation.id[..]).collect();
    assert_eq!(ids, ["updateZ", "getZ", "listNotes", "listAll", "zStats", "headA", "getB"]);
    assert_eq!(contract.paths(), ["/z/{id}", "/z/{id}/notes", "/z/all/{kind}", "/z/stats", "/a", "/b"]);
}

#[test]
fn an_operation_has_what_the_file_says_of_it_or_the_default() {
    let contract = contract();
    let update = Operation {
        id: "updateZ".into(),
        method: "PUT".into(),
        path: "/z/{id}".into(),
        function: "update-z".into(),
        permission: "update".into(),
        patient_data: true,
        uses: vec!["webhook_queue".into()],
        cursors: false,
        summary: "Change it".into(),
    };
    assert_eq!(contract.operations()[0], update);
    assert!(!contract.operations()[1].patient_data);
    assert!(!update.is_public() && contract.operations()[5].is_public());
    assert_eq!(update.parameters().collect::<Vec<_>>(), ["id"]);
    assert_eq!(contract.details(&update)["summary"], json!("Change it"));
}

#[test]
fn an_operation_has_cursors_if_a_response_that_is_no_error_has_one() {
    let contract = contract();
    let with = contract.operations().iter().filter(|operation| operation.cursors);
    assert_eq!(with.map(|operation| &operation.id[..]).collect::<Vec<_>>(), ["listNotes"]);
}

#[test]
fn several_operations_may_name_the_same_function() {
    let contract = contract();
    let functions = contract.functions();
    let names: Vec<&str> = functions.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["update-z", "get-z", "list-notes", "list-all", "z-stats", "get-a"]);
    let served: Vec<&str> = functions[5].1.iter().map(|operation| &operation.id[..]).collect();
    assert_eq!(served, ["headA", "getB"]);
}

#[test]
fn a_literal_segment_wins_over_a_parameter() {
    let contract = contract();
    let route = |method, path| {
        let route = contract.route(method, path)?;
        let parameters = route.parameters.into_iter().map(|(name, value)| format!("{name}={value}"));
        Some(format!("{} {}", route.operation.id, parameters.collect::<Vec<_>>().join(",")))
    };
    assert_eq!(route("GET", "/z/stats").as_deref(), Some("zStats "));
    assert_eq!(route("GET", "/z/7").as_deref(), Some("getZ id=7"));
    assert_eq!(route("GET", "/z/all/notes").as_deref(), Some("listAll kind=notes"));
    // As the gateway has it: another method of the path is another route.
    assert_eq!(route("PUT", "/z/stats").as_deref(), Some("updateZ id=stats"));
}

#[test]
fn what_belongs_to_no_operation_has_no_route() {
    let contract = contract();
    for (method, path) in
        [("GET", "/z"), ("GET", "/z/"), ("GET", "/a"), ("HEAD", "/a/"), ("get", "/b"), ("POST", "/z/7")]
    {
        assert_eq!(contract.route(method, path), None, "{method} {path}");
    }
}

#[test]
fn a_path_knows_its_methods_by_its_best_match() {
    assert_eq!(contract().methods("/z/7"), ["PUT", "GET"]);
    assert_eq!(contract().methods("/z/stats"), ["GET"]);
    assert!(contract().methods("/z/").is_empty());
}

#[test]
fn an_operation_must_say_its_id_and_its_permission() {
    for (operation, missing) in
        [("{x-permission: read}", "operationId"), ("{operationId: a}", "x-permission")]
    {
        let text = format!("paths: {{/a: {{get: {operation}}}}}");
        let error = Contract::parse(&text).err().unwrap().to_string();
        assert_eq!(error, format!("get /a has no {missing}"));
    }
}

#[test]
fn plain_words_are_read_as_strings_and_a_repeated_key_is_an_error() {
    let read = parse_yaml("[yes, on, 1mm, \"2.0\", 'null', 2026-11-24, 2.0, true, null]").unwrap();
    assert_eq!(read, json!(["yes", "on", "1mm", "2.0", "null", "2026-11-24", 2.0, true, null]));
    assert!(parse_yaml("a: 1\na: 2\n").is_err());
}

#[test]
fn a_name_has_one_form_for_each_reader() {
    assert_eq!(kebab("bulkUpdateStatus"), "bulk-update-status");
    assert_eq!(kebab("CreateCase"), "create-case");
    assert_eq!(pascal("createCase"), "CreateCase");
    assert_eq!(pascal("update_status"), "UpdateStatus");
    assert_eq!(snake("create-case"), "create_case");
}

#[test]
fn the_projects_contract_is_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
    let contract = Contract::read(&file).unwrap();
    let route = contract.route("PATCH", "/api/v1/cases/7/status").unwrap();
    assert_eq!((&route.operation.id[..], &route.parameters["id"][..]), ("updateCaseStatus", "7"));
    assert_eq!(contract.methods("/api/v1/cases"), ["GET", "POST"]);
}
