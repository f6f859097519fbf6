//! The states of a case on its way through the lab, and the moves between them.

use serde_json::json;

use crate::{
    base::{
        error::{Error, ErrorCode},
        field_error::{FieldCode, FieldError, Invalid},
        private::Private,
        wire_enum::WireEnum,
    },
    wire_enum,
};

wire_enum! {
    /// The status of a case.
    Status {
        Pending = "pending", InProgress = "in_progress", OnHold = "on_hold", QualityCheck = "quality_check",
        Completed = "completed", Shipped = "shipped", Delivered = "delivered", Returned = "returned",
        Cancelled = "cancelled",
    }
}

impl Status {
    /// The states that a case may be created in; the first is the default.
    pub const INITIAL: &[Status] = &[Status::Pending, Status::InProgress];

    /// Whether the lab still works on the case: it can be overdue.
    pub const fn is_open(self) -> bool {
        !matches!(self, Status::Shipped | Status::Delivered | Status::Cancelled)
    }

    /// The states that a case may move to from here: the whole workflow.
    pub const fn next(self) -> &'static [Status] {
        use Status as S;
        match self {
            S::Pending => &[S::InProgress, S::OnHold, S::Cancelled],
            S::InProgress => &[S::QualityCheck, S::Completed, S::OnHold, S::Returned, S::Cancelled],
            S::OnHold => &[S::Pending, S::InProgress, S::Cancelled],
            S::QualityCheck => &[S::Completed, S::InProgress, S::OnHold],
            S::Completed => &[S::Shipped, S::InProgress, S::Returned],
            S::Shipped => &[S::Delivered, S::Returned],
            S::Returned => &[S::InProgress, S::Cancelled],
            S::Delivered | S::Cancelled => &[],
        }
    }

    /// Whether a move to the state needs a reason for the history.
    pub const fn needs_reason(self) -> bool {
        matches!(self, Status::OnHold | Status::Returned | Status::Cancelled)
    }

    /// Checks a move. To stay is legal, so that repeating a request whose response was lost is harmless.
    ///
    /// # Errors
    /// Illegal transition, naming the legal ones; validation, when a reason is missing.
    pub(super) fn check_move_to(self, to: Status, reason: Option<&Private<String>>) -> Result<(), Error> {
        if self == to {
            return Ok(());
        }
        if !self.next().contains(&to) {
            let detail = match self.next() {
                [] => format!("A case that is {} cannot change status.", self.as_str()),
                _ => format!("A case that is {} cannot become {}.", self.as_str(), to.as_str()),
            };
            return Err(Error::new(ErrorCode::IllegalTransition, detail)
                .with("allowed_transitions", json!(self.next())));
        }
        if to.needs_reason() && reason.is_none() {
            let detail = format!("is required to make a case {}", to.as_str());
            let invalid = Invalid::new(FieldCode::Required, detail).with("status", to.as_str());
            return Err(Error::validation(vec![FieldError::new("/reason", invalid)]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached_and_all_but_the_two_last_can_be_left() {
        for state in Status::ALL {
            let reachable =
                Status::INITIAL.contains(state) || Status::ALL.iter().any(|from| from.next().contains(state));
            assert!(reachable, "{state:?}");
            assert_eq!(state.next().is_empty(), matches!(state, Status::Delivered | Status::Cancelled));
            assert!(!state.next().contains(state), "{state:?} leads to itself");
        }
    }

    #[test]
    fn a_move_is_legal_only_if_the_table_has_it() {
        for from in Status::ALL {
            for to in Status::ALL {
                let checked =
                    from.check_move_to(*to, Some(&Private::new("why".into()))).map_err(|error| error.code());
                let legal = from == to || from.next().contains(to);
                assert_eq!(
                    checked,
                    if legal { Ok(()) } else { Err(ErrorCode::IllegalTransition) },
                    "{from:?} {to:?}"
                );
            }
        }
    }

    #[test]
    fn a_move_off_the_usual_way_needs_a_reason() {
        for to in [Status::OnHold, Status::Cancelled] {
            let error = Status::Pending.check_move_to(to, None).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ValidationFailed);
        }
        assert!(Status::Pending.check_move_to(Status::InProgress, None).is_ok());
    }
}
