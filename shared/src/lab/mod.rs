//! Tenancy: the proof that a request may work in a lab, and the only access to the lab's data.

mod labs;
mod linkshub;
mod membership;
mod scope;
mod services;
mod stored_response;

pub use labs::Labs;
pub use linkshub::{Address, Doctor};
pub use scope::LabScope;
pub(crate) use services::Realtime;
pub use services::Services;
pub(crate) use stored_response::{check_stored_response, response_expires_at};

use std::{future::Future, sync::Arc};

use crate::{
    audit::AuditRecorder, auth::Operation, base::error::Error, http::Request, telemetry::LogContext,
};

/// The first parameter of a handler that needs an access token: the proof of access to one or several labs.
pub trait Scope: Sized + Send + Sync + 'static {
    /// Verifies the caller, opens the requested lab or labs, and checks the operation's permission.
    fn open(
        services: Arc<Services>,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// The recorders of all labs, for a request that is denied.
    fn recorders(&self) -> Vec<Arc<AuditRecorder>>;
}
