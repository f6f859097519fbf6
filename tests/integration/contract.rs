//! One contract, many files: `openapi.yaml`, `functions/`, `template.yaml`, the watch router and the code agree.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use shared::{
    auth,
    base::wire_enum::WireEnum,
    config::{Config, DeliveryConfig, Env, Needs, RealtimeConfig, StreamsConfig},
};

use crate::harness::{
    Service,
    spec::{self, Operation, SPEC, operations, root},
};

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("functions")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn by_function() -> BTreeMap<String, Vec<Operation>> {
    let mut functions = BTreeMap::<String, Vec<Operation>>::new();
    for operation in operations() {
        functions.entry(operation.function()).or_default().push(operation);
    }
    functions
}

fn yaml(file: &str) -> Value {
    contract::parse_yaml(&fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

#[test]
fn every_function_folder_serves_a_route_or_has_another_trigger_and_every_route_has_a_function() {
    let mut serving: BTreeSet<String> = by_function().into_keys().collect();
    serving.insert("fallback".into());
    serving.extend(contract::TRIGGERED.map(str::to_owned));
    assert_eq!(folders(), serving);
    let default_route = &yaml("gateway.yaml")["paths"]["/$default"]["x-amazon-apigateway-any-method"];
    let uri = &default_route["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"];
    assert!(uri.as_str().unwrap().contains("/${FallbackFunction.Alias}/"), "{uri}");
}

#[test]
fn a_function_that_serves_one_operation_is_named_after_it() {
    for (function, operations) in by_function() {
        if let [only] = &operations[..] {
            assert_eq!(function, contract::kebab(only.id()));
        }
    }
}

#[test]
fn the_template_has_a_row_for_every_folder_and_makes_a_function_of_every_row() {
    let template = yaml("template.yaml");
    let rows = template["Mappings"]["Functions"].as_object().unwrap();
    let folders_of_rows: BTreeMap<String, String> =
        rows.iter().map(|(name, row)| (name.clone(), row["Folder"].as_str().unwrap().to_owned())).collect();
    let routed = folders().into_iter().filter(|folder| !contract::TRIGGERED.contains(&folder.as_str()));
    let expected = routed.map(|folder| (contract::pascal(&folder), folder)).collect();
    assert_eq!(folders_of_rows, expected);
    let resources = template["Resources"].as_object().unwrap();
    let loops =
        resources.iter().filter(|(name, _)| name.starts_with("Fn::ForEach::") && name.ends_with("Functions"));
    let listed = loops.flat_map(|(_, parts)| parts[1].as_array().unwrap());
    let mut listed: Vec<&str> = listed.map(|name| name.as_str().unwrap()).collect();
    listed.sort_unstable();
    let mut named: Vec<&str> = rows.keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(listed, named);
}

/// The router of `cargo lambda watch`, as `path method` to function.
fn watch_router() -> BTreeMap<(String, String), String> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_array().unwrap();
    let mut routes = BTreeMap::new();
    for route in router {
        let (path, function) = (route["path"].as_str().unwrap(), route["function"].as_str().unwrap());
        let any = toml::Value::Array(vec!["any".into()]);
        let methods = route.get("methods").unwrap_or(&any).as_array().unwrap();
        for method in methods {
            let key = (path.to_owned(), method.as_str().unwrap().to_owned());
            assert_eq!(routes.insert(key, function.to_owned()), None, "{path} has a method twice");
        }
    }
    routes
}

#[test]
fn the_watch_router_routes_requests_as_the_gateway_does() {
    let router = watch_router();
    let mut expected = BTreeSet::new();
    for operation in operations() {
        let key = (operation.path.to_owned(), operation.method.to_owned());
        assert_eq!(router.get(&key), Some(&operation.function()), "{key:?}");
        expected.insert(key);
    }
    let paths: BTreeSet<&String> = expected.iter().map(|(path, _)| path).collect();
    for ((path, method), function) in &router {
        if !expected.contains(&(path.clone(), method.clone())) {
            assert_eq!(function, "fallback", "{method} {path}");
        }
    }
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
            assert!(router.contains_key(&(path.clone(), method.to_owned())), "{method} {path} goes nowhere");
        }
    }
    for rest in ["/", "/{*path}"] {
        assert!(router.keys().any(|(path, _)| path == rest), "{rest} goes nowhere");
    }
}

/// Inline objects have no name that a generated client could use.
#[test]
fn every_object_of_the_contract_is_a_named_schema_and_null_is_said_where_it_has_an_effect() {
    fn check(place: &str, part: &Value, is_named: bool) {
        let is_object = part.get("properties").is_some_and(Value::is_object) || part["type"] == "object";
        // The second part of an allOf belongs to the schema around it.
        assert!(is_named || !is_object || place.contains("/allOf/"), "{place} is an object without a name");
        assert!(part["nullable"] != true || part.get("type").is_some(), "{place} is nullable without a type");
        assert!(part.get("default").is_none(), "{place} has a default, which generated clients send");
        match part {
            Value::Object(members) => {
                for (name, member) in members.iter().filter(|(name, _)| *name != "example") {
                    check(&format!("{place}/{name}"), member, false);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    check(&format!("{place}/{index}"), item, false);
                }
            }
            _ => {}
        }
    }
    for (name, schema) in SPEC["components"]["schemas"].as_object().unwrap() {
        check(name, schema, true);
    }
    for section in ["parameters", "headers", "responses"] {
        check(section, &SPEC["components"][section], false);
    }
    check("paths", &SPEC["paths"], false);
}

