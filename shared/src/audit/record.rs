//! The audit record of one access.

use serde::{Deserialize, Serialize};

use crate::{
    auth::Operation,
    base::{CaseId, time::Timestamp, wire_enum::Stored},
    wire_enum,
};

wire_enum! {
    /// Whether the request got the data. An attempt is recorded before the result is known; other records of the same request
    /// have the result.
    Outcome { Granted = "granted", Refused = "refused", Attempted = "attempted" }
}

/// The record of one request that got patients' data of a lab, or was denied it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When the request was allowed to enter the lab.
    pub at: Timestamp,
    /// The caller.
    pub user_id: String,
    /// The caller's role in the lab; `None` if UMS names only attributes.
    pub role: Option<String>,
    /// The operation; `None` in some records of earlier releases.
    pub action: Option<Stored<Operation>>,
    /// Whether the request got the data.
    pub outcome: Stored<Outcome>,
    /// The code of the problem, when the request was denied.
    pub code: Option<String>,
    /// The returned or requested cases.
    pub case_ids: Vec<CaseId>,
    /// Method and path of the operation.
    pub route: Option<String>,
    /// The request's id, which the log has as well.
    pub request_id: String,
    /// The client's address, from the gateway.
    pub source_ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The reason of a system administrator who is not a member of the lab: `code: text`.
    pub break_glass: Option<String>,
}

impl AuditRecord {
    /// The names of the columns in CSV.
    pub(crate) const COLUMNS: [&'static str; 12] = [
        "at",
        "user_id",
        "role",
        "action",
        "outcome",
        "code",
        "case_ids",
        "route",
        "request_id",
        "source_ip",
        "user_agent",
        "break_glass",
    ];

    /// The cells of its row in CSV, in the order of the columns.
    pub(crate) fn cells(&self) -> [String; 12] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let ids: Vec<String> = self.case_ids.iter().map(ToString::to_string).collect();
        [
            self.at.to_string(),
            self.user_id.clone(),
            text(&self.role),
            self.action.as_ref().map(Stored::as_str).unwrap_or_default().to_owned(),
            self.outcome.as_str().to_owned(),
            text(&self.code),
            ids.join(" "),
            text(&self.route),
            self.request_id.clone(),
            text(&self.source_ip),
            text(&self.user_agent),
            text(&self.break_glass),
        ]
    }
}
