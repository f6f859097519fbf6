//! What every LHCMS function shares, in layers. Each layer imports only the ones before it (a test holds that), so that the
//! modules can be read in this order:
//!
//! 1. [`base`]: ids, time, private values, errors, validation; knows nothing of HTTP services or the table
//! 2. [`config`]: every environment variable, read once
//! 3. [`http`]: requests in, responses out, problem details
//! 4. [`telemetry`]: log lines and metrics
//! 5. `upstream`: calls to other services: pooled client, time budget, circuit breaker, cache
//! 6. [`auth`]: tokens, the User Management Service, rate limits, operations and permissions
//! 7. `table`: the only code that talks to DynamoDB
//! 8. [`audit`]: records of access, written before data leaves
//! 9. [`lab`]: [`LabScope`](lab::LabScope), the proof of tenancy and the only way to data; LinksHub
//! 10. [`audit_log`]: reading the records of access
//! 11. [`case`]: the catalogue, the workflow, the case and one file per operation
//! 12. [`runtime`]: starts a function and wraps every request; health

pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod base;
pub mod case;
pub mod config;
pub mod http;
pub mod lab;
pub mod runtime;
mod table;
pub mod telemetry;
mod upstream;
