//! The colour of a restoration in a request.

use serde::{Deserialize, Serialize};

use super::catalog::{
    CatalogEntry,
    shade::{ShadeSystem, Translucency},
};
use crate::base::{
    field_error::Invalid,
    private::Private,
    validate::{Fields, FromObject, name, one_of, text},
    wire_enum::WireEnum,
};

/// The colour of a restoration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shade {
    /// The dentist's own id for it.
    pub shade_id: Option<Private<String>>,
    /// The shade guide.
    pub shade_system: ShadeSystem,
    /// The value in that guide.
    pub shade_value: Private<String>,
    /// The colour in words.
    pub shade_description: Option<Private<String>>,
    /// How much light it lets through.
    pub translucency: Option<Translucency>,
    /// More instructions.
    pub notes: Option<Private<String>>,
}

impl FromObject for Shade {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let shade_id = fields.optional("shade_id", name(1..=128)).value();
        let shade_system: Option<ShadeSystem> = fields.required("shade_system", one_of);
        let shade_value = fields.required("shade_value", name(1..=64));
        let shade_description = fields.optional("shade_description", text(0..=500)).value();
        let translucency = fields.optional("translucency", one_of).value();
        let notes = fields.optional("notes", text(0..=1000)).value();
        let (shade_system, shade_value) = (shade_system?, shade_value?);
        if shade_system
            .entry()
            .as_ref()
            .is_some_and(|guide| !guide.values.contains(&shade_value.expose().as_str()))
        {
            let detail = format!("is not a shade of {}", shade_system.as_str());
            let invalid = Invalid::inconsistent(fields.pointer_to("shade_system"), detail);
            fields.reject("shade_value", invalid);
        }
        Some(Self { shade_id, shade_system, shade_value, shade_description, translucency, notes })
    }
}
