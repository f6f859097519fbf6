//! Makes the published contract from `openapi.yaml`, which also has settings of the gateway. `build.rs` and the unit tests
//! both include this file.

use serde_json::Value;

/// Writes YAML that parsers of YAML 1.1 and 1.2 read as the same values.
pub(crate) fn to_yaml(contract: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(contract)
}

/// Removes the deployment's part of the contract: `x-amazon-*`, `x-function` and `x-uses` at any depth, and then all empty paths.
pub(crate) fn publish(mut contract: Value) -> Value {
    remove_deployment_keys(&mut contract);
    if let Some(Value::Object(paths)) = contract.get_mut("paths") {
        paths.retain(|_, item| item.as_object().is_none_or(|item| !item.is_empty()));
    }
    contract
}

fn remove_deployment_keys(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !key.starts_with("x-amazon-") && key != "x-function" && key != "x-uses");
            members.values_mut().for_each(remove_deployment_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_deployment_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::parse_yaml;
    use serde_json::json;

    #[test]
    fn deployment_keys_are_removed_at_every_depth_with_the_paths_that_have_nothing_else() {
        let contract = json!({
            "x-amazon-apigateway-cors": {"allowOrigins": ["*"]},
            "paths": {
                "/$default": {"x-amazon-apigateway-any-method": {"responses": {}}},
                "/a": {"get": {
                    "x-function": "docs",
                    "x-uses": ["webhook_queue"],
                    "x-permission": "public",
                    "x-amazon-apigateway-integration": {"uri": {"Fn::Sub": "x"}},
                    "parameters": [{"name": "x-lab", "x-amazon-note": 1}],
                }},
            },
            "components": {"schemas": {"Empty": {}}},
        });
        assert_eq!(
            publish(contract),
            json!({
                "paths": {"/a": {"get": {"x-permission": "public", "parameters": [{"name": "x-lab"}]}}},
                "components": {"schemas": {"Empty": {}}},
            })
        );
    }

    #[test]
    fn strings_that_look_like_something_else_stay_strings_in_yaml() {
        let looks = "2.0|1mm|yes|no|on|off|y|n|true|null|~||123|007|1e3|0x1F|1_000|12:30:00|2026-11-24|# x|a: b|- a|@a|\
                     2026-11-24T09:30:00.000Z|{a}|[a]|'q'|\"q\"| a |one\ntwo\n|one\n\n two|^[A-Za-z0-9._:@-]+$|é";
        let strings: Vec<&str> = looks.split('|').collect();
        let keyed = strings.iter().map(|string| ((*string).to_owned(), json!(string))).collect();
        let contract =
            json!({"values": strings, "keys": Value::Object(keyed), "mixed": [1, 1.5, true, null]});
        let yaml = to_yaml(&contract).unwrap();
        assert_eq!(parse_yaml(&yaml).unwrap(), contract, "{yaml}");
        // A parser of YAML 1.1 reads these as other types when they are not quoted.
        for string in ["yes", "no", "on", "off", "y", "n", "2.0", "007", "1_000", "12:30:00", "2026-11-24"] {
            assert!(yaml.contains(&format!("\n- \"{string}\"\n")), "{string} is quoted in:\n{yaml}");
        }
    }
}
