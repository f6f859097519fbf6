//! Chooses the membership of a request, or checks the break-glass access of a system administrator.

use serde_json::json;

use super::Services;
use crate::{
    auth::{Grant, LEEWAY_SECONDS, MAX_SIGN_IN_AGE_SECONDS, Membership, RequestContext},
    base::{
        LabId,
        error::{Error, ErrorCode},
        time::Timestamp,
    },
};

/// Returns the caller's membership in the requested lab, or their only membership.
///
/// # Errors
/// Lab forbidden, without an active membership; lab required, when the request must name one of several labs.
pub(super) fn choose(memberships: &[Membership], requested: Option<LabId>) -> Result<&Membership, Error> {
    match (requested, memberships) {
        (Some(requested), _) => {
            memberships.iter().find(|membership| membership.lab_id == requested).ok_or_else(|| {
                Error::new(
                    ErrorCode::LabForbidden,
                    "You have no active membership in the lab that the request names.",
                )
            })
        }
        (None, [membership]) => Ok(membership),
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

/// Gives a system administrator access to any active lab, although they are not a member. They must give a reason, which is
/// recorded, and must have signed in recently, if the token says when.
///
/// # Errors
/// Break-glass required, without a reason; reauthentication required, after too long a time; lab required, when the request names no lab; lab forbidden, for a lab that is
/// not active.
pub(super) async fn break_glass(
    services: &Services,
    context: &RequestContext,
    requested: Option<LabId>,
) -> Result<Membership, Error> {
    if context.break_glass.is_none() {
        return Err(Error::new(
            ErrorCode::BreakGlassRequired,
            "Being a system administrator does not make you a member of a lab. To read a lab's data, give \
             the reason with the header X-Break-Glass.",
        ));
    }
    if !is_recent(context.token.signed_in_at(), Timestamp::now().epoch_seconds()) {
        return Err(Error::reauthentication_required(
            "Sign in again. To read a lab's data with X-Break-Glass, you must have signed in within the last 15 \
             minutes.",
            MAX_SIGN_IN_AGE_SECONDS,
        ));
    }
    let Some(requested) = requested else {
        return Err(Error::new(ErrorCode::LabRequired, "Name the lab with the header X-Lab-Id."));
    };
    let labs = services.auth.ums.labs_of_administrator(&context.token).await?;
    let lab = labs.into_iter().find(|lab| lab.lab_id == requested);
    lab.map(|lab| Membership { grant: Grant::BreakGlass, ..lab }).ok_or_else(|| {
        Error::new(ErrorCode::LabForbidden, "There is no active lab with the id that the request names.")
    })
}

/// Whether a sign-in at `auth_time` is recent enough for break-glass access. Some providers do not say when it was. All
/// times are in seconds since the Unix epoch.
fn is_recent(auth_time: Option<u64>, now: i64) -> bool {
    let now = now.unsigned_abs();
    // A time far in the future would stay recent for ever.
    auth_time.is_none_or(|at| {
        at <= now + LEEWAY_SECONDS && now.saturating_sub(at) <= MAX_SIGN_IN_AGE_SECONDS + LEEWAY_SECONDS
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
    fn a_lab_without_membership_is_forbidden() {
        let labs = [membership(1), membership(2)];
        assert_eq!(choose(&labs, LabId::new(2)).ok().map(|m| m.lab_id.get()), Some(2));
        assert_eq!(
            choose(&labs, LabId::new(3)).err().map(|error| error.code()),
            Some(ErrorCode::LabForbidden)
        );
        assert_eq!(choose(&[], None).err().map(|error| error.code()), Some(ErrorCode::LabForbidden));
    }

    #[test]
    fn a_sign_in_is_recent_for_fifteen_minutes() {
        let now: i64 = 1_795_512_600;
        for (age, expected) in
            [(0, true), (900, true), (930, true), (931, false), (86_400, false), (-30, true), (-31, false)]
        {
            assert_eq!(is_recent(Some((now - age).unsigned_abs()), now), expected, "{age}");
        }
        assert!(is_recent(None, now));
        assert!(!is_recent(Some(0), now) && !is_recent(Some(u64::MAX), now));
    }

    #[test]
    fn a_caller_with_several_labs_gets_a_list_and_must_name_one() {
        let error = choose(&[membership(1), membership(2)], None).err().unwrap();
        let body = problem(&error, "r");
        assert_eq!(body["code"], "lab_required");
        assert_eq!(body["labs"], json!([{"lab_id": 1, "name": "Lab 1"}, {"lab_id": 2, "name": "Lab 2"}]));
    }
}
