//! By which membership, or by what other right, a caller enters a lab.

use serde_json::json;

use super::Services;
use crate::{
    auth::{Grant, Membership, RequestContext},
    base::{
        LabId,
        error::{Error, ErrorCode},
    },
};

/// The membership by which the caller works in the wanted lab, or in their only one.
pub(super) fn choose(memberships: &[Membership], wanted: Option<LabId>) -> Result<&Membership, Error> {
    match (wanted, memberships) {
        (Some(wanted), _) => {
            memberships.iter().find(|membership| membership.lab_id == wanted).ok_or_else(|| {
                Error::new(
                    ErrorCode::LabForbidden,
                    "You have no active membership in the lab that the request names.",
                )
            })
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(Error::new(ErrorCode::LabForbidden, "You have no active membership in any lab.")),
        (None, several) => {
            let labs: Vec<_> =
                several.iter().map(|lab| json!({"lab_id": lab.lab_id, "name": lab.name})).collect();
            Err(Error::new(
                ErrorCode::LabRequired,
                "You are a member of several labs. Name one with the header X-Lab-Id.",
            )
            .with("labs", json!(labs)))
        }
    }
}

/// The way into a lab for a system administrator, who is not a member by being one: any active lab, with a reason that is
/// recorded.
///
/// # Errors
/// Break-glass required, without a reason; lab required, without a lab; lab forbidden, for one that is not active.
pub(super) async fn break_glass(
    services: &Services,
    context: &RequestContext,
    wanted: Option<LabId>,
) -> Result<Membership, Error> {
    if context.break_glass.is_none() {
        return Err(Error::new(
            ErrorCode::BreakGlassRequired,
            "Being a system administrator does not make you a member of a lab. To read a lab's data, give the reason with the header X-Break-Glass.",
        ));
    }
    let Some(wanted) = wanted else {
        return Err(Error::new(ErrorCode::LabRequired, "Name the lab with the header X-Lab-Id."));
    };
    let labs = services.auth.ums.labs_of_administrator(&context.token).await?;
    let lab = labs.into_iter().find(|lab| lab.lab_id == wanted);
    lab.map(|lab| Membership { grant: Grant::BreakGlass, ..lab }).ok_or_else(|| {
        Error::new(ErrorCode::LabForbidden, "There is no active lab with the id that the request names.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem;

    fn membership(lab: u64) -> Membership {
        Membership {
            lab_id: LabId::new(lab).unwrap(),
            code: None,
            name: format!("Lab {lab}"),
            grant: Grant::Role("member".into()),
        }
    }

    #[test]
    fn a_lab_that_is_not_the_callers_is_forbidden() {
        let labs = [membership(1), membership(2)];
        assert_eq!(choose(&labs, LabId::new(2)).ok().map(|m| m.lab_id.get()), Some(2));
        assert_eq!(
            choose(&labs, LabId::new(3)).err().map(|error| error.code()),
            Some(ErrorCode::LabForbidden)
        );
        assert_eq!(choose(&[], None).err().map(|error| error.code()), Some(ErrorCode::LabForbidden));
    }

    #[test]
    fn several_labs_without_a_choice_are_listed() {
        let error = choose(&[membership(1), membership(2)], None).err().unwrap();
        let body = problem(&error, "r");
        assert_eq!(body["code"], "lab_required");
        assert_eq!(body["labs"], json!([{"lab_id": 1, "name": "Lab 1"}, {"lab_id": 2, "name": "Lab 2"}]));
    }
}
