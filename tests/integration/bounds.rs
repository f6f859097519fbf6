//! Every text and list of a request body has a bound in the contract, and the code enforces exactly that bound.

use serde_json::{Value, json};

use crate::harness::{
    Service,
    spec::{SPEC, resolved},
};

/// A text or list that a client may send.
struct Bounded {
    pointer: String,
    limit: usize,
    is_list: bool,
    /// The names that the list accepts; a list without names accepts ids: texts or numbers.
    names: Vec<&'static Value>,
    has_texts: bool,
    /// Whether it accepts ids of files.
    has_files: bool,
    /// Whether it accepts certain characters only.
    has_pattern: bool,
    /// What each text begins with.
    beginning: &'static str,
    /// What each text ends with.
    end: &'static str,
}

impl Bounded {
    /// A value of this size, valid except perhaps for its size.
    fn value(&self, size: usize) -> Value {
        if self.is_list && !self.names.is_empty() {
            return self.names.iter().copied().cycle().take(size).cloned().collect();
        }
        if self.is_list && self.has_files {
            return (1..=size).map(|number| json!(format!("att_{number:016}"))).collect();
        }
        if self.is_list && self.has_texts {
            return (1..=size).map(|number| json!(format!("id{number}"))).collect();
        }
        if self.is_list {
            return (1..=size).collect();
        }
        // Bounds of text count characters; this character has two bytes.
        let (beginning, end) = (self.beginning, self.end);
        let letter = if self.has_pattern || !beginning.is_empty() { "x" } else { "é" };
        json!(format!("{beginning}{}{end}", letter.repeat(size - beginning.len() - end.len())))
    }

    /// A body that contains only this value.
    fn body(&self, size: usize) -> Value {
        let names = self.pointer.split('/').skip(1).collect::<Vec<_>>();
        names.into_iter().rev().fold(self.value(size), |inner, name| json!({name: inner}))
    }
}

/// Read-only lists of responses, which a client may send back unchanged.
const OF_ANSWERS: [&str; 2] = ["warnings", "allowed_transitions"];

/// Collects the texts and lists below a schema of the contract.
fn collect(schema: &'static Value, pointer: &str, found: &mut Vec<Bounded>) {
    let schema = resolved(schema);
    if schema["description"].as_str().is_some_and(|text| text.starts_with("Read-only")) {
        // Compared with the stored value, and never written.
        return;
    }
    for key in ["allOf", "anyOf"] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            collect(part, pointer, found);
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties.filter(|(name, _)| !OF_ANSWERS.contains(&name.as_str())) {
        collect(property, &format!("{pointer}/{name}"), found);
    }
    let is_list = match schema["type"].as_str() {
        Some("array") => true,
        Some("string") if schema.get("enum").is_none() && schema.get("format").is_none() => false,
        _ => return,
    };
    let limit = &schema[if is_list { "maxItems" } else { "maxLength" }];
    let limit = limit.as_u64().unwrap_or_else(|| panic!("{pointer} has no bound")) as usize;
    found.push(Bounded {
        pointer: pointer.to_owned(),
        limit,
        is_list,
        names: resolved(&schema["items"])["enum"].as_array().into_iter().flatten().collect(),
        has_files: resolved(&schema["items"])["pattern"]
            .as_str()
            .is_some_and(|text| text.starts_with("^att_")),
        has_texts: resolved(&schema["items"])["type"] == "string",
        has_pattern: schema.get("pattern").is_some(),
        beginning: if pointer == "/url" { "https://example.com/" } else { "" },
        end: if pointer == "/case_number" { "-1" } else { "" },
    });
}

#[tokio::test]
async fn texts_and_lists_are_accepted_up_to_their_limit_and_rejected_beyond_it() {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let comment =
        service.as_user("admin", "POST", "/api/v1/cases/1/comments").json(json!({"text": "a comment"}));
    comment.send().await.expect(201);
    service.put_webhooks_of_both_labs().await;
    let mut checked = 0;
    let (whole, patch) = ("application/json", "application/merge-patch+json");
    for (schema, method, path, media_type) in [
        ("CaseCreate", "POST", "/api/v1/cases", whole),
        ("CaseUpdate", "PUT", "/api/v1/cases/1", whole),
        ("CasePatch", "PATCH", "/api/v1/cases/1", patch),
        ("StatusUpdate", "PATCH", "/api/v1/cases/1/status", whole),
        ("RemakeCreate", "POST", "/api/v1/cases/1/remakes", whole),
        ("CommentCreate", "POST", "/api/v1/cases/1/comments", whole),
        ("CommentUpdate", "PUT", "/api/v1/cases/1/comments/1", whole),
        ("CaseSearch", "POST", "/api/v1/cases/search", whole),
        ("BulkStatusUpdate", "POST", "/api/v1/cases/bulk-status", whole),
        ("WebhookCreate", "POST", "/api/v1/webhooks", whole),
        ("WebhookUpdate", "PUT", "/api/v1/webhooks/wh_0123456789abcdef", whole),
        ("Replay", "POST", "/api/v1/webhooks/wh_0123456789abcdef/replay", whole),
    ] {
        let mut found = Vec::new();
        collect(&SPEC["components"]["schemas"][schema], "", &mut found);
        for bounded in &found {
            let faults = async |size| {
                let call = service.as_user("admin", method, path).header("content-type", media_type);
                let reply = call.bytes(bounded.body(size).to_string()).send().await;
                let pointers = if reply.status == 422 { reply.pointers() } else { Vec::new() };
                pointers.contains(&bounded.pointer)
            };
            let is_name_of_the_catalogue = bounded.pointer == "/procedure_type";
            assert_eq!(faults(bounded.limit).await, is_name_of_the_catalogue, "{schema}{}", bounded.pointer);
            assert!(faults(bounded.limit + 1).await, "{schema}{}", bounded.pointer);
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} were found");
}

#[tokio::test]
async fn a_body_with_too_deep_nesting_is_rejected_as_malformed_json() {
    let service = Service::start().await;
    for depth in [127, 128, 10_000, 500_000] {
        let body = format!("{{\"patient_name\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let call =
            service.as_user("admin", "POST", "/api/v1/cases").header("content-type", "application/json");
        let reply = call.bytes(body.into_bytes()).send().await;
        match depth {
            ..127 => reply.expect_problem(422, "validation_failed"),
            _ => reply.expect_problem(400, "malformed_json"),
        };
    }
    let body = json!({"patient_name": [[[["deep"]]]]});
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(body).send().await;
    reply.expect_problem(422, "validation_failed");
}