/// redocly does not follow `x-websocket`.
#[test]
fn every_schema_of_the_contract_is_used() {
    fn collect<'v>(part: &'v Value, found: &mut BTreeSet<&'v str>) {
        match part {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    collect(&SPEC, &mut used);
    let schemas = SPEC["components"]["schemas"].as_object().unwrap().keys();
    let unused: Vec<&String> =
        schemas.filter(|name| !used.contains(&*format!("#/components/schemas/{name}"))).collect();
    assert_eq!(unused, [""; 0]);
}

#[test]
fn every_response_behind_a_login_declares_the_rate_limit_once_the_caller_is_known() {
    for operation in operations().into_iter().filter(|operation| !operation.is_public()) {
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            let headers = &spec::resolved(response)["headers"];
            let declared = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
                .map(|name| headers.get(name).is_some());
            // The caller of a 401 is not known; 431 is the gateway's own.
            let expected = !["401", "431"].contains(&status.as_str());
            assert_eq!(declared, [expected; 3], "{} {status}", operation.id());
        }
    }
}

#[test]
fn every_example_of_the_contract_matches_its_schema() {
    let mut checked = 0;
    for operation in operations() {
        let bodies = operation.value["responses"]
            .as_object()
            .unwrap()
            .values()
            .chain(operation.value.get("requestBody"));
        for body in bodies {
            let Some(content) = spec::resolved(body).get("content").and_then(Value::as_object) else {
                continue;
            };
            for media in content.values() {
                for (name, example) in media.get("examples").and_then(Value::as_object).into_iter().flatten()
                {
                    let value = &spec::resolved(example)["value"];
                    let faults = spec::schema_faults(&media["schema"], value);
                    assert!(faults.is_empty(), "{} {name}: {faults:#?}", operation.id());
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 50, "only {checked} examples were found");
}

#[tokio::test]
async fn every_handler_checks_the_permission_that_the_contract_names() {
    const ROLES: [(&str, &[&str]); 4] = [
        ("viewer", &["read", "comment"]),
        ("technician", &["read", "comment", "attach", "update_status"]),
        ("member", &["read", "comment", "attach", "create", "update", "update_status"]),
        (
            "admin",
            &[
                "read",
                "comment",
                "attach",
                "create",
                "update",
                "update_status",
                "delete",
                "restore",
                "export",
                "audit",
                "manage_webhooks",
            ],
        ),
    ];
    let service = Service::start().await;
    for operation in operations() {
        let permission = operation.value["x-permission"].as_str().unwrap();
        assert_eq!(permission == "public", operation.is_public(), "{}", operation.id());
        let known = auth::Operation::parse(operation.id());
        assert_eq!(known.is_none(), operation.is_public(), "{}", operation.id());
        if let Some(known) = known {
            assert_eq!(known.permission().as_str(), permission);
            assert_eq!(known.route(), format!("{} {}", operation.method, operation.path));
        }
        let path = operation.example_path();
        for (role, permissions) in ROLES.into_iter().filter(|_| !operation.is_public()) {
            let call = service.as_user(role, operation.method, &path);
            let reply = call.header("content-type", "text/plain").send().await;
            assert_eq!(reply.status != 403, permissions.contains(&permission), "{role} {}", operation.id());
        }
    }
}

#[test]
fn every_variable_that_is_read_is_documented_and_deployed() {
    let read = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        None
    };
    let _ = Config::read(Env::new(&lookup), Needs::ALL);
    let _ = StreamsConfig::read(Env::new(&lookup));
    let _ = DeliveryConfig::read(Env::new(&lookup));
    let _ = RealtimeConfig::read(Env::new(&lookup));
    let text = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let (readme, example, template) = (text("README.md"), text(".env.example"), text("template.yaml"));
    // Lambda sets these by itself; the endpoint is for an emulator.
    let given = [
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_EVENTBRIDGE",
        "AWS_ENDPOINT_URL_STS",
        "AWS_CA_BUNDLE",
    ];
    for name in read.into_inner() {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not document {name}");
        if !["AWS_SESSION_TOKEN", "AWS_LAMBDA_FUNCTION_NAME"].contains(&name.as_str()) {
            assert!(example.contains(&format!("{name}=")), ".env.example does not have {name}");
        }
        if !given.contains(&name.as_str()) {
            assert!(template.contains(&format!("{name}:")), "template.yaml does not set {name}");
        }
    }
}
