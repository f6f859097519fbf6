//! Writes audit records.

use std::sync::Arc;

use super::{AuditRecord, Outcome};
use crate::{
    auth::{Grant, RequestContext},
    base::{
        CaseId, LabId,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    table::{self, Item, Table, keys},
};

/// How long a record is kept: six years (45 CFR 164.316(b)(2)(i)), including their leap days.
const KEPT_DAYS: u32 = 2192;
/// The role of a system administrator who is not a member of the lab.
const SYSTEM_ADMINISTRATOR: &str = "system_administrator";

/// Writes the audit record of one request in one lab. A later write replaces an earlier one.
pub struct AuditRecorder {
    table: Table,
    context: Arc<RequestContext>,
    lab_id: LabId,
    role: Option<String>,
    is_break_glass: bool,
    at: Timestamp,
    sk: String,
}

impl AuditRecorder {
    pub(crate) fn new(table: Table, context: Arc<RequestContext>, lab_id: LabId, grant: &Grant) -> Self {
        let at = Timestamp::now();
        let role = match grant {
            Grant::Role(role) => Some(role.clone()),
            Grant::BreakGlass => Some(SYSTEM_ADMINISTRATOR.to_owned()),
            Grant::Unknown => None,
        };
        let is_break_glass = matches!(grant, Grant::BreakGlass);
        Self { table, context, lab_id, role, is_break_glass, at, sk: keys::new_audit_record(at) }
    }

    /// Whether the caller is a system administrator who is not a member of the lab.
    pub(crate) fn is_break_glass(&self) -> bool {
        self.is_break_glass
    }

    /// Records that the request gets the data of these cases.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written. Then the data must not be returned.
    pub(crate) async fn record_granted(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        self.table.put(self.granted_item(case_ids)?).await
    }

    /// Makes the same record as an item, for the transaction that changes the cases.
    pub(crate) fn granted_item(&self, case_ids: Vec<CaseId>) -> Result<Item, Error> {
        self.item(&self.sk, Outcome::Granted, None, case_ids)
    }

    /// Writes a second record for the requested cases that the lab does not have, if there are any.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written.
    pub(crate) async fn record_not_found(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        if case_ids.is_empty() {
            return Ok(());
        }
        let sk = keys::new_audit_record(self.at);
        let item = self.item(&sk, Outcome::Refused, Some(ErrorCode::CaseNotFound), case_ids)?;
        self.table.put(item).await
    }

    /// Records that the request was denied, if the error says so: a missing permission, or a case that the lab does not
    /// have.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written.
    pub(crate) async fn record_denied(&self, error: &Error) -> Result<(), Error> {
        let is_denial = matches!(error.code(), ErrorCode::Forbidden | ErrorCode::CaseNotFound);
        if !is_denial || !(self.context.operation.has_patient_data() || self.is_break_glass) {
            return Ok(());
        }
        let case_ids = self.context.case_id.into_iter().collect();
        self.table.put(self.item(&self.sk, Outcome::Refused, Some(error.code()), case_ids)?).await
    }

    fn item(
        &self,
        sk: &str,
        outcome: Outcome,
        code: Option<ErrorCode>,
        case_ids: Vec<CaseId>,
    ) -> Result<Item, Error> {
        let RequestContext { token, operation, request_id, source_ip, user_agent, break_glass, .. } =
            &*self.context;
        let record = AuditRecord {
            at: self.at,
            user_id: token.subject().to_string(),
            role: self.role.clone(),
            action: Some(*operation),
            outcome,
            code: code.map(|code| code.as_str().to_owned()),
            case_ids,
            route: Some(operation.route().to_owned()),
            request_id: request_id.clone(),
            source_ip: source_ip.clone(),
            user_agent: user_agent.clone(),
            break_glass: break_glass.as_ref().filter(|_| self.is_break_glass).map(ToString::to_string),
        };
        let mut item = table::to_item(&record)?;
        item.extend(table::key(self.lab_id, sk));
        item.insert("expires_at".to_owned(), table::number(self.at.epoch_seconds_after_days(KEPT_DAYS)));
        Ok(item)
    }
}
