//! The stream of cases, for clients: sends a signal of each change to the open connections of its lab.

use std::sync::Arc;

use shared::{base::error::Error, realtime::ChangePusher, streams::StreamEvent};

/// Sends the signals of a batch of changes.
///
/// # Errors
/// Unavailable. The batch is delivered again.
pub async fn handler(pusher: Arc<ChangePusher>, event: StreamEvent) -> Result<(), Error> {
    pusher.push(event).await
}
