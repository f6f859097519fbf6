//! The ids of LinksHub in a case: its doctor and its product.

use super::{CaseFields, Cases};
use crate::base::error::Error;

/// The doctor and the product that a change brings into a case.
#[derive(PartialEq, Eq)]
pub(super) struct References {
    doctor: Option<String>,
    product: Option<String>,
}

impl References {
    /// Those of `after` that `before` does not have.
    pub(super) fn new_in(before: Option<&CaseFields>, after: &CaseFields) -> Self {
        let new = |after: &Option<String>, before: Option<&Option<String>>| {
            if before == Some(after) { None } else { after.clone() }
        };
        Self {
            doctor: new(&after.doctor_id, before.map(|before| &before.doctor_id)),
            product: new(&after.product_id, before.map(|before| &before.product_id)),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.doctor.is_none() && self.product.is_none()
    }
}

impl Cases<'_> {
    /// Asks LinksHub about the doctor and the product of a change.
    ///
    /// # Errors
    /// Validation, when LinksHub does not know them as active, or the doctor as related to the lab; unavailable when it
    /// does not answer.
    pub(super) async fn check(&self, references: &References) -> Result<(), Error> {
        let Some(linkshub) = self.lab.linkshub() else { return Ok(()) };
        if references.is_empty() {
            return Ok(());
        }
        let References { doctor, product } = references;
        let (token, lab) = (self.lab.token(), self.lab.lab_id());
        let errors = linkshub.check_references(token, lab, doctor.as_deref(), product.as_deref()).await?;
        if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
    }
}
