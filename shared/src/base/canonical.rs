//! Hashes JSON values: equal values have equal hashes.

use aws_lc_rs::digest;
use serde_json::Value;

/// Returns the SHA-256, in hexadecimal, of the value's canonical text: no spaces, members sorted by name. For strings,
/// integers and booleans this is the form of RFC 8785.
pub(crate) fn hash(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sorts the members itself, because the order of a JSON map depends on the features of serde_json.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (index, name) in names.into_iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(&members[name], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_canonical_form_has_its_members_in_order() {
        let mut text = String::new();
        write(&json!({"b": [1, {"d": null, "c": true}], "a": "\"ü\n"}), &mut text);
        assert_eq!(text, r#"{"a":"\"ü\n","b":[1,{"c":true,"d":null}]}"#);
    }
}
