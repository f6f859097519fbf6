//! The only module that calls DynamoDB: reads and writes by key, transactions with retries, and errors without internal
//! details.

mod canonical;
pub(crate) mod client;
mod connections;
mod connector;
mod key_items;
pub(crate) mod keys;
mod lab_role;
mod metering;
mod query;
mod repair;
mod retry;
mod transaction;
mod write;

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, update_item::UpdateItemError},
    types::{AttributeValue, KeysAndAttributes, ReturnValue},
};
use futures_util::future::try_join_all;
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use canonical::hash_without;
pub(crate) use key_items::KeyWrite;
pub(crate) use lab_role::{LabTable, LabTables};
pub(crate) use query::{Filter, Index, Order, Query};
pub(crate) use retry::Retry;
pub(crate) use transaction::{ItemChange, Transaction, Update};
pub(crate) use write::Attempt;

use crate::{
    base::{CaseId, LabId, error::Error},
    config::TableConfig,
    telemetry::{self, Incident},
};

/// An item of the table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The condition that there is no item with the same key.
const ABSENT: &str = "attribute_not_exists(sk)";

/// DynamoDB's limit of keys in one BatchGetItem.
const BATCH: usize = 100;

/// Whether a read returns the newest writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// The read may return an older state, at half the price.
    Eventual,
    /// The read returns the newest state.
    Strong,
}

/// The result of a read of many items.
#[derive(Default)]
pub(crate) struct Found {
    /// The existing items by sort key.
    pub items: HashMap<String, Item>,
    /// The sort keys for which there was no time.
    pub unread: HashSet<String>,
}

/// A table of the deployment.
#[derive(Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// Makes a client of the configured table with the function's own identity. Sends nothing yet.
    pub(crate) fn new(config: &TableConfig) -> Result<Self, String> {
        Ok(Self { client: Client::from_conf(client::config(config)?), name: config.name.clone() })
    }

    /// Reads one item, strongly consistent.
    pub(crate) async fn get(&self, lab: LabId, sk: &str) -> Result<Option<Item>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed("GetItem", &error))?;
        Ok(answer.item)
    }

    /// Reads the items with these sort keys. The result has the existing ones by sort key.
    ///
    /// # Errors
    /// Unavailable, also when DynamoDB throttles the reads until `retry` has no time left.
    pub(crate) async fn get_many(
        &self,
        lab: LabId,
        sks: &[String],
        consistency: Consistency,
        retry: Retry,
    ) -> Result<HashMap<String, Item>, Error> {
        let found = self.get_some(lab, sks, consistency, retry).await?;
        if found.unread.is_empty() { Ok(found.items) } else { Err(throttled()) }
    }

    /// Reads the same, but returns what it has when DynamoDB throttles the reads until `retry` has no time left.
    ///
    /// # Errors
    /// Unavailable, when DynamoDB does not answer.
    pub(crate) async fn get_some(
        &self,
        lab: LabId,
        sks: &[String],
        consistency: Consistency,
        retry: Retry,
    ) -> Result<Found, Error> {
        let batches = sks.chunks(BATCH).map(|sks| self.get_batch(lab, sks, consistency, retry.clone()));
        let mut all = Found::default();
        for found in try_join_all(batches).await? {
            all.items.extend(found.items);
            all.unread.extend(found.unread);
        }
        Ok(all)
    }

    async fn get_batch(
        &self,
        lab: LabId,
        sks: &[String],
        consistency: Consistency,
        mut retry: Retry,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut requested = KeysAndAttributes::builder().consistent_read(consistency == Consistency::Strong);
        for sk in sks {
            requested = requested.keys(key(lab, sk));
        }
        let mut requested = Some(requested.build().map_err(build_error)?);
        // DynamoDB returns keys unprocessed when it throttles or when the answer would be larger than 16 MB.
        while let Some(keys) = requested.take() {
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, keys)
                .send()
                .await
                .map_err(|error| failed("BatchGetItem", &error))?;
            let items = answer.responses.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default();
            let got_some = !items.is_empty();
            for item in items {
                let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned();
                found.items.insert(sk.ok_or_else(|| Error::internal("an item without a sort key"))?, item);
            }
            requested = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name));
            // Also a throttled table returns something each time, so that alone does not mean that there is time.
            if let Some(left) = &requested
                && !(if got_some { retry.has_time_left() } else { retry.pause().await })
            {
                let sk = |key: &Item| key.get("sk").and_then(|sk| sk.as_s().ok()).cloned();
                found.unread.extend(left.keys().iter().filter_map(sk));
                break;
            }
            if requested.is_some() {
                telemetry::count(Incident::DynamoDbRetry);
            }
        }
        Ok(found)
    }

    /// Adds an item, which must contain its key: a key that nothing else ever uses. It never replaces an item. An existing item
    /// is this one, written by a call whose answer was lost.
    pub(crate) async fn add(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        match put.condition_expression(ABSENT).send().await {
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failed("PutItem", &error)),
            Ok(_) => Ok(()),
        }
    }

    /// Writes an item, which must contain its key. It replaces an existing one.
    pub(crate) async fn put(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| failed("PutItem", &error))
    }

    /// Changes attributes of an item under the condition of `update`. Returns whether it was so.
    pub(crate) async fn update(&self, lab: LabId, sk: &str, update: Update) -> Result<bool, Error> {
        let names = Some(update.names.into_iter().collect())
            .filter(|names: &HashMap<String, String>| !names.is_empty());
        let values = Some(update.values.into_iter().collect())
            .filter(|values: &HashMap<String, AttributeValue>| !values.is_empty());
        let sent = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .update_expression(update.expression)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failed("UpdateItem", &error)),
        }
    }

    /// Removes attributes of an existing item and sets another one. An item that is gone stays so.
    pub(crate) async fn strip(
        &self,
        lab: LabId,
        sk: &str,
        removed: &[&str],
        (name, value): (&str, AttributeValue),
    ) -> Result<(), Error> {
        let placeholders: Vec<String> = removed.iter().map(|name| format!("#{name}")).collect();
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, sk)))
            .update_expression(format!("SET #{name} = :value REMOVE {}", placeholders.join(", ")))
            .condition_expression("attribute_exists(sk)")
            .set_expression_attribute_names(Some(
                removed.iter().chain([&name]).map(|name| (format!("#{name}"), (*name).to_owned())).collect(),
            ))
            .expression_attribute_values(":value", value);
        match update.send().await {
            Err(error)
                if !matches!(
                    error.as_service_error(),
                    Some(UpdateItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Err(failed("UpdateItem", &error))
            }
            _ => Ok(()),
        }
    }

    /// Lists all labs that have created a case, from the index of counters.
    pub(crate) async fn labs(&self) -> Result<Vec<LabId>, Error> {
        let mut labs = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .index_name("labs")
                .key_condition_expression("registry = :labs")
                .expression_attribute_values(":labs", text(keys::LABS))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| failed("Query", &error))?;
            let ids = page.items.unwrap_or_default();
            labs.extend(ids.iter().filter_map(|item| LabId::parse(item.get("lab_id")?.as_s().ok()?)));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(labs);
            }
        }
    }

    /// Returns the next case id of a lab. An id stays unused when the creation of its case fails.
    pub(crate) async fn next_case_id(&self, lab: LabId) -> Result<CaseId, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, keys::COUNTER)))
            // The registry lists the labs. Only the first update of a counter changes it.
            .update_expression("SET registry = :labs ADD last_id :one")
            .expression_attribute_values(":labs", text(keys::LABS))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| failed("UpdateItem", &error))?;
        answer
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.get("last_id")?.as_n().ok()?.parse().ok())
            .and_then(CaseId::new)
            .ok_or_else(|| Error::internal("the counter is not a case id"))
    }

    /// Whether the table answers a read.
    pub(crate) async fn is_up(&self) -> bool {
        // No lab has the id 0, so this partition is always empty.
        let nothing =
            HashMap::from([("lab_id".to_owned(), text("0")), ("sk".to_owned(), text(keys::COUNTER))]);
        self.client.get_item().table_name(&self.name).set_key(Some(nothing)).send().await.is_ok()
    }
}

