//! Webhooks: a lab's addresses that get a message of each change, and the delivery to them.

mod delivery;

pub use delivery::{Assignment, Delivery, DeliveryState};
