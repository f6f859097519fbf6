//! Transactions: several writes to one lab's partition, all of them or none.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Config,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Delete, Put, TransactWriteItem, Update as UpdateItem, builders::PutBuilder},
};

use super::{Item, Retry, Table, failed, key, number, unbuilt};
use crate::base::{LabId, error::Error, time::Timestamp};

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is written.
    Committed,
    /// Another writer was faster, or is writing the same items: nothing is written, and what it was made from is stale.
    LostRace,
}

/// A transaction that is being put together.
pub(crate) struct Transaction {
    table_name: String,
    lab: LabId,
    actions: Vec<TransactWriteItem>,
}

/// A change of an item's attributes by expressions.
#[derive(Default)]
pub(crate) struct Update {
    pub expression: String,
    pub condition: Option<String>,
    pub names: Vec<(String, String)>,
    pub values: Vec<(String, AttributeValue)>,
}

impl Transaction {
    /// An empty one in the lab's partition.
    pub(crate) fn new(table: &Table, lab: LabId) -> Self {
        Self { table_name: table.name.clone(), lab, actions: Vec::new() }
    }

    /// Writes an item that must not be there yet.
    pub(crate) fn insert(&mut self, sk: &str, item: Item) -> Result<(), Error> {
        let put = self.put_builder(sk, item).condition_expression("attribute_not_exists(sk)");
        self.add_put(put)
    }

    /// Writes an item that must not be there yet, unless it has expired.
    pub(crate) fn insert_or_replace_expired(
        &mut self,
        sk: &str,
        item: Item,
        now: Timestamp,
    ) -> Result<(), Error> {
        let put = self
            .put_builder(sk, item)
            .condition_expression("attribute_not_exists(sk) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.epoch_seconds()));
        self.add_put(put)
    }

    /// Writes an item in place of one that has this version.
    pub(crate) fn replace(&mut self, sk: &str, item: Item, version: u32) -> Result<(), Error> {
        let put = self
            .put_builder(sk, item)
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version));
        self.add_put(put)
    }

    /// Writes an item, in place of an earlier one with the same key. The item has its key.
    pub(crate) fn put(&mut self, item: Item) -> Result<(), Error> {
        let put = Put::builder().table_name(&self.table_name).set_item(Some(item));
        self.add_put(put)
    }

    /// Deletes an item that has this version.
    pub(crate) fn delete(&mut self, sk: &str, version: u32) -> Result<(), Error> {
        let delete = Delete::builder()
            .table_name(&self.table_name)
            .set_key(Some(key(self.lab, sk)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version))
            .build()
            .map_err(unbuilt)?;
        self.actions.push(TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// Changes attributes of an item, which is made if it is not there.
    pub(crate) fn update(&mut self, sk: &str, update: Update) -> Result<(), Error> {
        let names = Some(update.names.into_iter().collect())
            .filter(|names: &std::collections::HashMap<_, _>| !names.is_empty());
        let update = UpdateItem::builder()
            .table_name(&self.table_name)
            .set_key(Some(key(self.lab, sk)))
            .update_expression(update.expression)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(Some(update.values.into_iter().collect()))
            .build()
            .map_err(unbuilt)?;
        self.actions.push(TransactWriteItem::builder().update(update).build());
        Ok(())
    }

    fn put_builder(&self, sk: &str, mut item: Item) -> PutBuilder {
        item.extend(key(self.lab, sk));
        Put::builder().table_name(&self.table_name).set_item(Some(item))
    }

    fn add_put(&mut self, put: PutBuilder) -> Result<(), Error> {
        let put = put.build().map_err(unbuilt)?;
        self.actions.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }
}

impl Table {
    /// Writes everything or nothing. While DynamoDB throttles, still works on the same transaction, or does not answer, it
    /// is sent again. One token goes with all sends, so that a transaction whose answer was lost is not done twice.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<Outcome, Error> {
        let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(36).collect();
        let mut retry = Retry::since(Instant::now(), RESEND_BUDGET);
        // Without the SDK's own retries: it matters here how each send ended.
        let sends = Config::builder().retry_config(RetryConfig::disabled());
        let mut answer_was_lost = false;
        loop {
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(transaction.actions.clone()))
                .client_request_token(&token)
                .customize()
                .config_override(sends.clone())
                .send()
                .await;
            let Err(error) = sent else { return Ok(Outcome::Committed) };
            let reasons = cancellation_reasons(&error);
            let is = |known: &[&str]| reasons.iter().any(|reason| known.contains(&reason.as_str()));
            // After a lost answer a conflict does not say whether the transaction was done; only its token does.
            if is(&[FAILED_CONDITION]) || is(&[CONFLICT]) && !answer_was_lost {
                return Ok(Outcome::LostRace);
            }
            answer_was_lost |= is_answer_lost(&error);
            let may_succeed = answer_was_lost || is(&RETRYABLE);
            if !may_succeed || !retry.pause().await {
                return Err(failed("TransactWriteItems", &error));
            }
        }
    }
}

/// A condition of the transaction did not hold: another writer was faster.
const FAILED_CONDITION: &str = "ConditionalCheckFailed";
/// The transaction met another one on the same item. Sent again it would nearly always fail its conditions, because the
/// other one has changed the item by then.
const CONFLICT: &str = "TransactionConflict";
/// Reasons that pass by themselves: of cancelled transactions, and the codes of whole requests.
const RETRYABLE: [&str; 5] = [
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "TransactionInProgressException",
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
];

/// How long a transaction is sent again: as long as all sends of another operation may take.
const RESEND_BUDGET: Duration = Duration::from_secs(2);

/// Whether the transaction may have been done although this came back.
fn is_answer_lost(error: &SdkError<TransactWriteItemsError>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => answer.raw().status().is_server_error(),
        _ => false,
    }
}

/// Why DynamoDB rejected a transaction: the reasons of each action, or else the error's code.
fn cancellation_reasons(error: &SdkError<TransactWriteItemsError>) -> Vec<String> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled
            .cancellation_reasons()
            .iter()
            .map(|reason| reason.code().unwrap_or_default().to_owned())
            .collect(),
        _ => error.code().map(str::to_owned).into_iter().collect(),
    }
}
