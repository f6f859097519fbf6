//! Reads a case from a row of another system: the predecessor's table `cases`, or an export of this service. Names of members
//! are those of the API. Values may be in any of the forms that SQLite, PostgreSQL, JSON and CSV give them.

use std::collections::BTreeMap;

use jiff::{civil, tz::TimeZone};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    super::{Case, CaseFields, newer::Newer, thread::Thread, workflow::Status},
    ImportedCase,
};
use crate::base::{
    CaseId, LabId, calendar::Calendar, time::Timestamp, validate::Fields, wire_enum::WireEnum,
};

/// Members that are objects. Text is read as JSON.
const OBJECTS: [&str; 5] = ["patient_info", "fixed_prosthetic", "denture", "night_guard", "implant"];
/// Members that are text. Numbers are read as text.
const TEXTS: [&str; 9] = [
    "patient_name",
    "case_name",
    "description",
    "notes",
    "special_instructions",
    "procedure_type",
    "doctor_id",
    "product_id",
    "assigned_to",
];
/// Members with a name of the contract. Upper case and spaces are read as lower case and `_`.
const NAMES: [&str; 2] = ["case_type", "priority"];
/// How many values of a case can be set aside.
const MAX_SET_ASIDE: usize = 100;

/// A value, or a whole case, that is not imported. It does not have the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The lab, if its id can be read.
    pub lab_id: Option<LabId>,
    /// The case, if its id can be read.
    pub id: Option<CaseId>,
    /// The value, as a JSON pointer. `None` for the whole case.
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

/// The case of a row, and what was set aside of it.
pub struct Row {
    /// The case; `None` if the whole case is set aside.
    pub case: Option<ImportedCase>,
    /// What was set aside.
    pub set_aside: Vec<SetAside>,
}

/// Reads rows.
#[derive(Default)]
pub struct RowReader {
    /// The labs' short codes, the first part of case numbers. A lab without one has `LAB123`.
    pub lab_codes: BTreeMap<LabId, String>,
    /// The business days of lead times.
    pub calendar: Calendar,
}

impl RowReader {
    /// Reads the case of a row. Unknown members are ignored.
    pub fn read(&self, mut row: Map<String, Value>) -> Row {
        row.retain(|_, value| !is_nothing(value));
        let lab_id = row.get("lab_id").and_then(whole).and_then(|lab| LabId::parse(&lab));
        let id = row.get("id").and_then(whole).and_then(|id| CaseId::parse(&id));
        let mut set_aside = Vec::new();
        let mut add = |field: Option<String>, reason: String| {
            set_aside.push(SetAside { lab_id, id, field, reason });
        };
        let case = match (lab_id, id) {
            (Some(lab_id), Some(id)) => match self.case(&row, lab_id, id, &mut add) {
                Ok(case) => Some(ImportedCase(case)),
                Err(reason) => {
                    add(None, reason);
                    None
                }
            },
            (None, _) => {
                add(None, "lab_id must be a whole number from 1".to_owned());
                None
            }
            (_, None) => {
                add(None, format!("id must be a whole number from 1 to {}", CaseId::MAX));
                None
            }
        };
        Row { case, set_aside }
    }

    fn case(
        &self,
        row: &Map<String, Value>,
        lab_id: LabId,
        id: CaseId,
        set_aside: &mut impl FnMut(Option<String>, String),
    ) -> Result<Case, String> {
        let status = match row.get("status") {
            None => Status::INITIAL[0],
            Some(status) => status
                .as_str()
                .and_then(|status| Status::parse(&contract_name(status)))
                .ok_or_else(|| format!("status must be one of {}", Status::NAMES.join(", ")))?,
        };
        let created_at = moment(row, "created_at")?.ok_or("created_at is missing")?;
        let mut time = |name: &str| {
            moment(row, name).unwrap_or_else(|reason| {
                set_aside(Some(format!("/{name}")), reason);
                None
            })
        };
        let updated_at = time("updated_at").unwrap_or(created_at).max(created_at);
        let status_changed_at = time("status_changed_at").unwrap_or(updated_at);
        let [completed_at, shipped_at, delivered_at, deleted_at] =
            ["completed_at", "shipped_at", "delivered_at", "deleted_at"].map(&mut time);
        let since = |of: Status| Some(status_changed_at).filter(|_| status == of);
        let fields = fields(row, set_aside)?;
        let own = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = self.lab_codes.get(&lab_id).cloned().unwrap_or_else(|| format!("LAB{lab_id}"));
        let mut case = Case {
            id,
            lab_id,
            version: 1,
            status,
            case_number: own("case_number")
                .unwrap_or_else(|| super::super::create::case_number(&code, created_at, id)),
            fields,
            earliest_due_date: created_at.date(),
            remake_of: typed(row, "remake_of"),
            remake_reason_code: typed(row, "remake_reason_code"),
            remakes: typed(row, "remakes").unwrap_or_default(),
            comment_count: 0,
            waiting_for_answer: false,
            created_by: row.get("created_by").and_then(plain).unwrap_or_else(|| super::USER.to_owned()),
            created_at,
            updated_at,
            status_changed_at,
            completed_at: completed_at.or(since(Status::Completed)),
            shipped_at: shipped_at.or(since(Status::Shipped)),
            delivered_at: delivered_at.or(since(Status::Delivered)),
            deleted_at,
            deleted_by: deleted_at
                .map(|_| row.get("deleted_by").and_then(plain).unwrap_or_else(|| super::USER.to_owned())),
            thread: Thread::default(),
            newer: Newer::default(),
        };
        match typed(row, "earliest_due_date") {
            Some(date) => case.earliest_due_date = date,
            None => case.update_earliest_due_date(&self.calendar),
        }
        Ok(case)
    }
}

