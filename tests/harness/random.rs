//! Random values, and valid values with random damage.

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{Index, select},
};
use serde_json::Value;

/// The damage to a valid value: at each place, another value or none.
pub(crate) type Damage = Vec<(Index, Option<Value>)>;

/// One of these words.
pub(crate) fn one_of(words: &'static str) -> impl Strategy<Value = String> {
    select(words.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

/// Words with a meaning for the service, and text that is often handled badly.
pub(crate) fn word() -> impl Strategy<Value = String> {
    let known = select(
        &[
            "",
            " ",
            "pending",
            "on_hold",
            "Crown",
            "crown",
            "denture",
            "zirconia",
            "custom",
            "high",
            "other",
            "me",
            "all",
            "now",
            "true",
            "0",
            "1",
            "-1",
            "+1",
            "007",
            "1e3",
            "9999999999",
            "10000000000",
            "18446744073709551616",
            "2026-12-01",
            "9999-12-31",
            "-0001-01-01",
            "2026-02-30",
            "DOC001",
            "../1",
            "%2e%2e",
            "\u{0}",
            "\r\n",
            "\u{202e}\u{feff}",
            "🦷",
            "e\u{301}",
            "\"1\"",
            "W/\"1\"",
            "*",
            "\"",
            "'",
            "{{}}",
            "=1+1",
            "\u{ffff}",
            "\u{10ffff}",
        ][..],
    );
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>(), 1 => "[ -~]{0,300}"]
}

/// The name of a field or parameter, usually one that exists.
fn name() -> impl Strategy<Value = String> {
    let known = one_of(
        "status patient_name procedure_type case_type notes priority rush_order due_date doctor_id patient_info age gender fixed_prosthetic type material tooth_numbers shade shade_system shade_value denture night_guard arch implant tooth_number reason reason_code ids id version remakes warnings q sort due_from deleted limit cursor __proto__",
    );
    prop_oneof![6 => known, 1 => any::<String>()]
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..40).prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name(), inner, 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Random damage.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    vec((any::<Index>(), prop::option::weighted(0.8, any_json())), 1..4)
}

/// The pointers of all parts of a value, without the value itself.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, part)| (name.replace('~', "~0").replace('/', "~1"), part)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(place, part)| (place.to_string(), part)).collect()
        }
        _ => Vec::new(),
    };
    for (name, part) in parts {
        let pointer = format!("{at}/{name}");
        pointers(part, &pointer, found);
        found.push(pointer);
    }
}

/// The value with the damage applied.
pub(crate) fn damaged(mut value: Value, damage: &Damage) -> Value {
    for (place, with) in damage {
        let mut found = Vec::new();
        pointers(&value, "", &mut found);
        if found.is_empty() {
            break;
        }
        let pointer = place.get(&found);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match (with, value.pointer_mut(parent).unwrap()) {
            (None, Value::Object(members)) => {
                members.remove(&name.replace("~1", "/").replace("~0", "~"));
            }
            (with, _) => *value.pointer_mut(pointer).unwrap() = with.clone().unwrap_or_default(),
        }
    }
    value
}
