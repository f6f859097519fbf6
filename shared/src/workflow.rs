//! The states of a case on its way through the lab, and the moves between them.

use serde_json::json;

use crate::{
    choices,
    error::{Code, Error, Fault},
    validate::Choice,
};

choices! {
    /// Where a case stands.
    Status {
        Pending = "pending", InProgress = "in_progress", OnHold = "on_hold", QualityCheck = "quality_check",
        Completed = "completed", Shipped = "shipped", Delivered = "delivered", Returned = "returned",
        Cancelled = "cancelled",
    }
}

impl Status {
    /// The states that a case may be created in; the first is the default.
    pub const INITIAL: &[Status] = &[Status::Pending, Status::InProgress];

    /// Whether the lab still has the case in hand: it can be overdue.
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

    /// Whether entering the state wants a reason for the history.
    pub const fn wants_reason(self) -> bool {
        matches!(self, Status::OnHold | Status::Returned | Status::Cancelled)
    }

    /// Checks a move. Staying is none, so that repeating a request whose answer was lost is harmless.
    ///
    /// # Errors
    /// Illegal transition, naming the legal ones; validation, when a reason is missing.
    pub fn check_move_to(self, to: Status, with_reason: bool) -> Result<(), Error> {
        if self == to {
            return Ok(());
        }
        if !self.next().contains(&to) {
            let detail = match self.next() {
                [] => format!("A case that is {} stays so.", self.as_str()),
                _ => format!("A case that is {} cannot become {}.", self.as_str(), to.as_str()),
            };
            return Err(
                Error::new(Code::IllegalTransition, detail).with("allowed_transitions", json!(self.next()))
            );
        }
        if to.wants_reason() && !with_reason {
            let fault = Fault::new("/reason", format!("is required to make a case {}", to.as_str()));
            return Err(Error::validation(vec![fault]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_reached_and_every_state_but_the_two_ends_can_be_left() {
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
                let checked = from.check_move_to(*to, true).map_err(|error| error.code());
                let legal = from == to || from.next().contains(to);
                assert_eq!(
                    checked,
                    if legal { Ok(()) } else { Err(Code::IllegalTransition) },
                    "{from:?} {to:?}"
                );
            }
        }
    }

    #[test]
    fn leaving_the_usual_way_wants_a_reason() {
        for to in [Status::OnHold, Status::Cancelled] {
            let error = Status::Pending.check_move_to(to, false).unwrap_err();
            assert_eq!(error.code(), Code::ValidationFailed);
        }
        assert!(Status::Pending.check_move_to(Status::InProgress, false).is_ok());
    }
}
