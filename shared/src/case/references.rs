//! The doctor and the product of a case, which LinksHub must know.

use super::{CaseFields, Cases};
use crate::base::error::Error;

/// The doctor and the product that a change adds to a case.
#[derive(PartialEq, Eq)]
pub(super) struct References {
    doctor: Option<String>,
    product: Option<String>,
}

impl References {
    /// The references in `after` that `before` does not have.
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
    /// Checks the doctor and the product of a change with LinksHub.
    ///
    /// # Errors
    /// Validation, when one of them is not active or the doctor is not related to the lab; unavailable, when LinksHub does
    /// not answer.
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
