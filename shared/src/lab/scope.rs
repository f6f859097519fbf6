//! The proof that a request may work in a lab, and the only way to the lab's data.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use super::{LabId, Permission, Permissions};
use crate::{
    case::Cases,
    error::{Code, Error},
    http::{Request, lab_header},
    linkshub::{Doctor, LinksHub},
    retry::{self, Retry},
    services::Services,
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
    lab_id: LabId,
    lab_code: String,
    permissions: Permissions,
}

/// One request of a verified caller.
pub(super) struct Visit {
    token: AccessToken,
    request_id: String,
    started: Instant,
}

impl Visit {
    /// Verifies the caller's token.
    pub(super) async fn begin(
        services: &Services,
        request: &Request,
        request_id: &str,
    ) -> Result<Arc<Self>, Error> {
        let started = Instant::now();
        let token = services.verifier.verify(request).await?;
        Ok(Arc::new(Self { token, request_id: request_id.to_owned(), started }))
    }

    /// The caller's active memberships of active labs.
    pub(super) async fn memberships(&self, services: &Services) -> Result<Vec<Membership>, Error> {
        Ok(services.ums.caller(&self.token).await?.memberships)
    }
}

impl LabScope {
    /// Verifies the caller and opens the lab that the request means: the one that `X-Lab-Id` or `lab_id` names, else
    /// the caller's only one.
    ///
    /// # Errors
    /// Unauthorized for a bad token or a user who may not sign in; lab forbidden without an active membership; lab
    /// required when it is not clear which lab is meant; unavailable when UMS cannot tell.
    pub async fn open(services: Arc<Services>, request: &Request, request_id: &str) -> Result<Self, Error> {
        ums::within_budget(async {
            let visit = Visit::begin(&services, request, request_id).await?;
            let wanted = wanted_lab(request)?;
            let memberships = visit.memberships(&services).await?;
            let membership = choose(&memberships, wanted)?.clone();
            Self::enter(services.clone(), visit, membership).await
        })
        .await
    }

    /// Opens the lab of one of the caller's memberships.
    pub(super) async fn enter(
        services: Arc<Services>,
        visit: Arc<Visit>,
        membership: Membership,
    ) -> Result<Self, Error> {
        let permissions = match &membership.grant {
            Grant::Role(role) => Permissions::of_role(role),
            Grant::Unknown => services.ums.permissions(&visit.token, membership.lab_id).await?,
        };
        let lab_id = membership.lab_id;
        let lab_code = membership.code.unwrap_or_else(|| format!("LAB{lab_id}"));
        Ok(Self { services, visit, lab_id, lab_code, permissions })
    }

    /// Whether the caller has the permission.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// Refuses a caller who lacks the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.allows(permission) {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!("Your role in this lab does not include the permission {}.", permission.as_str()),
        ))
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
        Retry::since(self.visit.started)
    }

    /// Whether the request may still begin something.
    pub(crate) fn has_time_left(&self) -> bool {
        self.visit.started.elapsed() < retry::BUDGET
    }

    /// What everything is read and written with.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }
}

/// The lab that the request names, in the header or the query; both may be there if they agree.
fn wanted_lab(request: &Request) -> Result<Option<LabId>, Error> {
    const DETAIL: &str = "must be a lab's id";
    let parse =
        |pointer: &str, text: &str| LabId::parse(text).ok_or_else(|| Error::parameter(pointer, DETAIL));
    let header = lab_header(request)?.map(|text| parse("/header/X-Lab-Id", text)).transpose()?;
    let query = lab_query(request)?.map(|text| parse("/query/lab_id", &text)).transpose()?;
    match (header, query) {
        (Some(header), Some(query)) if header != query => {
            Err(Error::parameter("/query/lab_id", "names another lab than X-Lab-Id"))
        }
        (header, query) => Ok(header.or(query)),
    }
}

