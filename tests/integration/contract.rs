//! One contract, many files: `openapi.yaml`, `functions/`, `template.yaml`, the watch router and the code agree.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use shared::{
    access::Outcome,
    case::{Direction, Priority, RemakeReason, Sort, details::Gender},
    catalog::{CaseType, Listed, ProcedureType, details as d, material as m, shade as s},
    config::{Config, Env},
    error::Code,
    event::Action,
    lab,
    spreadsheet::Format,
    validate::Choice,
    workflow::Status,
};

use crate::harness::{
    Service,
    spec::{self, Operation, SPEC, crate_of, kebab, operations, root},
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

fn template() -> Value {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    // The attribute type N would otherwise be a boolean of YAML 1.1.
    serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { strict_booleans: true }).unwrap()
}

fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn every_folder_of_functions_serves_a_route_and_every_route_has_one() {
    let mut serving: BTreeSet<String> = by_function().into_keys().collect();
    serving.insert("fallback".into());
    assert_eq!(folders(), serving);
    let default_route = &SPEC["paths"]["/$default"]["x-amazon-apigateway-any-method"];
    assert_eq!(crate_of(default_route), "fallback");
}

#[test]
fn a_function_that_serves_one_operation_is_named_after_it() {
    for (function, operations) in by_function() {
        if let [only] = &operations[..] {
            assert_eq!(function, kebab(only.id()));
        }
    }
}

#[test]
fn the_template_has_a_row_for_every_folder_and_makes_a_function_of_every_row() {
    let template = template();
    let rows = template["Mappings"]["Functions"].as_object().unwrap();
    let folders_of_rows: BTreeMap<String, String> =
        rows.iter().map(|(name, row)| (name.clone(), row["Folder"].as_str().unwrap().to_owned())).collect();
    let expected = folders().into_iter().map(|folder| (pascal(&folder), folder)).collect();
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
fn the_watch_router_sends_requests_where_the_gateway_does() {
    let router = watch_router();
    let mut expected = BTreeSet::new();
    for operation in operations() {
        for path in [operation.path.to_owned(), format!("{}/", operation.path)] {
            let key = (path, operation.method.to_uppercase());
            assert_eq!(router.get(&key), Some(&operation.function()), "{key:?}");
            expected.insert(key);
        }
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
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let promised: BTreeSet<&str> = SPEC["components"]["schemas"]["ProblemCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(codes, promised);
    assert_eq!(codes.len(), Code::ALL.len());
}

/// Enumerations of the contract that are none of the catalogue's: files, headers, states of health, a version, and the
/// problem codes, which have a test of their own.
const OTHER_ENUMERATIONS: [&str; 10] = [
    "AccessFormat",
    "Asset",
    "Check",
    "ContentEncoding",
    "Health/service",
    "Health/status",
    "IdempotencyReplayed",
    "NoStore",
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
        ("CaseStatusOrNull", Status::NAMES),
        ("CaseCreate/status", &initial),
        ("CaseType", CaseType::NAMES),
        ("CaseTypeOrNull", CaseType::NAMES),
        ("ProcedureType", ProcedureType::NAMES),
        ("Priority", Priority::NAMES),
        ("PriorityOrNull", Priority::NAMES),
        ("RemakeReason", RemakeReason::NAMES),
        ("Case/remake_reason_code", RemakeReason::NAMES),
        ("CaseUpdate/remake_reason_code", RemakeReason::NAMES),
        ("EventAction", Action::NAMES),
        ("Sort", Sort::NAMES),
        ("Order", Direction::NAMES),
        ("Format", Format::NAMES),
        ("OperationName", lab::Operation::NAMES),
        ("AccessOutcome", Outcome::NAMES),
        ("PatientInfo/gender", Gender::NAMES),
        ("Shade/shade_system", s::ShadeSystem::NAMES),
        ("Shade/translucency", s::Translucency::NAMES),
        ("FixedProsthetic/type", d::FixedProstheticType::NAMES),
        ("FixedProsthetic/material", m::FixedProstheticMaterial::NAMES),
        ("FixedProsthetic/preparation_type", d::PreparationType::NAMES),
        ("FixedProsthetic/margin_type", d::MarginType::NAMES),
        ("FixedProsthetic/occlusion_type", d::OcclusionType::NAMES),
        ("Denture/type", d::DentureType::NAMES),
        ("Denture/material", m::DentureMaterial::NAMES),
        ("Denture/tooth_material", d::ToothMaterial::NAMES),
        ("Denture/clasp_design", d::ClaspDesign::NAMES),
        ("Denture/retention_type", d::RetentionType::NAMES),
        ("NightGuard/type", d::NightGuardType::NAMES),
        ("NightGuard/material", m::NightGuardMaterial::NAMES),
        ("NightGuard/thickness", d::Thickness::NAMES),
        ("NightGuard/arch", d::Arch::NAMES),
        ("NightGuard/design", d::NightGuardDesign::NAMES),
        ("NightGuard/special_features", d::SpecialFeature::NAMES),
        ("Implant/implant_system", d::ImplantSystem::NAMES),
        ("Implant/implant_diameter", d::ImplantDiameter::NAMES),
        ("Implant/implant_length", d::ImplantLength::NAMES),
        ("Implant/platform_type", d::PlatformType::NAMES),
        ("Implant/abutment_type", d::AbutmentType::NAMES),
        ("Implant/restoration_type", d::RestorationType::NAMES),
        ("Implant/tissue_level", d::TissueLevel::NAMES),
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

#[test]
fn the_catalogue_lists_the_values_of_all_details() {
    let enumerations = enumerations();
    for (case_type, schema) in [
        (CaseType::FixedProsthetic, "FixedProsthetic/"),
        (CaseType::Denture, "Denture/"),
        (CaseType::NightGuard, "NightGuard/"),
        (CaseType::Implant, "Implant/"),
    ] {
        let promised = enumerations.iter().filter(|(place, _)| place.starts_with(schema));
        let promised: BTreeSet<&[&str]> = promised.map(|(_, names)| &names[..]).collect();
        let listed = case_type.entry().values.iter().map(|(_, names)| *names);
        assert_eq!(listed.filter(|names| !names.is_empty()).collect::<BTreeSet<_>>(), promised, "{schema}");
    }
}

#[test]
fn every_example_of_the_contract_keeps_to_its_schema() {
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
async fn the_permission_that_the_contract_names_is_the_one_that_the_handler_wants() {
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
        let known = lab::Operation::parse(operation.id());
        assert_eq!(known.is_none(), operation.is_public(), "{}", operation.id());
        if let Some(known) = known {
            assert_eq!(known.permission().as_str(), permission);
            assert_eq!(known.route(), format!("{} {}", operation.method.to_uppercase(), operation.path));
        }
        let path = operation.path.replace("{id}", "1").replace("{doctor_id}", "DOC001");
        for (role, permissions) in ROLES.into_iter().filter(|_| !operation.is_public()) {
            let call = service.as_user(role, &operation.method.to_uppercase(), &path);
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
        assert!(readme.contains(&format!("`{name}`")), "README.md does not tell of {name}");
        if !["AWS_SESSION_TOKEN", "AWS_LAMBDA_FUNCTION_NAME"].contains(&name.as_str()) {
            assert!(example.contains(&format!("{name}=")), ".env.example does not have {name}");
        }
        if !given.contains(&name.as_str()) {
            assert!(template.contains(&format!("{name}:")), "template.yaml does not set {name}");
        }
    }
}
