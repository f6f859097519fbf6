//! The verification of histories, every hour: in every lab the cases that changed lately, and a sample of all cases.

use std::{sync::Arc, time::Instant};

use shared::{
    base::error::Error,
    case::{ScheduledVerification, VerificationReport},
};

/// Verifies all labs until `deadline`. Fails if something could not be verified, so that an alarm is raised.
pub async fn handler(
    verification: Arc<ScheduledVerification>,
    deadline: Instant,
) -> Result<VerificationReport, Error> {
    let report = verification.run(deadline).await?;
    if report.unverified > 0 {
        return Err(Error::internal("some histories could not be verified"));
    }
    Ok(report)
}