/// Makes an item of a value. Unset fields are left out.
pub(crate) fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    let mut item: Item =
        serde_dynamo::to_item(value).map_err(|_| Error::internal("a value does not serialize to an item"))?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

/// The attribute of a value.
pub(crate) fn to_attribute(value: &impl Serialize) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|_| Error::internal("a value does not serialize to an attribute"))
}

/// Reads the value from an item.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|_| Error::internal("an item does not have the expected fields"))
}

/// The primary key of an item.
pub(crate) fn key(lab: LabId, sk: &str) -> Item {
    HashMap::from([("lab_id".to_owned(), text(keys::lab(lab))), ("sk".to_owned(), text(sk))])
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A boolean attribute.
pub(crate) fn boolean(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A number attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The error of a read for which DynamoDB had no capacity in time.
pub(crate) fn throttled() -> Error {
    Error::unavailable("The database", "BatchGetItem: throttled")
}

/// The error of a request without a required part.
fn build_error(error: aws_sdk_dynamodb::error::BuildError) -> Error {
    Error::internal(format!("a request does not build: {error}"))
}

/// Whether the text looks like an error code of AWS. An invalid answer could have any text there.
fn is_name(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether the text looks like a request id of AWS.
fn is_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The error of a failed call to DynamoDB: the client gets 503, and the log gets the kind of failure. The reason is either
/// a failure of DynamoDB or a wrong deployment. The SDK's own texts are not logged, because they can hold the raw answer
/// and its items.
fn failed<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E>) -> Error {
    Error::unavailable("The database", cause(operation, error, error.request_id()))
}

/// The cause of a failed call to AWS, for the log: the operation, the kind of failure, and the request's id.
pub(crate) fn cause<E: ProvideErrorMetadata>(
    operation: &str,
    error: &SdkError<E>,
    request: Option<&str>,
) -> String {
    let kind = match error {
        SdkError::ConstructionFailure(_) => "the request does not build",
        SdkError::TimeoutError(_) => "time-out",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "time-out of the connection",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "an answer that cannot be read",
        _ => error.code().filter(|code| is_name(code)).unwrap_or("an error without a code"),
    };
    let request = request.filter(|id| is_id(id)).unwrap_or("unknown");
    format!("{operation}: {kind} (AWS request {request})")
}
