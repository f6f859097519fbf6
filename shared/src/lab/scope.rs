//! The proof that a request may work in a lab, and the only access to the lab's data.

use std::sync::Arc;

use super::{
    Realtime, Scope, Services,
    linkshub::{Doctor, LinksHub},
    membership::{break_glass, choose},
};
use crate::{
    audit::AuditRecorder,
    auth::{
        AccessToken, Grant, Membership, Operation, Permission, Permissions, RequestContext, within_budget,
    },
    base::{
        LabId, Subject,
        cursor::CursorKey,
        encryption::EncryptionKeys,
        error::{Error, ErrorCode},
        wire_enum::WireEnum,
    },
    files::FileStore,
    http::{Request, requested_lab},
    queue::Queue,
    table::{LabTable, Retry, Table},
    telemetry::{self, Details, LogContext, SecurityEvent},
};

/// One lab that a verified caller may work in: with an active membership, or with break-glass access.
///
/// Only [`LabScope::open`] makes one after it has verified the caller, and all access to case data needs one. The scope
/// supplies the partition key of every call to the table.
///
/// ```compile_fail
/// use shared::{base::LabId, lab::LabScope};
/// // The fields are private and there is no other constructor, so code cannot open a lab just by its id.
/// let forged = LabScope { lab_id: LabId::new(456).unwrap() };
/// ```
pub struct LabScope {
    services: Arc<Services>,
    context: Arc<RequestContext>,
    recorder: Arc<AuditRecorder>,
    lab_id: LabId,
    lab_code: String,
    permissions: Permissions,
    tables: LabTable,
}

impl Scope for LabScope {
    /// Verifies the caller, opens the requested lab (the one in `X-Lab-Id` or `lab_id`, or the caller's only one), and
    /// checks that the caller has the operation's permission there.
    ///
    /// # Errors
    /// Unauthorized, for an invalid token or a user who may not sign in; lab forbidden, without an active membership; lab
    /// required, when the request must name a lab; break-glass required, for a system administrator who gives no reason;
    /// forbidden, without the operation's permission; too many requests; unavailable, when UMS does not answer or the
    /// audit record cannot be written.
    async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> Result<Self, Error> {
        let lab = within_budget(async {
            let context = RequestContext::begin(&services.auth, operation, request, log).await?;
            let requested = requested_lab(request)?;
            let caller = context.caller(&services.auth).await?;
            let membership = match choose(&caller.memberships, requested) {
                Ok(membership) => membership.clone(),
                Err(error) if caller.is_admin && error.code() == ErrorCode::LabForbidden => {
                    break_glass(&services, &context, requested).await?
                }
                Err(error) => return Err(error),
            };
            let _ = log.lab_id.set(membership.lab_id.get());
            Self::enter(services.clone(), context, membership, log).await
        })
        .await?;
        if lab.recorder.is_break_glass() {
            lab.report(SecurityEvent::BreakGlass);
            lab.recorder.record_attempt(Vec::new()).await?;
        }
        if let Err(forbidden) = lab.permit() {
            lab.recorder.record_denied(&forbidden).await?;
            return Err(forbidden);
        }
        Ok(lab)
    }

    fn recorders(&self) -> Vec<Arc<AuditRecorder>> {
        vec![self.recorder.clone()]
    }
}

impl LabScope {
    /// Opens the lab of one membership of the caller.
    pub(super) async fn enter(
        services: Arc<Services>,
        context: Arc<RequestContext>,
        membership: Membership,
        log: &LogContext,
    ) -> Result<Self, Error> {
        let lab_id = membership.lab_id;
        services.auth.limits.count_lab(lab_id, log)?;
        let permissions = match &membership.grant {
            Grant::Role(role) => Permissions::of_role(role),
            Grant::Unknown => services.auth.ums.permissions(&context.token, lab_id).await?,
            Grant::BreakGlass => Permissions::of_break_glass(),
        };
        let lab_code =
            membership.code.filter(|code| !code.is_empty()).unwrap_or_else(|| format!("LAB{lab_id}"));
        let tables = services.tables.of(lab_id);
        let recorder = Arc::new(AuditRecorder::new(
            tables.audit.clone(),
            services.audit_table_days,
            services.seals.clone(),
            context.clone(),
            lab_id,
            &membership.grant,
        ));
        Ok(Self { services, context, recorder, lab_id, lab_code, permissions, tables })
    }

    /// Checks that the caller has the operation's permission.
    ///
    /// # Errors
    /// Forbidden.
    pub(super) fn permit(&self) -> Result<(), Error> {
        self.require(self.context.operation.permission())
    }

