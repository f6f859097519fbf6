//! One contract, many files: `openapi.yaml`, `functions/`, `template.yaml`, the watch router and the code agree.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};
use shared::{
    audit::Outcome,
    auth,
    base::{csv::Format, error::ErrorCode, field_error::FieldCode, wire_enum::WireEnum},
    case::{
        Direction, FIELDS, FieldKind, Priority, RemakeReason, Sort,
        catalog::{CaseType, CatalogEntry, ProcedureType, details as d, material as m, shade as s},
        details::Gender,
        event::Action,
        workflow::Status,
    },
    config::{Config, Env},
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
fn every_function_folder_serves_a_route_and_every_route_has_a_function() {
    let mut serving: BTreeSet<String> = by_function().into_keys().collect();
    serving.insert("fallback".into());
    assert_eq!(folders(), serving);
    let default_route = &yaml("gateway.yaml")["paths"]["/$default"]["x-amazon-apigateway-any-method"];
    let uri = &default_route["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"];
    assert!(uri.as_str().unwrap().contains("/${FallbackFunction.Arn}/"), "{uri}");
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
    let expected = folders().into_iter().map(|folder| (contract::pascal(&folder), folder)).collect();
    assert_eq!(folders_of_rows, expected);
    let resources = template["Resources"].as_object().unwrap();
    let loops = resources.iter().filter(|(name, _)| name.starts_with("Fn::ForEach::"));
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

#[test]
fn the_problem_codes_of_the_contract_are_those_of_the_code() {
    let codes: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let promised: BTreeSet<&str> = SPEC["components"]["schemas"]["ProblemCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(codes, promised);
    assert_eq!(codes.len(), ErrorCode::ALL.len());
}

#[test]
fn the_field_codes_of_the_contract_are_those_of_the_code() {
    let promised: BTreeSet<&str> = SPEC["components"]["schemas"]["FieldErrorCode"]["x-extensible-enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(FieldCode::NAMES.iter().copied().collect::<BTreeSet<_>>(), promised);
}

#[test]
fn the_fields_of_a_case_in_the_contract_are_those_of_the_code() {
    let fields = |select: &dyn Fn(FieldKind) -> bool| -> BTreeSet<&str> {
        FIELDS.iter().filter(|field| select(field.kind)).map(|field| field.name).collect()
    };
    let properties = |schema: &str| -> BTreeSet<&str> {
        SPEC["components"]["schemas"][schema]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    };
    assert_eq!(properties("CaseBase"), fields(&|_| true));
    let missing: Vec<&str> =
        fields(&|kind| kind == FieldKind::Input).difference(&properties("CaseCreate")).copied().collect();
    assert_eq!(missing, [""; 0], "a client can set each of them");
}

/// Enumerations of the contract outside of the catalogue: files, headers, states of health, a version, null, and the
/// problem codes, which have a test of their own.
const OTHER_ENUMERATIONS: [&str; 11] = [
    "AccessFormat",
    "Asset",
    "Check",
    "ContentEncoding",
    "Health/service",
    "Health/status",
    "IdempotencyReplayed",
    "NoStore",
    "NullValue",
    "OpenApiDocument/openapi",
    "ProblemCode",
];

/// Every enumeration of the contract by its place, as `Schema/property`, without `null`.
fn enumerations() -> BTreeMap<String, Vec<&'static str>> {
    fn collect(place: &str, part: &'static Value, found: &mut BTreeMap<String, Vec<&'static str>>) {
        if let Some(names) = part["enum"].as_array() {
            let names = names.iter().filter_map(Value::as_str).collect();
            assert_eq!(found.insert(place.to_owned(), names), None, "two places are called {place}");
        }
        for (name, part) in part.as_object().into_iter().flatten() {
            match &name[..] {
                "properties" | "items" | "schema" => collect(place, part, found),
                _ if place.is_empty() => collect(name, part, found),
                _ => collect(&format!("{place}/{name}"), part, found),
            }
        }
    }
    let mut found = BTreeMap::new();
    for part in SPEC["components"].as_object().unwrap().values().chain([&SPEC["paths"]]) {
        collect("", part, &mut found);
    }
    found
}

#[test]
fn the_enumerations_of_the_contract_are_those_of_the_code() {
    let initial: Vec<&str> = Status::INITIAL.iter().map(|status| status.as_str()).collect();
    let code = BTreeMap::from([
        ("CaseStatus", Status::NAMES),
        ("InitialStatus", &initial),
        ("CaseType", CaseType::NAMES),
        ("ProcedureType", ProcedureType::NAMES),
        ("Priority", Priority::NAMES),
        ("RemakeReason", RemakeReason::NAMES),
        ("EventAction", Action::NAMES),
        ("Sort", Sort::NAMES),
        ("Order", Direction::NAMES),
        ("Format", Format::NAMES),
        ("OperationName", auth::Operation::NAMES),
        ("AccessOutcome", Outcome::NAMES),
        ("Gender", Gender::NAMES),
        ("ShadeSystem", s::ShadeSystem::NAMES),
        ("Translucency", s::Translucency::NAMES),
        ("FixedProstheticType", d::FixedProstheticType::NAMES),
        ("FixedProstheticMaterial", m::FixedProstheticMaterial::NAMES),
        ("PreparationType", d::PreparationType::NAMES),
        ("MarginType", d::MarginType::NAMES),
        ("OcclusionType", d::OcclusionType::NAMES),
        ("DentureType", d::DentureType::NAMES),
        ("DentureMaterial", m::DentureMaterial::NAMES),
        ("ToothMaterial", d::ToothMaterial::NAMES),
        ("ClaspDesign", d::ClaspDesign::NAMES),
        ("RetentionType", d::RetentionType::NAMES),
        ("NightGuardType", d::NightGuardType::NAMES),
        ("NightGuardMaterial", m::NightGuardMaterial::NAMES),
        ("Thickness", d::Thickness::NAMES),
        ("Arch", d::Arch::NAMES),
        ("NightGuardDesign", d::NightGuardDesign::NAMES),
        ("SpecialFeature", d::SpecialFeature::NAMES),
        ("ImplantSystem", d::ImplantSystem::NAMES),
        ("ImplantDiameter", d::ImplantDiameter::NAMES),
        ("ImplantLength", d::ImplantLength::NAMES),
        ("PlatformType", d::PlatformType::NAMES),
        ("AbutmentType", d::AbutmentType::NAMES),
        ("RestorationType", d::RestorationType::NAMES),
        ("TissueLevel", d::TissueLevel::NAMES),
    ]);
    let promised = enumerations();
    for (place, names) in &promised {
        if !OTHER_ENUMERATIONS.contains(&&place[..]) {
            assert_eq!(code.get(&place[..]), Some(&&names[..]), "{place}");
        }
    }
    for place in code.keys().chain(&OTHER_ENUMERATIONS) {
        assert!(promised.contains_key(*place), "{place} is no enumeration of the contract");
    }
}

/// The values of each enumeration that a schema's properties refer to, whether they may be null or not.
fn values_of_details(schema: &str) -> BTreeSet<Vec<&'static str>> {
    fn enumeration(property: &'static Value) -> Option<Vec<&'static str>> {
        let property = spec::resolved(property);
        let parts = property["anyOf"].as_array().into_iter().flatten();
        let names = property["enum"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        names.or_else(|| parts.chain(property.get("items")).find_map(enumeration))
    }
    let properties = SPEC["components"]["schemas"][schema]["properties"].as_object().unwrap();
    properties.values().filter_map(enumeration).filter(|names| !names.is_empty()).collect()
}

#[test]
fn the_catalogue_lists_the_values_of_all_details() {
    for (case_type, schema) in [
        (CaseType::FixedProsthetic, "FixedProsthetic"),
        (CaseType::Denture, "Denture"),
        (CaseType::NightGuard, "NightGuard"),
        (CaseType::Implant, "Implant"),
    ] {
        let listed = case_type.entry().values.iter().map(|(_, names)| names.to_vec());
        let listed: BTreeSet<_> = listed.filter(|names| !names.is_empty()).collect();
        assert_eq!(listed, values_of_details(schema), "{schema}");
    }
}

/// The schemas of details, by the field of a case that has them.
const DETAILS: [(&str, &str); 4] = [
    ("fixed_prosthetic", "FixedProsthetic"),
    ("denture", "Denture"),
    ("night_guard", "NightGuard"),
    ("implant", "Implant"),
];

/// Which details a variant of `Case`, or a request, may have: the schema that it gives each of the four fields.
fn details_of(part: &'static Value) -> BTreeMap<&'static str, &'static str> {
    let name = |schema: &'static Value| schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    let of = |field: &str| match part["properties"][field]["anyOf"].as_array() {
        Some(parts) => {
            assert_eq!(name(&parts[1]), "NullValue", "{field}");
            name(&parts[0])
        }
        None => name(&part["properties"][field]),
    };
    DETAILS.iter().map(|(field, _)| (*field, of(field))).collect()
}

#[test]
fn each_case_type_has_a_variant_with_the_details_that_the_rules_allow() {
    let schemas = &SPEC["components"]["schemas"];
    let mapping = schemas["Case"]["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(
        mapping.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        CaseType::NAMES.iter().copied().collect()
    );
    let variants = schemas["Case"]["oneOf"].as_array().unwrap();
    assert_eq!(variants.len(), mapping.len());
    for (case_type, reference) in mapping {
        assert!(variants.iter().any(|variant| variant["$ref"] == *reference), "{reference}");
        let [base, own] =
            &SPEC.pointer(&reference.as_str().unwrap()[1..]).unwrap()["allOf"].as_array().unwrap()[..]
        else {
            panic!("{reference} is not a base and its own part")
        };
        assert_eq!(base["$ref"], "#/components/schemas/CaseBase");
        assert_eq!(own["properties"]["case_type"]["enum"], json!([case_type]));
        let allowed: &[&str] = match case_type.as_str() {
            "fixed_prosthetic" | "implant" => &["fixed_prosthetic", "implant"],
            "denture" => &["denture", "implant"],
            "night_guard" => &["night_guard"],
            _ => &[],
        };
        let expected = DETAILS
            .iter()
            .map(|(field, schema)| (*field, if allowed.contains(field) { *schema } else { "NullValue" }));
        assert_eq!(details_of(own), expected.collect(), "{case_type}");
        let required: Vec<&str> = [&["case_type"], allowed].concat();
        assert_eq!(own["required"], json!(required), "{case_type}");
    }
}

#[test]
fn a_patch_has_the_fields_of_an_update_and_needs_none_of_them() {
    let schemas = &SPEC["components"]["schemas"];
    for (schema, suffix) in [("CaseUpdate", ""), ("CasePatch", "Patch")] {
        let parts = &schemas[schema]["allOf"];
        assert_eq!(parts[0]["$ref"], "#/components/schemas/CaseUpdateBase");
        let details: Vec<_> = details_of(&parts[1]).into_values().map(str::to_owned).collect();
        let expected: BTreeMap<_, _> =
            DETAILS.iter().map(|(field, name)| (*field, format!("{name}{suffix}"))).collect();
        assert_eq!(details, expected.into_values().collect::<Vec<_>>(), "{schema}");
    }
    for whole in DETAILS.iter().map(|(_, schema)| *schema).chain(["Shade"]) {
        let mut expected = schemas[whole]["properties"].clone();
        if let Some(shade) = expected.get_mut("shade") {
            shade["anyOf"][0]["$ref"] = json!("#/components/schemas/ShadePatch");
        }
        let patch = &schemas[format!("{whole}Patch")];
        assert_eq!(patch["properties"], expected, "{whole}");
        assert!(patch.get("required").is_none(), "{whole}");
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
        ("viewer", &["read"]),
        ("technician", &["read", "update_status"]),
        ("member", &["read", "create", "update", "update_status"]),
        ("admin", &["read", "create", "update", "update_status", "delete", "restore", "audit"]),
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
        let path = operation.path.replace("{id}", "1").replace("{doctor_id}", "DOC001");
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
    let _ = Config::read(Env::new(&|name: &str| {
        read.borrow_mut().insert(name.to_owned());
        None
    }));
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
        "AWS_ENDPOINT_URL_STS",
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
