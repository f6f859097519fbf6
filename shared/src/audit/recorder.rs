//! Writes audit records.

use std::sync::{Arc, Mutex, PoisonError};

use lambda_http::http::StatusCode;

use super::{AuditRecord, Outcome, seal};
use crate::{
    auth::{Grant, RequestContext},
    base::{
        CaseId, LabId,
        error::{Error, ErrorCode},
        seal::SealKeys,
        time::Timestamp,
    },
    table::{self, Item, Table, Transaction, keys},
    telemetry::{self, Incident},
};

/// The role of a system administrator who is not a member of the lab.
const SYSTEM_ADMINISTRATOR: &str = "system_administrator";

/// Writes the audit records of one request in one lab. A record is never replaced: a request whose result is not known when
/// it begins to work writes an attempt first and its results later.
pub struct AuditRecorder {
    table: Table,
    table_days: u32,
    seals: Arc<SealKeys>,
    context: Arc<RequestContext>,
    lab_id: LabId,
    role: Option<String>,
    is_break_glass: bool,
    at: Timestamp,
    /// The cases that the request has read and not returned yet. An error about them shows something of them.
    read: Mutex<Vec<CaseId>>,
}

impl AuditRecorder {
    pub(crate) fn new(
        table: Table,
        table_days: u32,
        seals: Arc<SealKeys>,
        context: Arc<RequestContext>,
        lab_id: LabId,
        grant: &Grant,
    ) -> Self {
        let role = match grant {
            Grant::Role(role) => Some(role.clone()),
            Grant::BreakGlass => Some(SYSTEM_ADMINISTRATOR.to_owned()),
            Grant::Unknown => None,
        };
        let is_break_glass = matches!(grant, Grant::BreakGlass);
        let (at, read) = (Timestamp::now(), Mutex::default());
        Self { table, table_days, seals, context, lab_id, role, is_break_glass, at, read }
    }

    /// Whether the caller is a system administrator who is not a member of the lab.
    pub(crate) fn is_break_glass(&self) -> bool {
        self.is_break_glass
    }

    /// Notes that the request has read a case and compares its own content with it.
    pub(crate) fn note_read(&self, id: CaseId) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !read.contains(&id) {
            read.push(id);
        }
    }

    /// Records that the request is about to read or change these cases. Other records of the request have the results.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written. Then the request must not go on.
    pub(crate) async fn record_attempt(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        self.add(self.item(Outcome::Attempted, None, case_ids)?).await
    }

    /// Records that the request gets the data of these cases.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written. Then the data must not be returned.
    pub(crate) async fn record_granted(&self, case_ids: Vec<CaseId>) -> Result<(), Error> {
        self.add(self.item(Outcome::Granted, None, case_ids)?).await
    }

    /// Adds the same record to the transaction that changes the cases.
    pub(crate) fn add_granted(
        &self,
        transaction: &mut Transaction,
        case_ids: Vec<CaseId>,
    ) -> Result<(), Error> {
        transaction.insert_into(&self.table, self.item(Outcome::Granted, None, case_ids)?)
    }

    /// Records that the request was refused for these cases, if there are any.
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written.
    pub(crate) async fn record_refused(&self, code: ErrorCode, case_ids: Vec<CaseId>) -> Result<(), Error> {
        if case_ids.is_empty() {
            return Ok(());
        }
        self.add(self.item(Outcome::Refused, Some(code), case_ids)?).await
    }

    /// Records that the request was refused, if the error says so: a missing permission, a case that the lab does not have, or
    /// an error that shows something of a case that was read (its status, its version, its read-only values).
    ///
    /// # Errors
    /// Unavailable, when the record cannot be written.
    pub(crate) async fn record_denied(&self, error: &Error) -> Result<(), Error> {
        let read = std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner));
        if reveals(error.code()) && !read.is_empty() {
            return self.record_refused(error.code(), read).await;
        }
        use ErrorCode::{AttachmentNotFound, CaseDisposed, CaseNotFound, CommentNotFound, Forbidden};
        let is_denial = matches!(
            error.code(),
            Forbidden | CaseNotFound | CaseDisposed | CommentNotFound | AttachmentNotFound
        );
        if !is_denial || !(self.context.operation.has_patient_data() || self.is_break_glass) {
            return Ok(());
        }
        let case_ids = self.context.case_id.into_iter().collect();
        self.add(self.item(Outcome::Refused, Some(error.code()), case_ids)?).await
    }

    async fn add(&self, item: Item) -> Result<(), Error> {
        let added = self.table.add(item).await;
        if added.is_err() {
            telemetry::count(Incident::AuditFailure);
        }
        added
    }

    fn item(&self, outcome: Outcome, code: Option<ErrorCode>, case_ids: Vec<CaseId>) -> Result<Item, Error> {
        let RequestContext { token, operation, request_id, source_ip, user_agent, break_glass, .. } =
            &*self.context;
        let record = AuditRecord {
            at: self.at,
            user_id: token.subject().to_string(),
            role: self.role.clone(),
            action: Some((*operation).into()),
            outcome: outcome.into(),
            code: code.map(|code| code.as_str().to_owned()),
            case_ids,
            route: Some(operation.route().to_owned()),
            request_id: request_id.clone(),
            source_ip: source_ip.clone(),
            user_agent: user_agent.clone(),
            break_glass: break_glass.as_ref().filter(|_| self.is_break_glass).map(ToString::to_string),
        };
        let mut item = table::to_item(&record)?;
        item.extend(table::key(self.lab_id, &keys::new_audit_record(self.at)));
        item.insert(
            "expires_at".to_owned(),
            table::number(self.at.epoch_seconds_after_days(self.table_days)),
        );
        seal::seal(&self.seals, &mut item)?;
        Ok(item)
    }
}

/// Whether an error about a case shows something of the case.
pub(crate) fn reveals(code: ErrorCode) -> bool {
    matches!(
        code.status(),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED | StatusCode::UNPROCESSABLE_ENTITY
    )
}
