//! The labs that a request reads from: one, or with `lab_id=all` every lab of the caller's.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{LabScope, Services};
use crate::{
    auth::{Operation, RequestContext, within_budget},
    base::{
        error::{Error, ErrorCode},
        field_error::Invalid,
    },
    http::{Request, is_for_all_labs, lab_header},
    telemetry::LogContext,
};

/// One lab or several, opened for one verified caller. Each is read through its own [`LabScope`].
pub struct Labs {
    scopes: Vec<LabScope>,
    extent: Extent,
}

/// Which labs the request asked for.
enum Extent {
    /// One.
    One,
    /// All of the caller's.
    All,
}

impl Labs {
    /// Opens the lab that the request means, or those of the caller's labs in which the caller may do the operation.
    ///
    /// # Errors
    /// Those of opening one [`LabScope`].
    pub(crate) async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> Result<Self, Error> {
        if !is_for_all_labs(request) {
            let only = LabScope::open(services, operation, request, log).await?;
            return Ok(Self { scopes: vec![only], extent: Extent::One });
        }
        let scopes: Vec<LabScope> = within_budget(async {
            let context = RequestContext::begin(&services.auth, operation, request, log).await?;
            if lab_header(request)?.is_some() {
                let invalid = Invalid::inconsistent("/header/X-Lab-Id", "names other labs than X-Lab-Id");
                return Err(Error::parameter("/query/lab_id", invalid));
            }
            let caller = context.caller(&services.auth).await?;
            let enter = |membership| LabScope::enter(services.clone(), context.clone(), membership, log);
            // All are awaited to the end: dropping a call to UMS because another lab failed would count as an outage.
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

    /// Each lab, at least one, by id.
    pub(crate) fn scopes(&self) -> &[LabScope] {
        &self.scopes
    }

    /// Any of them, for what is the same in all: the caller and the services.
    pub(crate) fn first(&self) -> &LabScope {
        &self.scopes[0]
    }

    /// Whether the request asked for all labs.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.extent, Extent::All)
    }
}

/// The labs in which the caller may do the operation that the function serves.
///
/// # Errors
/// Forbidden, when there is none.
async fn permitted(scopes: Vec<LabScope>) -> Result<Vec<LabScope>, Error> {
    let (permitted, refused): (Vec<_>, Vec<_>) = scopes.into_iter().partition(|lab| lab.permit().is_ok());
    if let (Some(Err(forbidden)), true) = (refused.first().map(LabScope::permit), permitted.is_empty()) {
        for lab in &refused {
            lab.recorder().record_refused(&forbidden).await?;
        }
        return Err(forbidden);
    }
    Ok(permitted)
}
