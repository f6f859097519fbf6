//! The results of scans for malware: changes the state of the file that was scanned.

use std::sync::Arc;

use shared::{
    base::error::Error,
    case::{ScanEvent, ScanOutcome, ScanProcessor},
};

/// Writes a result. Fails if it could not be written, so that EventBridge delivers it again.
pub async fn handler(processor: Arc<ScanProcessor>, event: ScanEvent) -> Result<ScanOutcome, Error> {
    processor.process(&event).await
}
