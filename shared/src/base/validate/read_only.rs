//! Updates that may have read-only fields, so that a client can send back the whole object that it got.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Fields;
use crate::base::{
    error::Error,
    field_error::{FieldCode, FieldError, Invalid},
    time::Timestamp,
};

/// Returns the object without checks. Other code checks it, because it knows the current state.
pub(crate) fn whole_object(fields: &mut Fields) -> Map<String, Value> {
    fields.skip_all();
    fields.object().clone()
}

/// The errors of the read-only fields in a request that differ from those of the resource.
pub(crate) fn read_only_errors(
    object: &Map<String, Value>,
    current: &impl Serialize,
    names: impl Iterator<Item = &'static str>,
) -> Result<Vec<FieldError>, Error> {
    let current = to_json(current)?;
    let differs = |name: &&str| match (object.get(*name), current.get(*name)) {
        (None, _) => false,
        (Some(sent), current) => !current.is_some_and(|current| is_same(sent, current)),
    };
    let error = |name: &str| {
        let detail = "is read-only and differs from the current value";
        FieldError::new(format!("/{name}"), Invalid::new(FieldCode::ReadOnly, detail))
    };
    Ok(names.filter(differs).map(error).collect())
}

/// Whether a read-only value in the request equals the current value. Generated clients parse times and write the same
/// moment in another way, with `+00:00` or other decimals, so times are compared as moments.
fn is_same(sent: &Value, current: &Value) -> bool {
    let moment = |value: &Value| Timestamp::deserialize(value).ok();
    sent == current || moment(current).is_some_and(|current| moment(sent) == Some(current))
}

/// The members of a resource in JSON.
pub(crate) fn to_json(resource: &impl Serialize) -> Result<Map<String, Value>, Error> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Error::internal("a resource does not serialize")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_time_may_be_sent_back_in_another_format() {
        let moment = json!("2026-11-24T09:30:00.120Z");
        for same in
            ["2026-11-24T09:30:00.120Z", "2026-11-24T09:30:00.120000+00:00", "2026-11-24T10:30:00.12+01:00"]
        {
            assert!(is_same(&json!(same), &moment), "{same}");
        }
        for other in [json!("2026-11-24T09:30:00.121Z"), json!("2026-11-24T09:30:00Z"), json!(null), json!(1)]
        {
            assert!(!is_same(&other, &moment), "{other}");
        }
        assert!(!is_same(&json!("2026-11-24"), &json!("2026-11-25")));
        assert!(is_same(&json!(null), &json!(null)));
    }
}
