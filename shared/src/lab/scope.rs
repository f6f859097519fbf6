//! The proof that a request may work in a lab, and the only way to the lab's data.

use std::sync::Arc;

use super::{
    LabId, Operation, Permission, Permissions, Visit,
    choice::{break_glass, choose, wanted_lab},
};
use crate::{
    access::{AccessLists, Recorder},
    case::Cases,
    error::{Code, Error},
    http::Request,
    linkshub::{Doctor, LinksHub},
    rate::Standing,
    retry::Retry,
    services::Services,
    table::Table,
    telemetry::{self, Seen},
    token::{AccessToken, Subject},
    ums::{self, Grant, Membership},
};

/// One lab, opened for one verified caller with an active membership in it.
///
/// There is no way to make one but [`LabScope::open`], and no way to case data but through one: it writes the
/// partition key of every request itself.
///
/// ```compile_fail
/// use shared::lab::{LabId, LabScope};
/// // Private fields and no other constructor: a lab cannot be had by naming it.
/// let forged = LabScope { lab_id: LabId::new(456).unwrap() };
/// ```
pub struct LabScope {
    services: Arc<Services>,
    visit: Arc<Visit>,
    recorder: Arc<Recorder>,
    lab_id: LabId,
    lab_code: String,
    permissions: Permissions,
    standing: Option<Standing>,
    table: Table,
}

/// What became of opening a lab, or several, for an operation.
pub struct Opened<S> {
    /// What the handler is given, or forbidden, when the caller may not do the operation there.
    pub scope: Result<S, Error>,
    /// Where the caller stands with the limits of requests.
    pub(crate) standing: Option<Standing>,
    /// Where it is recorded what the request was given or refused, for each lab.
    pub(crate) recorders: Vec<Arc<Recorder>>,
}

impl LabScope {
    /// Verifies the caller, opens the lab that the request means, and checks that the caller may do the operation there.
    /// The lab is the one that `X-Lab-Id` or `lab_id` names, else the caller's only one.
    ///
    /// # Errors
    /// Unauthorized for a bad token or a user who may not sign in; lab forbidden without an active membership; lab
    /// required when it is not clear which lab is meant; break-glass required for a system administrator who says no
    /// reason; too many requests; unavailable when UMS cannot tell, or when the reason cannot be put on record.
    pub async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        seen: &Seen,
    ) -> Result<Opened<Self>, Error> {
        let lab = Self::wanted(services, request, seen).await?;
        let (standing, recorders) = (lab.standing, vec![lab.recorder.clone()]);
        Ok(Opened { scope: lab.require(operation).map(|()| lab), standing, recorders })
    }

    /// Opens the lab that the request means, whatever the caller may do in it.
    pub(super) async fn wanted(
        services: Arc<Services>,
        request: &Request,
        seen: &Seen,
    ) -> Result<Self, Error> {
        let lab = ums::within_budget(async {
            let visit = Visit::begin(&services, request, seen).await?;
            let wanted = wanted_lab(request)?;
            let caller = visit.caller(&services).await?;
            let membership = match choose(&caller.memberships, wanted) {
                Ok(membership) => membership.clone(),
                Err(error) if caller.is_admin && error.code() == Code::LabForbidden => {
                    break_glass(&services, &visit, wanted).await?
                }
                Err(error) => return Err(error),
            };
            let _ = seen.lab_id.set(membership.lab_id.get());
            Self::enter(services.clone(), visit, membership).await
        })
        .await?;
        if lab.recorder.is_break_glass() {
            telemetry::break_glass(lab.services.stage, lab.lab_id, lab.user_id(), lab.request_id());
            lab.recorder.granted(Vec::new()).await?;
        }
        Ok(lab)
    }

    /// Opens the lab of one of the caller's memberships.
    pub(super) async fn enter(
        services: Arc<Services>,
        visit: Arc<Visit>,
        membership: Membership,
    ) -> Result<Self, Error> {
        let lab_id = membership.lab_id;
        let standing = Standing::tighter(visit.standing, services.limits.lab(lab_id)?);
        let permissions = match &membership.grant {
            Grant::Role(role) => Permissions::of_role(role),
            Grant::Unknown => services.ums.permissions(&visit.token, lab_id).await?,
            Grant::BreakGlass => Permissions::of_break_glass(),
        };
        let lab_code =
            membership.code.filter(|code| !code.is_empty()).unwrap_or_else(|| format!("LAB{lab_id}"));
        let table = services.tables.of(lab_id);
        let recorder = Arc::new(Recorder::new(table.clone(), visit.clone(), lab_id, &membership.grant));
        Ok(Self { services, visit, recorder, lab_id, lab_code, permissions, standing, table })
    }

    /// Whether the caller has the permission.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// Begins an operation, if the caller may do it.
    ///
    /// # Errors
    /// Forbidden.
    pub(super) fn require(&self, operation: Operation) -> Result<(), Error> {
        self.recorder.begin(operation);
        self.require_permission(operation.permission())
    }

    /// Refuses a caller who lacks a permission that only some requests of an operation need.
    pub(crate) fn require_permission(&self, permission: Permission) -> Result<(), Error> {
        if self.allows(permission) {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!("Your role in this lab does not include the permission {}.", permission.as_str()),
        ))
    }

    /// The lab's access records.
    pub fn access_lists(&self) -> AccessLists<'_> {
        AccessLists::new(self)
    }

    /// Where the caller stands with the limits of requests.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// Where it is recorded what the request was given or refused.
    pub(crate) fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// The lab's cases.
    pub fn cases(&self) -> Cases<'_> {
        Cases::new(self, &self.services)
    }

    /// A doctor whom the lab works with.
    ///
    /// # Errors
    /// Doctor not found, also when LinksHub is off or knows the doctor only in other labs; unavailable when LinksHub
    /// does not answer.
    pub async fn doctor(&self, doctor_id: &str) -> Result<Doctor, Error> {
        let doctor = match self.linkshub() {
            Some(linkshub) => linkshub.doctor(&self.visit.token, self.lab_id, doctor_id).await?,
            None => None,
        };
        doctor.ok_or_else(|| Error::new(Code::DoctorNotFound, "The lab works with no such doctor."))
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
        self.visit.token.subject()
    }

    /// The caller's token, for calls on their behalf.
    pub(crate) fn token(&self) -> &AccessToken {
        &self.visit.token
    }

    /// The request that the scope was opened for.
    pub fn request_id(&self) -> &str {
        &self.visit.request_id
    }

    /// The time that the request has for trying again what other writers were in the way of.
    pub(crate) fn retry(&self) -> Retry {
        Retry::since(self.visit.started, self.services.patience)
    }

    /// Whether the request may still begin something.
    pub(crate) fn has_time_left(&self) -> bool {
        self.visit.started.elapsed() < self.services.patience
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
