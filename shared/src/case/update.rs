//! Updates a case's fields. PUT sets the fields in its body; PATCH also merges nested objects.

use serde_json::{Map, Value};

use super::{
    Case, Cases,
    event::Action,
    fields,
    references::References,
    write::{CaseWrite, Recording, Shards},
};
use crate::{
    auth::Permission,
    base::{
        CaseId,
        error::Error,
        private::Private,
        validate::{Fields, FromObject, one_of, read_only_errors, text, to_json, whole_object},
    },
    http::EntityTags,
    table::keys,
};

/// An update of a case's fields. It sets the fields in the body and replaces nested objects; `null` clears a field.
///
/// The rules depend on the current case, so the type holds the JSON object, and each attempt to write checks it against the
/// case that it has read.
pub struct CaseUpdate {
    object: Map<String, Value>,
}

/// An update by merge patch (RFC 7396). It is like [`CaseUpdate`], but nested objects keep members that the patch does not
/// have.
pub struct CasePatch {
    object: Map<String, Value>,
}

impl FromObject for CaseUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        Some(Self { object: whole_object(fields) })
    }
}

impl FromObject for CasePatch {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        Some(Self { object: whole_object(fields) })
    }
}

/// A case after an update, and the reason of the update.
struct Updated {
    case: Case,
    reason: Option<Private<String>>,
}

impl Cases<'_> {
    /// Sets the fields, if the case has one of the versions in `if_match`.
    ///
    /// # Errors
    /// Case not found; precondition failed; validation; forbidden, when the status changes and the caller may not move
    /// cases; illegal transition; conflict.
    pub async fn update(
        &self,
        id: CaseId,
        update: &CaseUpdate,
        if_match: Option<&EntityTags>,
    ) -> Result<Case, Error> {
        self.update_by(id, if_match, |case| updated(&update.object, case)).await
    }

    /// Merges the patch, if the case has one of the versions in `if_match`.
    ///
    /// # Errors
    /// The errors of [`update`](Self::update).
    pub async fn patch(
        &self,
        id: CaseId,
        patch: &CasePatch,
        if_match: Option<&EntityTags>,
    ) -> Result<Case, Error> {
        self.update_by(id, if_match, |case| updated(&merged(&patch.object, case)?, case)).await
    }

    async fn update_by(
        &self,
        id: CaseId,
        if_match: Option<&EntityTags>,
        update: impl Fn(&Case) -> Result<Updated, Error>,
    ) -> Result<Case, Error> {
        self.write(|| async {
            let mut checked = None;
            loop {
                let mut snapshot = self.read_for_write(vec![keys::case(id)], Shards::Any).await?;
                let before = snapshot.live(id, if_match)?;
                let Updated { case: after, reason } = update(&before.case)?;
                if after.status != before.case.status {
                    self.lab.require(Permission::UpdateStatus)?;
                }
                before.case.status.check_move_to(after.status, reason.as_ref())?;
                let new = References::new_in(Some(&before.case.fields), &after.fields);
                if self.lab.linkshub().is_some() && !new.is_empty() && checked.as_ref() != Some(&new) {
                    self.check(&new).await?;
                    checked = Some(new);
                    // The call to LinksHub takes time, so the case is read again.
                    if self.lab.has_time_left() {
                        continue;
                    }
                    return Err(Error::unavailable("LinksHub", "no time left to write after its answer"));
                }
                let write = CaseWrite {
                    action: Action::Updated,
                    reason: reason.as_ref(),
                    idempotency_key: None,
                    recording: Recording::WithChange,
                };
                return self.replace(write, &before, after, snapshot.position).await;
            }
        })
        .await
    }
}

/// Applies the object's fields to a copy of the case.
///
/// # Errors
/// Validation, with all errors, including read-only fields that differ from the case.
fn updated(object: &Map<String, Value>, case: &Case) -> Result<Updated, Error> {
    let mut updated = case.clone();
    let read_only = read_only_errors(object, &case.view(), fields::read_only())?;
    let object = updated.newer.updated_by(object);
    let mut fields = Fields::new(&object);
    if let Some(status) = fields.optional_but_not_null("status", one_of) {
        updated.status = status;
    }
    let reason = fields.optional("reason", text(1..=500)).value();
    updated.fields.apply(&mut fields);
    fields.skip(fields::read_only());
    fields.extend(read_only);
    fields.finish()?;
    Ok(Updated { case: updated, reason })
}

/// Merges each nested object of the patch into the case's object (RFC 7396). The result is an update with complete nested
/// objects.
fn merged(patch: &Map<String, Value>, case: &Case) -> Result<Map<String, Value>, Error> {
    let mut current = to_json(&case.view())?;
    let mut object = patch.clone();
    for (name, value) in object.iter_mut().filter(|(_, value)| value.is_object()) {
        let mut target = current.remove(name).unwrap_or_default();
        merge(&mut target, value);
        *value = target;
    }
    Ok(object)
}

/// Merges a patch into a value (RFC 7396, section 2).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A: target, patch, result.
    #[test]
    fn a_merge_patch_follows_rfc_7396() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut result = target.clone();
            merge(&mut result, &patch);
            assert_eq!(result, expected, "{patch} into {target}");
        }
    }
}