    /// Whether the caller has the permission.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// Checks a permission that only some requests of an operation need.
    ///
    /// # Errors
    /// Forbidden.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.allows(permission) {
            return Ok(());
        }
        let detail =
            format!("Your role in this lab does not include the permission {}.", permission.as_str());
        Err(Error::new(ErrorCode::Forbidden, detail))
    }

    /// Reports a security event in this lab.
    pub(crate) fn report(&self, event: SecurityEvent) {
        let details = Details {
            request_id: Some(self.request_id()),
            user_id: Some(self.user_id().as_str()),
            lab_id: Some(self.lab_id.get()),
            case_id: self.context.case_id.filter(|_| event == SecurityEvent::VerificationFailed),
            ..Details::default()
        };
        telemetry::security_event(self.services.stage, event, details);
    }

    /// Writes the audit record of the request in this lab.
    pub(crate) fn recorder(&self) -> &Arc<AuditRecorder> {
        &self.recorder
    }

    /// Gets a doctor who has an active relation to the lab.
    ///
    /// # Errors
    /// Doctor not found, also when the LinksHub integration is off or the doctor has relations only to other labs;
    /// unavailable, when LinksHub does not answer.
    pub async fn doctor(&self, doctor_id: &str) -> Result<Doctor, Error> {
        let doctor = match self.linkshub() {
            Some(linkshub) => linkshub.doctor(&self.context.token, self.lab_id, doctor_id).await?,
            None => None,
        };
        doctor.ok_or_else(|| {
            Error::new(ErrorCode::DoctorNotFound, "The lab does not work with a doctor who has this id.")
        })
    }

    /// The client of LinksHub; `None` when the integration is off.
    pub(crate) fn linkshub(&self) -> Option<&LinksHub> {
        self.services.linkshub.as_ref()
    }

    /// The lab.
    pub fn lab_id(&self) -> LabId {
        self.lab_id
    }

    /// The lab's short code, the first part of its case numbers.
    pub fn lab_code(&self) -> &str {
        &self.lab_code
    }

    /// The caller's user id.
    pub fn user_id(&self) -> &Subject {
        self.context.token.subject()
    }

    /// The caller's token, for calls on their behalf.
    pub(crate) fn token(&self) -> &AccessToken {
        &self.context.token
    }

    /// The id of the request.
    pub fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The retries that the request has time for.
    pub(crate) fn retry(&self) -> Retry {
        Retry::since(self.context.started, self.services.retry_budget)
    }

    /// Whether the request has time left for another call.
    pub(crate) fn has_time_left(&self) -> bool {
        self.context.started.elapsed() < self.services.retry_budget
    }

    /// The table of cases. If the deployment has a role for labs, its identity has access to this lab's partitions only.
    pub(crate) fn table(&self) -> &Table {
        &self.tables.cases
    }

    /// The table of audit records, in the same way.
    pub(crate) fn audit_table(&self) -> &Table {
        &self.tables.audit
    }

    /// The key for cursors.
    ///
    /// # Errors
    /// Internal, in an operation whose responses have no cursors in the contract. Its function has no key.
    pub(crate) fn cursors(&self) -> Result<&CursorKey, Error> {
        let key = self.services.cursors.as_ref().filter(|_| self.context.operation.has_cursors());
        key.ok_or_else(|| Error::internal("the contract has no cursors in this operation"))
    }

    /// The store of files.
    ///
    /// # Errors
    /// Internal, in an operation that does not use it in the contract. Its function has no rights on the bucket.
    pub(crate) fn files(&self) -> Result<&FileStore, Error> {
        if !self.context.operation.uses_files() {
            return Err(Error::internal("the contract has no files in this operation"));
        }
        self.services.files()
    }

    /// The keys that encrypt the secrets of webhooks.
    ///
    /// # Errors
    /// Internal, in an operation that does not use them in the contract. Its function has no keys.
    pub(crate) fn webhook_keys(&self) -> Result<&EncryptionKeys, Error> {
        let keys = self.services.webhook_keys.as_ref();
        keys.filter(|_| self.context.operation.uses_webhook_keys())
            .ok_or_else(|| Error::internal("the contract has no keys of webhooks in this operation"))
    }

    /// The queue of webhooks.
    ///
    /// # Errors
    /// Internal, in an operation that does not use it in the contract. Its function may not send to the queue.
    pub(crate) fn webhook_queue(&self) -> Result<&Queue, Error> {
        if !self.context.operation.uses_webhook_queue() {
            return Err(Error::internal("the contract has no queue of webhooks in this operation"));
        }
        self.services.webhook_queue()
    }

    /// The WebSocket API.
    ///
    /// # Errors
    /// Internal, in an operation that does not use it in the contract. Its function has no rights on the table of connections.
    pub(crate) fn realtime(&self) -> Result<&Realtime, Error> {
        let realtime = self.services.realtime.as_ref();
        realtime
            .filter(|_| self.context.operation.uses_realtime())
            .ok_or_else(|| Error::internal("the contract has no WebSocket in this operation"))
    }

    /// The clients and keys of the deployment.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }
}
