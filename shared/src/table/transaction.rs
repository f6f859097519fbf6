//! Transactions: several writes to one lab's partition. DynamoDB writes all of them or nothing.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Config,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Delete, Put, TransactWriteItem, Update as UpdateItem, builders::PutBuilder},
};

use super::{ABSENT, Item, Retry, Table, build_error, failed, key, number};
use crate::{
    base::{LabId, error::Error, time::Timestamp},
    telemetry::{self, Incident},
};

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is written.
    Committed,
    /// Nothing is written, because another request changed or is changing the same items. The data that the transaction
    /// was made from is stale.
    LostRace,
}

/// A transaction under construction.
pub(crate) struct Transaction {
    table_name: String,
    lab: LabId,
    actions: Vec<TransactWriteItem>,
}

/// A change of an item's attributes by expressions.
#[derive(Clone, Default)]
pub(crate) struct Update {
    pub expression: String,
    pub condition: Option<String>,
    pub names: Vec<(String, String)>,
    pub values: Vec<(String, AttributeValue)>,
}

/// A change of single attributes of an item. All others stay, also those of a newer release.
#[derive(Default)]
pub(crate) struct ItemChange {
    set: Vec<(&'static str, AttributeValue)>,
    removed: Vec<&'static str>,
}

impl ItemChange {
    /// Sets an attribute.
    pub(crate) fn set(&mut self, name: &'static str, value: AttributeValue) {
        self.set.push((name, value));
    }

    /// Removes an attribute.
    pub(crate) fn remove(&mut self, name: &'static str) {
        self.removed.push(name);
    }

    /// The change of an item whose attribute still has the value that was read.
    pub(crate) fn if_equal(self, name: &'static str, value: AttributeValue) -> Update {
        let sets: Vec<String> = self.set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let removes: Vec<String> = self.removed.iter().map(|name| format!("#{name}")).collect();
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        let names = self.set.iter().map(|(name, _)| name).chain(&self.removed).chain([&name]);
        let names = names.map(|name| (format!("#{name}"), (*name).to_owned())).collect();
        let mut values = vec![(":before".to_owned(), value)];
        values.extend(self.set.into_iter().map(|(name, value)| (format!(":{name}"), value)));
        Update {
            expression: format!("{}{}", clause("SET", &sets), clause("REMOVE", &removes))
                .trim_end()
                .to_owned(),
            condition: Some(format!("#{name} = :before")),
            names,
            values,
        }
    }
}

impl Transaction {
    /// Makes an empty transaction for the lab's partition.
    pub(crate) fn new(table: &Table, lab: LabId) -> Self {
        Self { table_name: table.name.clone(), lab, actions: Vec::new() }
    }

    /// Writes an item that must not exist yet.
    pub(crate) fn insert(&mut self, sk: &str, item: Item) -> Result<(), Error> {
        let put = self.put_builder(sk, item).condition_expression(ABSENT);
        self.add_put(put)
    }

    /// Adds an item to another table. The item must contain its key and must not exist yet.
    pub(crate) fn insert_into(&mut self, table: &Table, item: Item) -> Result<(), Error> {
        let put = Put::builder().table_name(&table.name).set_item(Some(item)).condition_expression(ABSENT);
        self.add_put(put)
    }

    /// Writes an item that must not exist yet, or whose old version has expired.
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

    /// Replaces an item that must have this version.
    pub(crate) fn replace(&mut self, sk: &str, item: Item, version: u32) -> Result<(), Error> {
        let put = self
            .put_builder(sk, item)
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version));
        self.add_put(put)
    }

    /// Deletes an item that must have this version.
    pub(crate) fn delete(&mut self, sk: &str, version: u32) -> Result<(), Error> {
        let delete = Delete::builder()
            .table_name(&self.table_name)
            .set_key(Some(key(self.lab, sk)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version))
            .build()
            .map_err(build_error)?;
        self.actions.push(TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// Changes attributes of an item, or creates the item.
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
            .map_err(build_error)?;
        self.actions.push(TransactWriteItem::builder().update(update).build());
        Ok(())
    }

    fn put_builder(&self, sk: &str, mut item: Item) -> PutBuilder {
        item.extend(key(self.lab, sk));
        Put::builder().table_name(&self.table_name).set_item(Some(item))
    }

    fn add_put(&mut self, put: PutBuilder) -> Result<(), Error> {
        let put = put.build().map_err(build_error)?;
        self.actions.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }
}

impl Table {
    /// Writes everything or nothing. It sends the transaction again while DynamoDB throttles, still works on the same
    /// transaction, or does not answer. All sends have the same token, so DynamoDB never executes the transaction twice.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<Outcome, Error> {
        let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(36).collect();
        let mut retry = Retry::since(Instant::now(), RESEND_BUDGET);
        // No retries of the SDK, because this loop must know how each send ended.
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
            // After a lost answer, a conflict does not show whether the transaction was executed. Sending the token again
            // does.
            if is(&[FAILED_CONDITION]) || is(&[CONFLICT]) && !answer_was_lost {
                telemetry::count(Incident::DynamoDbConflict);
                return Ok(Outcome::LostRace);
            }
            answer_was_lost |= is_answer_lost(&error);
            let may_succeed = answer_was_lost || is(&RETRYABLE);
            if !may_succeed || !retry.pause().await {
                return Err(failed("TransactWriteItems", &error));
            }
            telemetry::count(Incident::DynamoDbRetry);
        }
    }
}

/// A condition of the transaction failed: another request changed an item first.
const FAILED_CONDITION: &str = "ConditionalCheckFailed";
/// Another transaction is writing the same item. To send this one again is useless: nearly always its conditions would
/// fail, because the other one has changed the item by then.
const CONFLICT: &str = "TransactionConflict";
/// Temporary reasons: of cancelled transactions (the first two), and error codes of whole calls.
const RETRYABLE: [&str; 5] = [
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "TransactionInProgressException",
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
];

/// How long a transaction is sent again. The last send may take another second, so that all sends together take at most
/// 2 s, as those of any other operation.
const RESEND_BUDGET: Duration = Duration::from_secs(1);

/// Whether DynamoDB may have executed the transaction in spite of this error.
fn is_answer_lost(error: &SdkError<TransactWriteItemsError>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => answer.raw().status().is_server_error(),
        _ => false,
    }
}

/// Why DynamoDB rejected a transaction: the reason of each action, or the code of the whole error.
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
