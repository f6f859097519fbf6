//! The proof that a request may work in a lab, and the only way to the lab's data.

use std::sync::Arc;

use super::{
    Services,
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
        error::{Error, ErrorCode},
        wire_enum::WireEnum,
    },
    http::{Request, requested_lab},
    table::{Retry, Table},
    telemetry::{self, LogContext},
};

/// One lab, opened for one verified caller with an active membership in it.
///
/// There is no way to make one but [`LabScope::open`], and no way to case data but through one: it writes the
/// partition key of every request itself.
///
/// ```compile_fail
/// use shared::{base::LabId, lab::LabScope};
/// // Private fields and no other constructor: naming a lab is not enough to open it.
/// let forged = LabScope { lab_id: LabId::new(456).unwrap() };
/// ```
pub struct LabScope {
    services: Arc<Services>,
    context: Arc<RequestContext>,
    recorder: Arc<AuditRecorder>,
    lab_id: LabId,
    lab_code: String,
    permissions: Permissions,
    table: Table,
}

impl LabScope {
    /// Verifies the caller, opens the lab that the request means (the one that `X-Lab-Id` or `lab_id` names, else the
    /// caller's only one), and checks that the caller may do the operation there.
    ///
    /// # Errors
    /// Unauthorized for a bad token or a user who may not sign in; lab forbidden without an active membership; lab
    /// required when it is not clear which lab is meant; break-glass required for a system administrator who gives no
    /// reason; forbidden without the operation's permission; too many requests; unavailable when UMS cannot answer, or
    /// when the audit record cannot be written.
    pub(crate) async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> Result<Self, Error> {
        let lab = within_budget(async {
            let context = RequestContext::begin(&services.auth, operation, request, log).await?;
            let wanted = requested_lab(request)?;
            let caller = context.caller(&services.auth).await?;
            let membership = match choose(&caller.memberships, wanted) {
                Ok(membership) => membership.clone(),
                Err(error) if caller.is_admin && error.code() == ErrorCode::LabForbidden => {
                    break_glass(&services, &context, wanted).await?
                }
                Err(error) => return Err(error),
            };
            let _ = log.lab_id.set(membership.lab_id.get());
            Self::enter(services.clone(), context, membership, log).await
        })
        .await?;
        if lab.recorder.is_break_glass() {
            telemetry::break_glass(lab.services.stage, lab.lab_id, lab.user_id(), lab.request_id());
            lab.recorder.record_granted(Vec::new()).await?;
        }
        if let Err(forbidden) = lab.permit() {
            lab.recorder.record_refused(&forbidden).await?;
            return Err(forbidden);
        }
        Ok(lab)
    }

    /// Opens the lab of one of the caller's memberships.
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
        let table = services.tables.of(lab_id);
        let recorder =
            Arc::new(AuditRecorder::new(table.clone(), context.clone(), lab_id, &membership.grant));
        Ok(Self { services, context, recorder, lab_id, lab_code, permissions, table })
    }

    /// Checks that the caller may do the operation that the function serves.
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

    /// Rejects a caller who lacks a permission that only some requests of an operation need.
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

    /// Records what the request was given or refused.
    pub(crate) fn recorder(&self) -> &Arc<AuditRecorder> {
        &self.recorder
    }

    /// A doctor whom the lab works with.
    ///
    /// # Errors
    /// Doctor not found, also when LinksHub is off or knows the doctor only in other labs; unavailable when LinksHub
    /// does not answer.
    pub async fn doctor(&self, doctor_id: &str) -> Result<Doctor, Error> {
        let doctor = match self.linkshub() {
            Some(linkshub) => linkshub.doctor(&self.context.token, self.lab_id, doctor_id).await?,
            None => None,
        };
        doctor.ok_or_else(|| {
            Error::new(ErrorCode::DoctorNotFound, "The lab does not work with a doctor who has this id.")
        })
    }

    /// LinksHub, asked on behalf of the caller; `None` when the integration is off.
    pub(crate) fn linkshub(&self) -> Option<&LinksHub> {
        self.services.linkshub.as_ref()
    }

    /// The lab.
    pub fn lab_id(&self) -> LabId {
        self.lab_id
    }

    /// The lab's short code, as case numbers begin.
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

    /// The request that the scope was opened for.
    pub fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The time that the request has for trying a write again.
    pub(crate) fn retry(&self) -> Retry {
        Retry::since(self.context.started, self.services.retry_budget)
    }

    /// Whether the request has time left for another call.
    pub(crate) fn has_time_left(&self) -> bool {
        self.context.started.elapsed() < self.services.retry_budget
    }

    /// The table, with an identity that opens this lab's partitions and, if the deployment has a role for that, no others.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What everything is read and written with.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }
}