/// The text of the query parameter `lab_id`, if it is there.
pub(super) fn lab_query(request: &Request) -> Result<Option<String>, Error> {
    use lambda_http::RequestExt;

    let values =
        request.query_string_parameters_ref().and_then(|query| query.all("lab_id")).unwrap_or_default();
    match values[..] {
        [] => Ok(None),
        [text] => Ok(Some(text.to_owned())),
        _ => Err(Error::parameter("/query/lab_id", "must be given once")),
    }
}

fn choose(memberships: &[Membership], wanted: Option<LabId>) -> Result<&Membership, Error> {
    match (wanted, memberships) {
        (Some(wanted), _) => {
            memberships.iter().find(|membership| membership.lab_id == wanted).ok_or_else(|| {
                Error::new(
                    Code::LabForbidden,
                    "You have no active membership in the lab that the request names.",
                )
            })
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(Error::new(Code::LabForbidden, "You have no active membership in any lab.")),
        (None, several) => {
            let labs: Vec<_> =
                several.iter().map(|lab| json!({"lab_id": lab.lab_id, "name": lab.name})).collect();
            Err(Error::new(
                Code::LabRequired,
                "You belong to several labs: name one with the header X-Lab-Id.",
            )
            .with("labs", json!(labs)))
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{RequestExt, http};

    use super::*;

    fn membership(lab: u64) -> Membership {
        Membership {
            lab_id: LabId::new(lab).unwrap(),
            code: None,
            name: format!("Lab {lab}"),
            grant: Grant::Role("member".into()),
        }
    }

    fn wanted(header: &[&str], query: &[&str]) -> Result<Option<u64>, Code> {
        let mut builder = http::Request::builder();
        for value in header {
            builder = builder.header("X-Lab-Id", *value);
        }
        let parameters = std::collections::HashMap::from([(
            "lab_id".to_owned(),
            query.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>(),
        )]);
        let request = builder.body(().into()).unwrap().with_query_string_parameters(parameters);
        wanted_lab(&request).map(|lab| lab.map(LabId::get)).map_err(|error| error.code())
    }

    #[test]
    fn the_header_and_the_query_may_name_a_lab_if_they_agree() {
        assert_eq!(wanted(&[], &[]), Ok(None));
        assert_eq!(wanted(&["123"], &[]), Ok(Some(123)));
        assert_eq!(wanted(&[], &["123"]), Ok(Some(123)));
        assert_eq!(wanted(&["123"], &["123"]), Ok(Some(123)));
        assert_eq!(wanted(&["123"], &["456"]), Err(Code::InvalidParameter));
    }

    #[test]
    fn what_is_not_clearly_one_lab_is_refused() {
        for header in
            [&["0"][..], &["-1"], &["1 OR 1"], &["0123"], &["99999999999999999999"], &["123", "456"], &[""]]
        {
            assert_eq!(wanted(header, &[]), Err(Code::InvalidParameter), "{header:?}");
        }
        assert_eq!(wanted(&[], &["123", "123"]), Err(Code::InvalidParameter));
    }

    #[test]
    fn a_lab_that_is_not_the_callers_is_forbidden() {
        let labs = [membership(1), membership(2)];
        assert_eq!(choose(&labs, LabId::new(2)).ok().map(|m| m.lab_id.get()), Some(2));
        assert_eq!(choose(&labs, LabId::new(3)).err().map(|error| error.code()), Some(Code::LabForbidden));
        assert_eq!(choose(&[], None).err().map(|error| error.code()), Some(Code::LabForbidden));
    }

    #[test]
    fn several_labs_without_a_choice_are_listed() {
        let error = choose(&[membership(1), membership(2)], None).err().unwrap();
        let body: serde_json::Value = serde_json::from_slice(error.into_response("r").body()).unwrap();
        assert_eq!(body["code"], "lab_required");
        assert_eq!(body["labs"], json!([{"lab_id": 1, "name": "Lab 1"}, {"lab_id": 2, "name": "Lab 2"}]));
    }
}