/// Reads the fields that clients set, under the rules of the API. A value that breaks one is set aside, and the others are read
/// again without it.
fn fields(
    row: &Map<String, Value>,
    set_aside: &mut impl FnMut(Option<String>, String),
) -> Result<CaseFields, String> {
    let mut object = Map::new();
    for name in TEXTS {
        object.extend(row.get(name).and_then(plain).map(|text| (name.to_owned(), json!(text))));
    }
    for name in NAMES {
        let text = row.get(name).and_then(Value::as_str);
        object.extend(text.map(|text| (name.to_owned(), json!(contract_name(text)))));
    }
    if let Some(value) = row.get("rush_order") {
        object.insert("rush_order".to_owned(), truth(value));
    }
    if let Some(value) = row.get("due_date") {
        object.insert("due_date".to_owned(), date(value));
    }
    for name in OBJECTS {
        let value = match row.get(name) {
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(value) => value,
                Err(_) => {
                    set_aside(Some(format!("/{name}")), "is not valid JSON".to_owned());
                    continue;
                }
            },
            Some(value) => value.clone(),
            None => continue,
        };
        if !is_nothing(&value) {
            object.insert(name.to_owned(), value);
        }
    }
    for _ in 0..MAX_SET_ASIDE {
        let mut reader = Fields::new(&object);
        let mut fields = CaseFields::default();
        fields.apply(&mut reader);
        let errors = reader.into_errors();
        let Some(error) = errors.into_iter().next() else { return Ok(fields) };
        if !remove(&mut object, &error.pointer) {
            // Nothing says what kind of case it is.
            if object.contains_key("case_type") {
                return Err("the kind of case cannot be told".to_owned());
            }
            object.insert("case_type".to_owned(), json!("other"));
        }
        set_aside(Some(error.pointer), error.detail);
    }
    Err("too many of its values break rules".to_owned())
}

/// Removes the value at a JSON pointer, or else the object that lacks it. Returns whether there was one.
fn remove(object: &mut Map<String, Value>, pointer: &str) -> bool {
    let path: Vec<String> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let Some((last, parents)) = path.split_last() else { return false };
    let mut at = &mut *object;
    for parent in parents {
        match at.get_mut(parent) {
            Some(Value::Object(inner)) => at = inner,
            _ => return remove(object, &pointer[..pointer.rfind('/').unwrap_or(0)]),
        }
    }
    if at.remove(last).is_some() {
        return true;
    }
    !parents.is_empty() && remove(object, &pointer[..pointer.rfind('/').unwrap_or(0)])
}

/// Whether a value says nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "null" | "{}"),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The text of a text or a number.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text of a whole number.
fn whole(value: &Value) -> Option<String> {
    plain(value).map(|text| text.trim().to_owned())
}

/// A name as the contract writes it.
fn contract_name(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}

/// A boolean. What is none stays as it is, and is then rejected.
fn truth(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return value.clone(),
    };
    match text.as_str() {
        "1" | "true" | "t" => Value::Bool(true),
        "0" | "false" | "f" => Value::Bool(false),
        _ => value.clone(),
    }
}

/// A date, of a date or a time.
fn date(value: &Value) -> Value {
    match value.as_str().and_then(|text| Some((text.get(..10)?, text.get(10..)?))) {
        Some((date, rest)) if rest.starts_with([' ', 'T']) => json!(date),
        _ => value.clone(),
    }
}

/// A moment. A time without an offset is UTC, as the predecessor wrote it.
fn moment(row: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(value) = row.get(name) else { return Ok(None) };
    let text = value.as_str().map(str::trim).unwrap_or_default();
    let naive = || {
        let time: civil::DateTime = text.parse().ok()?;
        Timestamp::parse(&TimeZone::UTC.to_timestamp(time).ok()?.to_string())
    };
    let moment = Timestamp::parse(text).or_else(naive);
    moment.map(Some).ok_or_else(|| format!("{name} must be a time such as 2026-11-24 09:30:00"))
}

