//! The development stack: everything that LHCMS needs on one machine, and the supervisor that runs it.
//!
//! Each part can be served on any listener with any data, so that tests use the same parts as `make dev`:
//!
//! - [`dynamodb`]: an embedded DynamoDB; [`table`]: the service's table, made from template.yaml
//! - [`streams`]: the events of the tables' streams; [`s3`]: an embedded S3; [`scanner`]: a stand-in for the scan of files
//! - [`realtime`]: a stand-in for the WebSocket API; [`queue`]: a stand-in for SQS; [`receiver`]: a receiver of webhooks
//! - [`ums`] and [`linkshub`]: stand-ins for the two services that LHCMS calls; [`seed`]: their data in `make dev`
//! - [`gateway`]: a stand-in for API Gateway in front of `cargo lambda watch`
//! - [`stack`]: all of these with `cargo lambda watch`; [`config`]: its settings

pub mod client;
pub mod config;
pub mod dynamodb;
pub mod gateway;
pub mod linkshub;
pub mod log;
pub mod process;
pub mod queue;
pub mod realtime;
pub mod receiver;
pub mod s3;
pub mod scanner;
pub mod seed;
pub mod server;
pub mod stack;
pub mod streams;
pub mod table;
pub mod ums;

use std::fmt;

/// Why the stack, or a part of it, cannot start or has stopped: one line for the person at the terminal.
#[derive(Debug)]
pub struct Error(String);

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this one-line message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
