//! The reason that a system administrator gives for reading a lab's data without being a member.

use std::fmt;

use lambda_http::http::HeaderName;

use crate::{
    base::{
        error::Error,
        field_error::{FieldCode, FieldError, Invalid},
        wire_enum::WireEnum,
    },
    http::Request,
    wire_enum,
};

/// The header `X-Break-Glass: <code>; <text>`.
const HEADER: HeaderName = HeaderName::from_static("x-break-glass");
const POINTER: &str = "/header/X-Break-Glass";
/// The shortest and the longest accepted text. Ten characters are not enough for "test" or "urgent".
const TEXT_LENGTH: std::ops::RangeInclusive<usize> = 10..=200;
/// How long ago the administrator may have signed in, in seconds.
pub(crate) const MAX_SIGN_IN_AGE_SECONDS: u64 = 15 * 60;

wire_enum! {
    /// The reason as a code, for reviews: a patient's treatment cannot wait; the patient asks for their data (45 CFR
    /// 164.524); an authority or a court asks for it; a security incident is investigated; the lab asks for help.
    BreakGlassCode {
        TreatmentEmergency = "treatment_emergency", PatientRequest = "patient_request", Legal = "legal",
        SecurityIncident = "security_incident", Support = "support",
    }
}

/// A reason, as a code and in words. An audit record holds it as `code: text`.
pub(crate) struct BreakGlass {
    code: BreakGlassCode,
    text: String,
}

impl fmt::Display for BreakGlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.text)
    }
}

impl BreakGlass {
    /// Reads the reason; `None` if the request has none.
    ///
    /// # Errors
    /// Invalid parameter, with everything that is wrong with it.
    pub(crate) fn of(request: &Request) -> Result<Option<Self>, Error> {
        let mut values = request.headers().get_all(&HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Error::parameter(POINTER, Invalid::given_more_than_once()));
        }
        // `to_str` allows tabs, which are not visible characters.
        match value.to_str().ok().filter(|text| !text.contains('\t')) {
            Some(value) => Self::parse(value).map(Some),
            None => {
                let detail = "must have only visible ASCII characters";
                Err(Error::parameter(POINTER, Invalid::format("break_glass_reason", detail)))
            }
        }
    }

    fn parse(value: &str) -> Result<Self, Error> {
        let (code, text) = value.split_once(';').unwrap_or((value, ""));
        let (code, text) = (BreakGlassCode::parse(code.trim()), text.trim());
        let mut errors = Vec::new();
        if code.is_none() {
            let codes = BreakGlassCode::NAMES;
            let detail = format!("must begin with one of these codes and a semicolon: {}", codes.join(", "));
            errors.push(Invalid::new(FieldCode::OneOf, detail).with("allowed", codes.to_vec()));
        }
        if !TEXT_LENGTH.contains(&text.len()) {
            let (min, max) = (*TEXT_LENGTH.start(), *TEXT_LENGTH.end());
            let detail = format!("must give the reason in {min} to {max} characters after the semicolon");
            errors.push(Invalid::new(FieldCode::Length, detail).with("min", min).with("max", max));
        }
        match code.filter(|_| errors.is_empty()) {
            Some(code) => Ok(Self { code, text: text.to_owned() }),
            None => {
                Err(Error::parameters(errors.into_iter().map(|it| FieldError::new(POINTER, it)).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;

    use super::*;
    use crate::http::problem;

    fn of(values: &[&str]) -> Result<Option<String>, Vec<String>> {
        let mut request = Request::new(Body::Empty);
        for value in values {
            request.headers_mut().append(HEADER, value.parse().unwrap());
        }
        let found = BreakGlass::of(&request);
        found.map(|reason| reason.map(|reason| reason.to_string())).map_err(|error| {
            let problem = problem(&error, "r");
            let errors = problem["errors"].as_array().unwrap();
            errors
                .iter()
                .map(|error| {
                    assert_eq!(error["pointer"], POINTER);
                    error["code"].as_str().unwrap().to_owned()
                })
                .collect()
        })
    }

    #[test]
    fn a_reason_is_a_code_and_at_least_ten_characters() {
        assert_eq!(of(&[]), Ok(None));
        let accepted = Ok(Some("legal: order 4711; see the file".to_owned()));
        assert_eq!(of(&["legal; order 4711; see the file"]), accepted);
        assert_eq!(of(&["  legal ;order 4711; see the file  "]), accepted);
        assert!(of(&["support; 0123456789"]).is_ok());
        assert!(of(&[&format!("support; {}", "x".repeat(200))]).is_ok());
    }

    #[test]
    fn everything_wrong_with_a_reason_is_reported() {
        let codes = |names: &[&str]| Err(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(of(&[""]), codes(&["one_of", "length"]));
        assert_eq!(of(&["urgent"]), codes(&["one_of", "length"]));
        assert_eq!(of(&["curious; I want to see the cases"]), codes(&["one_of"]));
        assert_eq!(of(&["Support; I want to see the cases"]), codes(&["one_of"]));
        assert_eq!(of(&["support"]), codes(&["length"]));
        assert_eq!(of(&["support; 012345678 "]), codes(&["length"]));
        assert_eq!(of(&[&format!("support; {}", "x".repeat(201))]), codes(&["length"]));
        assert_eq!(of(&["support; one\ttwo three"]), codes(&["format"]));
        assert_eq!(of(&["support; 0123456789", "legal; 0123456789"]), codes(&["given_more_than_once"]));
    }
}
