//! The values and fields of the contract are those of the code: codes, enumerations, the fields of a case, its details.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::{
    archive::ItemKind,
    audit::Outcome,
    auth,
    base::{csv::Format, error::ErrorCode, field_error::FieldCode, wire_enum::WireEnum},
    case::{
        Direction, FIELDS, FieldKind, Priority, RemakeReason, Sort,
        attachment::{FileKind, FileState, FileType},
        catalog::{CaseType, CatalogEntry, ProcedureType, details as d, material as m, shade as s},
        details::Gender,
        event::Action,
        verification::HistoryFault,
        workflow::Status,
    },
    message::MessageType,
    realtime,
    trail::TrailFaultKind,
    webhook::{DeliveryState, DisabledReason},
};

use crate::harness::spec::{self, SPEC};

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
fn the_actions_of_websockets_in_the_contract_are_those_of_the_code() {
    let promised = &SPEC["components"]["schemas"]["RealtimeRequest"]["discriminator"]["mapping"];
    let promised: BTreeSet<&str> = promised.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(realtime::Action::NAMES.iter().copied().collect::<BTreeSet<_>>(), promised);
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

#[test]
fn the_codes_of_break_glass_in_the_contract_are_those_of_the_code() {
    let parameter = &SPEC["components"]["parameters"]["BreakGlass"];
    let pattern = parameter["schema"]["pattern"].as_str().unwrap();
    let (_, codes) = pattern.split_once('(').unwrap();
    let codes: Vec<&str> = codes.split_once(')').unwrap().0.split('|').collect();
    assert_eq!(codes, auth::BreakGlassCode::NAMES);
    let description = parameter["description"].as_str().unwrap();
    assert!(codes.iter().all(|code| description.contains(&format!("`{code}`"))));
    let is_valid = |text: &str| spec::schema_faults(&parameter["schema"], &json!(text)).is_empty();
    assert!(is_valid(parameter["example"].as_str().unwrap()));
    let words = |count: usize| format!("support; {}", "x".repeat(count));
    let accepted = [9, 10, 200, 201].map(|count| is_valid(&words(count)));
    assert_eq!(accepted, [false, true, true, false]);
    assert!(!is_valid("curious; I want to see the cases") && !is_valid("support; 012345678 "));
}

/// Enumerations of the contract outside of the catalogue: files, headers, states of health, a version, null, and the
/// problem codes, which have a test of their own.
const OTHER_ENUMERATIONS: [&str; 13] = [
    "AccessFormat",
    "Alive/status",
    "Asset",
    "Check/status",
    "ContentEncoding",
    "Health/status",
    "IdempotencyReplayed",
    "NoStore",
    "NullValue",
    "OpenApiDocument/openapi",
    "ProblemCode",
    "ServiceName",
    "Upload/method",
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
    let of_cases: Vec<&str> =
        MessageType::NAMES.iter().copied().filter(|name| name.starts_with("case.")).collect();
    let code = BTreeMap::from([
        ("CaseMessageType", &of_cases[..]),
        ("MessageType", MessageType::NAMES),
        ("DeliveryState", DeliveryState::NAMES),
        ("WebhookDisabledReason", DisabledReason::NAMES),
        ("CaseStatus", Status::NAMES),
        ("InitialStatus", &initial),
        ("CaseType", CaseType::NAMES),
        ("ProcedureType", ProcedureType::NAMES),
        ("Priority", Priority::NAMES),
        ("RemakeReason", RemakeReason::NAMES),
        ("EventAction", Action::NAMES),
        ("FileKind", FileKind::NAMES),
        ("FileState", FileState::NAMES),
        ("FileType", FileType::NAMES),
        ("Sort", Sort::NAMES),
        ("Order", Direction::NAMES),
        ("Format", Format::NAMES),
        ("OperationName", auth::Operation::NAMES),
        ("AuditOutcome", Outcome::NAMES),
        ("HistoryFault", HistoryFault::NAMES),
        ("ArchivedItem", ItemKind::NAMES),
        ("TrailFaultKind", TrailFaultKind::NAMES),
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
    // A single value only says which kind of message it is.
    for (place, names) in promised.iter().filter(|(_, names)| names.len() > 1) {
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
