//! The library of all LHCMS functions, in layers. Each layer imports only earlier layers, which a test checks. Read the
//! modules in this order:
//!
//! 1. [`base`]: ids, time, private values, errors, validation; no HTTP service and no table
//! 2. [`config`]: every environment variable, read once
//! 3. [`http`]: requests in, responses out, problem details
//! 4. [`telemetry`]: log lines and metrics
//! 5. `upstream`: calls to other services: pooled client, time budget, circuit breaker, cache
//! 6. [`auth`]: tokens, the User Management Service, rate limits, operations and permissions
//! 7. `table`: the only code that calls DynamoDB
//! 8. [`audit`]: audit records, written before data is returned
//! 9. `s3`: the client of S3
//! 10. [`archive`]: the archive of audit records and events in S3
//! 11. `files`: the files of cases in S3, and the signed requests that send and get them
//! 12. [`queue`]: the queue of webhooks
//! 13. [`lab`]: [`LabScope`](lab::LabScope), the proof of tenancy and the only access to data; LinksHub
//! 14. [`audit_log`]: reading the audit records
//! 15. [`case`]: the catalogue, the workflow, the case and one file per operation
//! 16. [`message`]: the messages that tell other systems of changes
//! 17. `event_bus`: the event bus that gets each message, if there is one
//! 18. [`webhook`]: the webhooks of a lab, and the delivery of messages to them
//! 19. [`trail`]: the verification of the audit trail against the archive
//! 20. [`streams`]: what happens after a change: archive, messages and disposal, on the tables' streams
//! 21. [`realtime`]: tickets and connections of the WebSocket API, and the signals of changes to them
//! 22. [`migration`]: items of earlier releases
//! 23. [`lab_data`]: all items of a lab, to move or destroy them
//! 24. [`runtime`]: starts a function and wraps every request; health

pub mod archive;
pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod base;
pub mod case;
pub mod config;
mod event_bus;
mod files;
pub mod http;
pub mod lab;
pub mod lab_data;
pub mod message;
pub mod migration;
pub mod queue;
pub mod realtime;
pub mod runtime;
mod s3;
pub mod streams;
mod table;
pub mod telemetry;
pub mod trail;
mod upstream;
pub mod webhook;
