//! The labs that a request reads from: one, or with `lab_id=all` every lab of the caller's.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{LabScope, Opened, Operation, Visit, choice::lab_query};
use crate::{
    case::CaseLists,
    error::{Code, Error},
    http::{Request, lab_header},
    rate::Standing,
    services::Services,
    telemetry::Seen,
    ums,
};

/// One lab or several, opened for one verified caller. What is read from several is read from each through its own
/// [`LabScope`].
pub struct Labs {
    scopes: Vec<LabScope>,
    all: bool,
}

impl Labs {
    /// Opens the lab that the request means, or all of the caller's, and checks that the caller may do the operation in
    /// one at least.
    ///
    /// # Errors
    /// Those of [`LabScope::open`].
    pub async fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        seen: &Seen,
    ) -> Result<Opened<Self>, Error> {
        let labs = Self::wanted(services, request, seen).await?;
        let standings = labs.scopes.iter().map(LabScope::standing);
        let standing = standings.fold(None, Standing::tighter);
        let recorders = labs.scopes.iter().map(|lab| lab.recorder().clone()).collect();
        Ok(Opened { scope: labs.require(operation), standing, recorders })
    }

    /// Opens the labs that the request means, whatever the caller may do in them.
    async fn wanted(services: Arc<Services>, request: &Request, seen: &Seen) -> Result<Self, Error> {
        if lab_query(request)?.as_deref() != Some("all") {
            let only = LabScope::wanted(services, request, seen).await?;
            return Ok(Self { scopes: vec![only], all: false });
        }
        let scopes: Vec<LabScope> = ums::within_budget(async {
            let visit = Visit::begin(&services, request, seen).await?;
            if lab_header(request)?.is_some() {
                return Err(Error::parameter("/query/lab_id", "names other labs than X-Lab-Id"));
            }
            let caller = visit.caller(&services).await?;
            let enter = |membership| LabScope::enter(services.clone(), visit.clone(), membership);
            // All to the end: what UMS is asked for one lab is no outage because of another.
            let entered = join_all(caller.memberships.into_iter().map(enter)).await.into_iter();
            entered
                .filter(|lab| !lab.as_ref().is_err_and(|error| error.code() == Code::LabForbidden))
                .collect()
        })
        .await?;
        if scopes.is_empty() {
            return Err(Error::new(Code::LabForbidden, "You have no active membership in any lab."));
        }
        Ok(Self { scopes, all: true })
    }

    /// Begins an operation in the labs in which the caller may do it, and leaves the others.
    ///
    /// # Errors
    /// Forbidden, when there is none.
    fn require(mut self, operation: Operation) -> Result<Self, Error> {
        let mut refusal = None;
        self.scopes.retain(|lab| match lab.require(operation) {
            Ok(()) => true,
            Err(error) => {
                refusal = Some(error);
                false
            }
        });
        match refusal {
            Some(error) if self.scopes.is_empty() => Err(error),
            _ => Ok(self),
        }
    }

    /// The lists of these labs' cases.
    pub fn case_lists(&self) -> CaseLists<'_> {
        CaseLists::new(self)
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
        self.all
    }
}
