//! The streams of the tables: archives what changed, and ends the life of cases whose retention has ended.

use std::sync::Arc;

use shared::streams::{StreamEvent, StreamProcessor, StreamReport};

/// Processes a batch of changes. Reports the first change that must be delivered again.
pub async fn handler(processor: Arc<StreamProcessor>, event: StreamEvent) -> StreamReport {
    processor.process(event).await
}
