//! Reads the fields of a case from a request.

use super::{
    CaseFields, ProcedureType,
    rules::{self, Explicit},
};
use crate::base::validate::{Fields, Patch, boolean, date, name, one_of, reference, text};

impl CaseFields {
    /// Sets the fields in the object; `null` clears a field, and fields that are absent keep their values. Then it applies
    /// the rules between the fields.
    pub(super) fn apply(&mut self, fields: &mut Fields) {
        fields.optional("patient_name", name(1..=200)).set(&mut self.patient_name);
        let procedure_type = fields.optional("procedure_type", ProcedureType::from_value);
        let case_type = fields.optional("case_type", one_of);
        let explicit = Explicit {
            procedure_type: matches!(procedure_type, Patch::Value(_)),
            case_type: matches!(case_type, Patch::Value(_)),
        };
        procedure_type.set(&mut self.procedure_type);
        case_type.set(&mut self.case_type);
        fields.optional("case_name", name(1..=200)).set(&mut self.case_name);
        fields.optional("description", text(0..=2000)).set(&mut self.description);
        fields.optional("notes", text(0..=4000)).set(&mut self.notes);
        fields.optional("special_instructions", text(0..=4000)).set(&mut self.special_instructions);
        fields.optional("priority", one_of).set_or_default(&mut self.priority);
        fields.optional("rush_order", boolean).set_or_default(&mut self.rush_order);
        fields.optional("due_date", date).set(&mut self.due_date);
        fields.optional("doctor_id", reference).set(&mut self.doctor_id);
        fields.optional("product_id", reference).set(&mut self.product_id);
        fields.optional("assigned_to", reference).set(&mut self.assigned_to);
        fields.nested("patient_info").set(&mut self.patient_info);
        fields.nested("fixed_prosthetic").set(&mut self.fixed_prosthetic);
        fields.nested("denture").set(&mut self.denture);
        fields.nested("night_guard").set(&mut self.night_guard);
        fields.nested("implant").set(&mut self.implant);
        // While a single field has an error, errors of the rules between fields would not be useful.
        if fields.is_sound() {
            fields.extend(rules::settle(self, explicit));
        }
    }
}
