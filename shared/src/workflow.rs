//! The states of a case on its way through the lab.

use crate::choices;

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
}
