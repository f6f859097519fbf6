//! What is kept of one access.

use serde::{Deserialize, Serialize};

use crate::{
    auth::Operation,
    base::{CaseId, time::Timestamp, wire_enum::WireEnum},
    wire_enum,
};

wire_enum! {
    /// How an attempt ended.
    Outcome { Granted = "granted", Refused = "refused" }
}

/// One request that was given patients' data of a lab, or was refused it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When the lab was opened for the request.
    pub at: Timestamp,
    /// The caller.
    pub user_id: String,
    /// The caller's role in the lab; none where UMS names only attributes.
    pub role: Option<String>,
    /// The operation; none in records of earlier releases that ended before it was known.
    pub action: Option<Operation>,
    /// Whether data was given out.
    pub outcome: Outcome,
    /// The code of the problem, when it was refused.
    pub code: Option<String>,
    /// The cases whose data was given out, or that was asked for.
    pub case_ids: Vec<CaseId>,
    /// Method and path of the operation.
    pub route: Option<String>,
    /// The request; the log has the same id.
    pub request_id: String,
    /// The address that the gateway saw.
    pub source_ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The reason of a system administrator who is not a member of the lab.
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

    /// Its cells, in the order of the columns.
    pub(crate) fn cells(&self) -> [String; 12] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let ids: Vec<String> = self.case_ids.iter().map(ToString::to_string).collect();
        [
            self.at.to_string(),
            self.user_id.clone(),
            text(&self.role),
            self.action.map(WireEnum::as_str).unwrap_or_default().to_owned(),
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
