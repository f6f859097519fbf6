//! The step after a restore of the table of cases to an earlier time.

use shared::case::begin_epoch::{EpochStart, LabEpoch, RestoreFacts};

use crate::{failed, patiently};

/// Begins an epoch in every lab. A second run for the same restore changes nothing.
///
/// # Errors
/// The text says what failed. Another run completes it.
pub async fn run(facts: &RestoreFacts) -> Result<Vec<LabEpoch>, String> {
    let start = EpochStart::new(facts)?;
    let labs = start.labs().await.map_err(|error| failed(&error))?;
    let mut epochs = Vec::new();
    for lab in labs {
        epochs.push(patiently(|| start.begin(lab)).await?);
    }
    Ok(epochs)
}

/// The labs as text.
pub fn text(epochs: &[LabEpoch]) -> String {
    let line = |LabEpoch { lab, is_new, kept, last_id }: &LabEpoch| {
        let when = if *is_new { "begins a new epoch" } else { "is in this epoch already" };
        format!("lab {lab} {when}: {kept} changes are kept, new cases get ids after {last_id}\n")
    };
    epochs.iter().map(line).collect()
}

/// What else a restored table needs, as commands of the AWS CLI: DynamoDB restores none of these settings.
pub fn commands(table: &str) -> String {
    let commands = [
        "update-time-to-live --table-name TABLE --time-to-live-specification Enabled=true,AttributeName=expires_at",
        "update-table --table-name TABLE --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
        "wait table-exists --table-name TABLE",
        "update-continuous-backups --table-name TABLE --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        "update-table --table-name TABLE --deletion-protection-enabled",
        "describe-table --table-name TABLE --query Table.LatestStreamLabel --output text",
    ];
    let lines = commands.map(|command| format!("aws dynamodb {}\n", command.replace("TABLE", table)));
    format!(
        "Now turn on what a restored table does not have; the last line is its ExistingTableStreamLabel:\n{}",
        lines.concat()
    )
}
