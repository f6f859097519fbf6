//! `Debug` of a case, of its history and of a request body shows no patient data.

use std::fmt;

use serde_json::json;

use super::{
    Case, CaseFields,
    event::{self, Event},
    item::to_item,
    members,
};
use crate::base::{
    error::Error,
    field_error::{FieldCode, FieldError, Invalid},
};

/// The text in every field that may hold patient data.
const PLANTED: &str = "Jane Roe";

fn case() -> Case {
    let shade = json!({"shade_id": PLANTED, "shade_system": "custom", "shade_value": PLANTED, "shade_description": PLANTED,
        "translucency": null, "notes": PLANTED});
    let crown = json!({"type": "crown", "material": "zirconia", "tooth_numbers": [3], "preparation_type": null,
        "margin_type": null, "shade": shade, "occlusion_type": null});
    let case = json!({
        "id": 7, "lab_id": 123, "version": 1, "status": "pending", "case_number": "RIVERSIDE-202611-7",
        "patient_name": PLANTED, "case_name": PLANTED, "description": PLANTED, "notes": PLANTED,
        "special_instructions": PLANTED, "priority": "medium", "earliest_due_date": "2026-11-24",
        "patient_info": {"patient_id": PLANTED, "age": 44, "gender": "female", "medical_history": PLANTED},
        "fixed_prosthetic": crown, "created_by": "1", "created_at": "2026-11-24T09:30:00.000Z",
        "updated_at": "2026-11-24T09:30:00.000Z", "status_changed_at": "2026-11-24T09:30:00.000Z",
    });
    members::from_item(to_item(&case).unwrap()).unwrap()
}

fn event() -> Event {
    let event = json!({
        "case_id": 7, "version": 1, "action": "created", "at": "2026-11-24T09:30:00.000Z", "user_id": "1",
        "request_id": "r", "reason": PLANTED, "changes": [], "previous_hash": null,
    });
    let event: Event = serde_json::from_value(event).unwrap();
    Event { changes: event::changes(None, Some(&case())).unwrap(), ..event }
}

#[test]
fn debug_of_a_case_and_of_its_history_shows_no_patient_data() {
    assert_eq!(format!("{:?}", case()), "Case { lab_id: LabId(123), id: CaseId(7), version: 1, .. }");
    let event = event();
    assert_eq!(format!("{event:?}"), "Event { case_id: CaseId(7), version: 1, action: Known(Created), .. }");
    let name = event.changes.iter().find(|change| change.field == "patient_name");
    assert_eq!(
        format!("{:?}", name.unwrap()),
        "Change { field: \"patient_name\", from: [private], to: [private] }"
    );
}

#[test]
fn every_free_text_of_a_case_is_wrapped() {
    let CaseFields {
        patient_name, case_name, description, notes, special_instructions, patient_info, ..
    } = case().fields;
    let shade = case().fields.fixed_prosthetic.unwrap().shade.unwrap();
    let texts = [patient_name, case_name, description, notes, special_instructions, event().reason]
        .into_iter()
        .chain([shade.shade_id, Some(shade.shade_value), shade.shade_description, shade.notes]);
    for text in texts {
        assert_eq!(format!("{text:?}"), "Some([private])");
        assert_eq!(text.unwrap().expose(), PLANTED);
    }
    assert_eq!(format!("{patient_info:?}"), "Some([private])");
}

/// Compiles only for types without `Debug`. For a type with `Debug`, both implementations match.
macro_rules! assert_without_debug {
    ($($name:ty),+ $(,)?) => {{
        trait Fits<Which> { fn check() {} }
        impl<T> Fits<()> for T {}
        impl<T: fmt::Debug> Fits<u8> for T {}
        $(<$name as Fits<_>>::check();)+
    }};
}

#[test]
fn types_with_several_fields_of_a_case_have_no_debug() {
    use crate::case::{self, details};
    assert_without_debug!(
        case::CaseFields,
        case::CaseCreate,
        case::CaseUpdate,
        case::CasePatch,
        case::StatusUpdate,
        case::RemakeCreate,
        case::BulkStatusUpdate,
        case::BulkResult,
        case::Comment,
        case::CommentCreate,
        case::CommentUpdate,
        case::CommentPage,
        case::comment::CommentOutcome,
        case::CaseView,
        case::CasePage,
        case::FeedPage,
        case::EventPage,
        crate::http::File,
        details::PatientInfo,
        details::FixedProsthetic,
        details::Denture,
        details::NightGuard,
        details::Implant,
        case::shade::Shade,
        crate::http::IdempotencyKey,
        case::stored_response::StoredResponse,
    );
}

#[test]
fn debug_of_an_error_does_not_name_the_fields_that_a_client_sent() {
    let error = Error::validation(vec![FieldError::new(
        format!("/{PLANTED}"),
        Invalid::new(FieldCode::UnknownField, "is not a known field"),
    )]);
    assert_eq!(format!("{error:?}"), "Error { code: ValidationFailed, cause: None, .. }");
}
