//! Which lab a request means, and by what right its caller may enter it.

use serde_json::json;

use super::{LabId, Visit};
use crate::{
    error::{Code, Error},
    http::{Request, lab_header},
    services::Services,
    ums::{Grant, Membership},
};

/// The lab that the request names, in the header or the query; both may be there if they agree.
pub(super) fn wanted_lab(request: &Request) -> Result<Option<LabId>, Error> {
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

/// The membership by which the caller works in the wanted lab, or in their only one.
pub(super) fn choose(memberships: &[Membership], wanted: Option<LabId>) -> Result<&Membership, Error> {
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

/// The way into a lab for a system administrator, who is no member by being one: any active lab, for a reason that goes
/// on record.
///
/// # Errors
/// Break-glass required, without a reason; lab required, without a lab; lab forbidden, for one that is not active.
pub(super) async fn break_glass(
    services: &Services,
    visit: &Visit,
    wanted: Option<LabId>,
) -> Result<Membership, Error> {
    if visit.break_glass.is_none() {
        return Err(Error::new(
            Code::BreakGlassRequired,
            "System administrators are members of no lab by that. To read one, say why with X-Break-Glass.",
        ));
    }
    let Some(wanted) = wanted else {
        return Err(Error::new(Code::LabRequired, "Name the lab with the header X-Lab-Id."));
    };
    let labs = services.ums.labs_of_administrator(&visit.token).await?;
    let lab = labs.into_iter().find(|lab| lab.lab_id == wanted);
    lab.map(|lab| Membership { grant: Grant::BreakGlass, ..lab }).ok_or_else(|| {
        Error::new(Code::LabForbidden, "There is no active lab with the id that the request names.")
    })
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
