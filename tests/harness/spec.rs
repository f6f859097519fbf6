//! `openapi.yaml` as the tests use it: which operation a request is, and whether a response is what it promises.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use contract::Contract;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::webhooks::{DELIVERY, OWN_WEBHOOK};

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The contract.
pub(crate) static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::read(&root().join("openapi.yaml")).unwrap());

/// The document of the contract.
pub(crate) static SPEC: LazyLock<&Value> = LazyLock::new(|| CONTRACT.document());

/// One operation of the contract.
pub(crate) struct Operation {
    pub(crate) path: &'static str,
    pub(crate) method: &'static str,
    pub(crate) value: &'static Value,
    operation: &'static contract::Operation,
}

impl Operation {
    fn of(operation: &'static contract::Operation) -> Self {
        let (path, method) = (&operation.path, &operation.method);
        Self { path, method, value: CONTRACT.details(operation), operation }
    }

    pub(crate) fn id(&self) -> &'static str {
        &self.operation.id
    }

    /// Its path with ids: of the first case, comment and file, and of a doctor, a webhook and a delivery.
    pub(crate) fn example_path(&self) -> String {
        self.path
            .replace("{id}", "1")
            .replace("{comment_id}", "1")
            .replace("{attachment_id}", "att_0000000000000001")
            .replace("{doctor_id}", "DOC001")
            .replace("{webhook_id}", OWN_WEBHOOK)
            .replace("{delivery_id}", DELIVERY)
    }

    /// The crate that serves it.
    pub(crate) fn function(&self) -> String {
        self.operation.function.clone()
    }

    pub(crate) fn is_public(&self) -> bool {
        self.value["security"] == json!([])
    }
}

/// Every operation, in the order of the file.
pub(crate) fn operations() -> Vec<Operation> {
    CONTRACT.operations().iter().map(Operation::of).collect()
}

/// The operation of a request, as the gateway chooses it, with the values of the path's parameters.
pub(crate) fn route(method: &str, path: &str) -> Option<(Operation, BTreeMap<String, String>)> {
    CONTRACT.route(method, path).map(|route| (Operation::of(route.operation), route.parameters))
}

/// What is wrong with a response, by the contract: its status, its media type, its required headers, its body.
pub(crate) fn faults(
    operation: &Operation,
    status: u16,
    headers: &lambda_http::http::HeaderMap,
    body: &[u8],
) -> Vec<String> {
    let Some(response) = operation.value["responses"].get(status.to_string()) else {
        return vec![format!("{} does not answer {status}", operation.id())];
    };
    let response = resolved(response);
    let mut faults = Vec::new();
    for (name, header) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
        if resolved(header)["required"] == true && !headers.contains_key(name.as_str()) {
            faults.push(format!("the header {name} is missing"));
        }
    }
    if operation.method == "HEAD" {
        // The headers of the GET, its Content-Type among them, and no content.
        if !body.is_empty() {
            faults.push("the response to HEAD has a body".into());
        }
        return faults;
    }
    let content_type = headers.get("content-type").map(|value| value.to_str().unwrap());
    let essence = content_type.map(|text| text.split(';').next().unwrap().trim().to_owned());
    let media = match (response.get("content"), &essence) {
        (None, None) => return faults,
        (Some(content), Some(essence)) => content.get(essence),
        _ => None,
    };
    let Some(media) = media else {
        faults.push(format!("the media type {content_type:?} is not promised"));
        return faults;
    };
    if essence.is_some_and(|essence| essence == "application/json" || essence.ends_with("+json")) {
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return vec![format!("the body is no JSON: {error}")],
        };
        faults.extend(schema_faults(&media["schema"], &body));
    }
    faults
}

/// Where a value breaks a schema of the contract.
pub(crate) fn schema_faults(schema: &Value, value: &Value) -> Vec<String> {
    // Building one takes longer than using it a hundred times.
    static BUILT: LazyLock<Mutex<BTreeMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let validator = BUILT.lock().unwrap().entry(schema.to_string()).or_insert_with(|| built(schema)).clone();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn built(schema: &Value) -> Arc<Validator> {
    static COMPONENTS: LazyLock<Value> = LazyLock::new(|| json_schema(&SPEC["components"]));
    let mut schema = json_schema(schema);
    schema["components"] = COMPONENTS.clone();
    Arc::new(jsonschema::options().with_draft(jsonschema::Draft::Draft4).build(&schema).unwrap())
}

pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => SPEC.pointer(&reference[1..]).unwrap_or_else(|| panic!("no {reference}")),
        None => value,
    }
}

/// OpenAPI 3.0's dialect as JSON Schema draft 4: `nullable` becomes a choice with null.
fn json_schema(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let nullable = members.get("nullable") == Some(&json!(true));
            let converted: Map<String, Value> = members
                .iter()
                .filter(|(name, value)| !(*name == "nullable" && value.is_boolean()))
                .map(|(name, value)| (name.clone(), json_schema(value)))
                .collect();
            if nullable { json!({"anyOf": [converted, {"type": "null"}]}) } else { Value::Object(converted) }
        }
        Value::Array(items) => items.iter().map(json_schema).collect(),
        other => other.clone(),
    }
}
