//! The labs of a request: one lab, or with `lab_id=all` all of the caller's labs.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{LabScope, Scope, Services};
use crate::{
    audit::AuditRecorder,
    auth::{Operation, RequestContext, within_budget},
    base::{
        error::{Error, ErrorCode},
        field_error::Invalid,
    },
    http::{Request, is_for_all_labs, lab_header},
    telemetry::LogContext,
};

/// One or several labs that a verified caller may read. Each lab has its own [`LabScope`].
pub struct Labs {
    scopes: Vec<LabScope>,
    extent: Extent,
}

/// The requested labs.
enum Extent {
    /// One lab.
    One,
    /// All of the caller's labs.
    All,
}

impl Scope for Labs {
    /// Opens the requested lab, or with `lab_id=all` those labs of the caller in which the caller has the permission.
    ///
    /// # Errors
    /// The errors of [`LabScope::open`].
    async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> Result<Self, Error> {
        if !is_for_all_labs(request) {
            let scope = LabScope::open(services, operation, request, log).await?;
            return Ok(Self { scopes: vec![scope], extent: Extent::One });
        }
        let scopes: Vec<LabScope> = within_budget(async {
            let context = RequestContext::begin(&services.auth, operation, request, log).await?;
            if lab_header(request)?.is_some() {
                let invalid = Invalid::inconsistent(
                    "/header/X-Lab-Id",
                    "must not be all together with the header X-Lab-Id",
                );
                return Err(Error::parameter("/query/lab_id", invalid));
            }
            let caller = context.caller(&services.auth).await?;
            let enter = |membership| LabScope::enter(services.clone(), context.clone(), membership, log);
            // Waits for all of them, because a cancelled call to UMS would count as an outage.
            let entered = join_all(caller.memberships.into_iter().map(enter)).await.into_iter();
            entered
                .filter(|lab| !lab.as_ref().is_err_and(|error| error.code() == ErrorCode::LabForbidden))
                .collect()
        })
        .await?;
        if scopes.is_empty() {
            return Err(Error::new(ErrorCode::LabForbidden, "You have no active membership in any lab."));
        }
        Ok(Self { scopes: permitted(scopes).await?, extent: Extent::All })
    }

    fn recorders(&self) -> Vec<Arc<AuditRecorder>> {
        self.scopes.iter().map(|lab| lab.recorder().clone()).collect()
    }
}

impl Labs {
    /// All labs, at least one, ordered by id.
    pub(crate) fn scopes(&self) -> &[LabScope] {
        &self.scopes
    }

    /// The first lab, for values that are the same in all labs: the caller and the services.
    pub(crate) fn first(&self) -> &LabScope {
        &self.scopes[0]
    }

    /// Whether the request is for all labs.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.extent, Extent::All)
    }
}

/// Selects the labs in which the caller has the operation's permission.
///
/// # Errors
/// Forbidden, when no lab is left.
async fn permitted(scopes: Vec<LabScope>) -> Result<Vec<LabScope>, Error> {
    let (permitted, denied): (Vec<_>, Vec<_>) = scopes.into_iter().partition(|lab| lab.permit().is_ok());
    if let (Some(Err(forbidden)), true) = (denied.first().map(LabScope::permit), permitted.is_empty()) {
        for lab in &denied {
            lab.recorder().record_denied(&forbidden).await?;
        }
        return Err(forbidden);
    }
    Ok(permitted)
}