/// A member in the form of the API; from CSV it is text.
fn typed<T: DeserializeOwned>(row: &Map<String, Value>, name: &str) -> Option<T> {
    let value = row.get(name)?;
    let of_text = || serde_json::from_str(value.as_str()?).ok();
    serde_json::from_value(value.clone()).ok().or_else(of_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: Value) -> (Option<Value>, Vec<(String, String)>) {
        let Row { case, set_aside } = RowReader::default().read(row.as_object().unwrap().clone());
        let case = case.map(|case| serde_json::to_value(&case.0).unwrap());
        let set_aside =
            set_aside.into_iter().map(|aside| (aside.field.unwrap_or_default(), aside.reason)).collect();
        (case, set_aside)
    }

    #[test]
    fn a_row_of_sqlite_becomes_a_case() {
        let (case, set_aside) = read(json!({
            "id": 7, "lab_id": "123", "doctor_id": 5, "case_name": "Bridge", "status": "IN_PROGRESS", "priority": "HIGH",
            "case_type": "fixed_prosthetic", "due_date": "2026-12-01", "rush_order": 1, "assigned_to": null, "created_by": null,
            "patient_info": "{\"patient_id\": \"P-1\", \"age\": 44}",
            "fixed_prosthetic": "{\"type\": \"bridge\", \"material\": \"zirconia\", \"tooth_numbers\": [1, 2]}",
            "denture": "null", "implant": "{}", "created_at": "2026-11-20 08:15:30.123456", "updated_at": "2026-11-21T09:00:00",
            "some_column": "unknown",
        }));
        assert_eq!(set_aside, []);
        let case = case.unwrap();
        for (name, expected) in [
            ("id", json!(7)),
            ("lab_id", json!(123)),
            ("version", json!(1)),
            ("status", json!("in_progress")),
            ("priority", json!("high")),
            ("procedure_type", json!("Bridge")),
            ("doctor_id", json!("5")),
            ("rush_order", json!(true)),
            ("due_date", json!("2026-12-01")),
            ("created_by", json!("import")),
            ("case_number", json!("LAB123-202611-7")),
            ("created_at", json!("2026-11-20T08:15:30.123Z")),
            ("updated_at", json!("2026-11-21T09:00:00.000Z")),
            ("denture", json!(null)),
        ] {
            assert_eq!(case[name], expected, "{name}");
        }
        assert_eq!(case["patient_info"]["age"], 44);
    }

    #[test]
    fn values_that_break_rules_are_set_aside_and_the_case_is_kept() {
        let (case, set_aside) = read(json!({
            "id": "8", "lab_id": 123, "case_type": "denture", "priority": "urgent", "due_date": "soon",
            "patient_info": {"patient_id": "P-1", "age": -4, "insurance": "x"},
            "denture": {"type": "complete_upper"}, "night_guard": "{broken", "created_at": "2026-11-20 08:15:30",
        }));
        let case = case.unwrap();
        assert_eq!(case["patient_info"]["patient_id"], "P-1");
        assert_eq!((&case["denture"], &case["priority"]), (&json!(null), &json!("medium")));
        let mut fields: Vec<&str> = set_aside.iter().map(|(field, _)| field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "/denture/material",
                "/due_date",
                "/night_guard",
                "/patient_info/age",
                "/patient_info/insurance",
                "/priority"
            ]
        );
    }

    #[test]
    fn a_case_without_a_kind_is_of_the_kind_other() {
        let (case, set_aside) = read(
            json!({"id": 9, "lab_id": 123, "case_type": "plumbing", "created_at": "2026-11-20 08:15:30"}),
        );
        assert_eq!(case.unwrap()["case_type"], "other");
        assert_eq!(set_aside.len(), 2, "{set_aside:?}");
    }

    #[test]
    fn a_case_without_a_lab_an_id_a_status_or_a_time_is_set_aside() {
        let row = json!({"id": 9, "lab_id": 123, "status": "pending", "created_at": "2026-11-20 08:15:30"});
        for (name, value) in [
            ("lab_id", json!("north")),
            ("lab_id", json!("0123")),
            ("lab_id", json!(null)),
            ("id", json!(0)),
            ("status", json!("lost")),
            ("created_at", json!("yesterday")),
            ("created_at", json!(null)),
        ] {
            let mut row = row.clone();
            row[name] = value;
            let (case, set_aside) = read(row);
            assert!(case.is_none(), "{name}");
            assert_eq!(set_aside.len(), 1);
            let (field, reason) = &set_aside[0];
            assert!(field.is_empty() && reason.starts_with(name), "{reason}");
        }
    }
}
