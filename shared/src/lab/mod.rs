//! Tenancy: the proof that a request works in a lab, and the only way to the lab's data.

mod labs;
mod linkshub;
mod membership;
mod scope;
mod services;

pub use labs::Labs;
pub use linkshub::{Address, Doctor};
pub use scope::LabScope;
pub use services::Services;
