//! The measured operations, and the events that the gateway makes of their requests.

use std::{fs, path::Path};

use local::{Error, Result};
use serde_json::{Value, json};

/// A measured operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Create,
    List20,
    Update,
    Status,
    Stats,
    Search,
    List100,
}

impl Operation {
    /// All operations, in the order of the report.
    pub(crate) const ALL: [Self; 8] = [
        Self::Get,
        Self::Create,
        Self::List20,
        Self::Update,
        Self::Status,
        Self::Stats,
        Self::Search,
        Self::List100,
    ];

    /// The operation with this name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let names = Self::ALL.map(Self::name).join(", ");
        let unknown = || Error::new(format!("there is no operation {name:?}; there are {names}"));
        Self::ALL.into_iter().find(|operation| operation.name() == name).ok_or_else(unknown)
    }

    /// The name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::List20 => "list of 20",
            Self::Update => "PUT",
            Self::Status => "PATCH status",
            Self::Stats => "stats",
            Self::Search => "search",
            Self::List100 => "list of 100",
        }
    }

    /// Whether it writes.
    pub(crate) fn is_change(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Status)
    }

    /// The function, which is also the name of its binary.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Get => "get-case",
            Self::Create => "create-case",
            Self::List20 | Self::List100 => "list-cases",
            Self::Update => "update-case",
            Self::Status => "update-case-status",
            Self::Stats => "case-stats",
            Self::Search => "search-cases",
        }
    }
}

/// The last name of the few patients whom the search finds.
pub(crate) const RARE_NAME: &str = "Quillfeather";

/// A new case with what most cases have. `number` makes it different from others.
pub(crate) fn new_case(patient: &str) -> Value {
    json!({
        "patient_name": patient, "procedure_type": "Crown", "status": "in_progress", "priority": "high",
        "notes": "Contact is open", "due_date": "2099-12-24",
        "fixed_prosthetic": {
            "type": "crown", "material": "zirconia", "tooth_numbers": [14], "preparation_type": "full_coverage",
            "shade": {"shade_system": "vita_classical", "shade_value": "A2"},
        },
    })
}

/// The requests of one lab's admin.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    events: Value,
    authorization: String,
    /// The case that is read.
    read_case: u64,
    /// The case that is changed.
    changed_case: u64,
    sent: u64,
    is_on_hold: bool,
}

impl Requests {
    /// The requests of the admin with this `Authorization`, for two cases of their lab. `root` has the events of the tests.
    pub(crate) fn new(root: &Path, authorization: String, read_case: u64, changed_case: u64) -> Result<Self> {
        let mut events = json!({});
        for function in Operation::ALL.map(Operation::function) {
            let file = root.join(format!("tests/events/{function}.json"));
            let text = fs::read_to_string(&file)
                .map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
            events[function] = serde_json::from_str(&text)
                .map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
        }
        Ok(Self { events, authorization, read_case, changed_case, sent: 0, is_on_hold: false })
    }

    /// The next event of an operation. A change really changes the case, because each one has another number.
    pub(crate) fn next(&mut self, operation: Operation) -> Value {
        self.sent += 1;
        let sent = self.sent;
        self.is_on_hold ^= operation == Operation::Status;
        let body = match operation {
            Operation::Create => Some(new_case("Jane Roe")),
            Operation::Update => Some(json!({"notes": format!("Contact is open, note {sent:08}")})),
            Operation::Status if self.is_on_hold => {
                Some(json!({"status": "on_hold", "reason": "Waits for the impression"}))
            }
            Operation::Status => {
                Some(json!({"status": "in_progress", "reason": "Has the impression, goes on"}))
            }
            Operation::Search => Some(json!({"q": RARE_NAME})),
            _ => None,
        };
        let case = match operation {
            Operation::Get => Some(self.read_case),
            Operation::Update | Operation::Status => Some(self.changed_case),
            _ => None,
        };
        let query = if operation == Operation::List100 { "limit=100" } else { "" };
        self.event(operation.function(), case, query, body)
    }

    /// An event of a function, for a case in the path, with a query string and a body.
    pub(crate) fn event(&self, function: &str, case: Option<u64>, query: &str, body: Option<Value>) -> Value {
        let mut event = self.events[function].clone();
        event["headers"]["authorization"] = json!(self.authorization);
        event["rawQueryString"] = json!(query);
        if let Some(case) = case {
            let path = event["rawPath"].as_str().unwrap_or_default().replace("/1", &format!("/{case}"));
            event["rawPath"] = json!(path);
            event["requestContext"]["http"]["path"] = json!(path);
            event["pathParameters"]["id"] = json!(case.to_string());
        }
        if let Some(body) = body {
            event["body"] = json!(body.to_string());
        }
        event
    }
}
