//! Access records: who saw which patients' data, when, from where, and who was refused it.
//!
//! They are written before the data leaves, and if they cannot be written, it does not leave. The record of a change is
//! written in the transaction of the change; that of many changes before them, and again with what became of them.

mod list;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};

pub use list::{AccessExport, AccessLists, AccessPage};

use crate::{
    case::CaseId,
    choices,
    error::{Code, Error},
    keys,
    lab::{LabId, Operation, Visit},
    table::{self, Item, Table},
    time::Timestamp,
    ums::Grant,
    validate::Choice,
};

/// How long a record is kept: six years (45 CFR 164.316(b)(2)(i)), with their leap days.
const KEPT_DAYS: u32 = 2192;
/// The role of a system administrator who is no member of the lab.
const SYSTEM_ADMINISTRATOR: &str = "system_administrator";

choices! {
    /// What became of an attempt.
    Outcome { Granted = "granted", Refused = "refused" }
}

/// One request that showed patients' data of a lab, or was refused it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// When the lab was opened for the request.
    pub at: Timestamp,
    /// The caller.
    pub user_id: String,
    /// Their role in the lab; none where UMS tells only attributes.
    pub role: Option<String>,
    /// The operation; none if the request got no further than into the lab.
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
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The reason of a system administrator who is no member of the lab.
    pub break_glass: Option<String>,
}

/// Writes the record of one request in one lab: there is one, whose last state counts.
pub struct Recorder {
    table: Table,
    visit: Arc<Visit>,
    lab_id: LabId,
    role: Option<String>,
    is_break_glass: bool,
    at: Timestamp,
    sk: String,
    action: OnceLock<Operation>,
    /// Whether a record tells the action.
    is_told: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(table: Table, visit: Arc<Visit>, lab_id: LabId, grant: &Grant) -> Self {
        let at = Timestamp::now();
        let role = match grant {
            Grant::Role(role) => Some(role.clone()),
            Grant::BreakGlass => Some(SYSTEM_ADMINISTRATOR.to_owned()),
            Grant::Unknown => None,
        };
        Self {
            table,
            visit,
            lab_id,
            role,
            is_break_glass: matches!(grant, Grant::BreakGlass),
            at,
            sk: keys::new_access(at),
            action: OnceLock::new(),
            is_told: AtomicBool::new(false),
        }
    }

    /// Whether the caller is a system administrator who is no member of the lab.
    pub(crate) fn is_break_glass(&self) -> bool {
        self.is_break_glass
    }

    /// Notes what the request is about to do.
    pub(crate) fn begin(&self, action: Operation) {
        // A request does one thing; the first counts.
        let _ = self.action.set(action);
    }

    /// Records that the data of these cases is given out.
    ///
    /// # Errors
    /// Unavailable, when it cannot be written: then the data must stay.
    pub(crate) async fn granted(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        self.table.put(self.granted_item(case_ids)?).await
    }

    /// The same as an item, for the transaction that changes the cases.
    pub(crate) fn granted_item(&self, case_ids: Vec<CaseId>) -> Result<Item, Error> {
        self.item(&self.sk, Outcome::Granted, None, case_ids)
    }

    /// Records that the lab has no such cases, if there are any, beside what else the request was given.
    ///
    /// # Errors
    /// Unavailable, when it cannot be written.
    pub(crate) async fn not_found(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        if case_ids.is_empty() {
            return Ok(());
        }
        let sk = keys::new_access(self.at);
        let item = self.item(&sk, Outcome::Refused, Some(Code::CaseNotFound), case_ids)?;
        self.table.put(item).await
    }

    /// Records what a system administrator did in the lab, if that showed no case and so is not on record yet.
    ///
    /// # Errors
    /// Unavailable, when it cannot be written.
    pub(crate) async fn complete(&self) -> Result<(), Error> {
        if self.is_break_glass && !self.is_told.load(Ordering::Relaxed) {
            self.granted(Vec::new()).await?;
        }
        Ok(())
    }

    /// Records a refusal, if that is what the error is: of a permission, or of a case that the lab does not have.
    ///
    /// # Errors
    /// Unavailable, when it cannot be written.
    pub(crate) async fn refused(&self, error: &Error) -> Result<(), Error> {
        let action = self.action.get();
        let on_record = action.is_some_and(|action| action.is_about_patients());
        let is_refusal = matches!(error.code(), Code::Forbidden | Code::CaseNotFound);
        if !is_refusal || !(on_record || self.is_break_glass) {
            return Ok(());
        }
        let case_ids = self.visit.case_id.into_iter().collect();
        self.table.put(self.item(&self.sk, Outcome::Refused, Some(error.code()), case_ids)?).await
    }

    fn item(
        &self,
        sk: &str,
        outcome: Outcome,
        code: Option<Code>,
        case_ids: Vec<CaseId>,
    ) -> Result<Item, Error> {
        let action = self.action.get();
        self.is_told.fetch_or(action.is_some(), Ordering::Relaxed);
        let record = AccessRecord {
            at: self.at,
            user_id: self.visit.token.subject().to_string(),
            role: self.role.clone(),
            action: action.copied(),
            outcome,
            code: code.map(|code| code.as_str().to_owned()),
            case_ids,
            route: action.map(|action| action.route().to_owned()),
            request_id: self.visit.request_id.clone(),
            source_ip: self.visit.source_ip.clone(),
            user_agent: self.visit.user_agent.clone(),
            break_glass: self.visit.break_glass.clone().filter(|_| self.is_break_glass),
        };
        let mut item = table::to_item(&record)?;
        item.extend(table::key(self.lab_id, sk));
        item.insert("expires_at".to_owned(), table::number(self.at.epoch_seconds_after_days(KEPT_DAYS)));
        Ok(item)
    }
}

impl AccessRecord {
    /// The names of the columns in CSV.
    const COLUMNS: [&'static str; 12] = [
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
    fn cells(&self) -> [String; 12] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let ids: Vec<String> = self.case_ids.iter().map(ToString::to_string).collect();
        [
            self.at.to_string(),
            self.user_id.clone(),
            text(&self.role),
            self.action.map(Choice::as_str).unwrap_or_default().to_owned(),
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
