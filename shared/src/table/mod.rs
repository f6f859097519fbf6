//! The only module that talks to DynamoDB: keyed reads and writes, transactions with retries, errors that say
//! nothing of the inside.

mod client;
pub(crate) mod keys;
mod lab_role;
mod query;
mod retry;
mod transaction;
mod write;

use std::{collections::HashMap, time::Instant};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    types::{AttributeValue, KeysAndAttributes, ReturnValue},
};
use futures_util::future::try_join_all;
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use lab_role::LabTables;
pub(crate) use query::{Filter, Index, Order, Query};
pub(crate) use retry::Retry;
pub(crate) use transaction::{Transaction, Update};
pub(crate) use write::Attempt;

use crate::{
    base::{CaseId, LabId, error::Error},
    config::{RETRY_BUDGET, TableConfig},
};

/// An item as DynamoDB has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// DynamoDB's limit on the keys of one BatchGetItem.
const BATCH: usize = 100;

/// Whether a read sees what was just written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// It may take a moment, at half the price.
    Eventual,
    /// It does.
    Strong,
}

/// The table of one deployment.
#[derive(Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table that the configuration names, with the function's own identity; nothing is sent yet.
    pub(crate) fn new(config: &TableConfig) -> Result<Self, String> {
        Ok(Self { client: Client::from_conf(client::config(config)?), name: config.name.clone() })
    }

    /// One item, strongly consistent: what was just written is seen.
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

    /// The items with these sort keys, as far as they exist, by key.
    pub(crate) async fn get_many(
        &self,
        lab: LabId,
        sks: &[String],
        consistency: Consistency,
    ) -> Result<HashMap<String, Item>, Error> {
        let batches = sks.chunks(BATCH).map(|sks| self.get_batch(lab, sks, consistency));
        Ok(try_join_all(batches).await?.into_iter().flatten().collect())
    }

    async fn get_batch(
        &self,
        lab: LabId,
        sks: &[String],
        consistency: Consistency,
    ) -> Result<Vec<(String, Item)>, Error> {
        let mut found = Vec::with_capacity(sks.len());
        let mut wanted = KeysAndAttributes::builder().consistent_read(consistency == Consistency::Strong);
        for sk in sks {
            wanted = wanted.keys(key(lab, sk));
        }
        let mut wanted = Some(wanted.build().map_err(unbuilt)?);
        // DynamoDB leaves keys out when it is throttled or the answer would be larger than 16 MB.
        let mut retry = Retry::since(Instant::now(), RETRY_BUDGET);
        while let Some(keys) = wanted.take() {
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
                found.push((sk.ok_or_else(|| Error::internal("an item without a sort key"))?, item));
            }
            wanted = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name));
            if wanted.is_some() && !got_some && !retry.pause().await {
                return Err(Error::unavailable("The database", "BatchGetItem: throttled"));
            }
        }
        Ok(found)
    }

    /// Writes an item, in place of an earlier one with the same key.
    pub(crate) async fn put(&self, item: Item) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.map(|_| ()).map_err(|error| failed("PutItem", &error))
    }

    /// The next case id of a lab. An id whose case is then not created stays unused.
    pub(crate) async fn next_case_id(&self, lab: LabId) -> Result<CaseId, Error> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(lab, keys::COUNTER)))
            .update_expression("ADD last_id :one")
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

/// A value as an item; what is unset takes no room.
pub(crate) fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    let mut item: Item =
        serde_dynamo::to_item(value).map_err(|_| Error::internal("a value makes no item"))?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

/// The value that an item was made of.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|_| Error::internal("an item does not have the shape of its kind"))
}

/// The primary key of an item.
pub(crate) fn key(lab: LabId, sk: &str) -> Item {
    HashMap::from([("lab_id".to_owned(), text(keys::lab(lab))), ("sk".to_owned(), text(sk))])
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A truth value.
pub(crate) fn boolean(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A number attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A request that lacks what DynamoDB requires.
fn unbuilt(error: aws_sdk_dynamodb::error::BuildError) -> Error {
    Error::internal(format!("a request does not build: {error}"))
}

/// Whether it can be the code of an error as AWS writes them. A bad answer could have anything there.
fn is_name(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The same for the id of a request.
fn is_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Everything that DynamoDB can fail with here is either its own trouble or a wrong deployment: 503, and the log knows
/// more. The SDK's own texts are not logged: they can hold the raw answer, and with it items.
fn failed<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E>) -> Error {
    let what = match error {
        SdkError::ConstructionFailure(_) => "the request does not build",
        SdkError::TimeoutError(_) => "time-out",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "time-out of the connection",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "an answer that cannot be read",
        _ => error.code().filter(|code| is_name(code)).unwrap_or("an error without a code"),
    };
    let request = error.request_id().filter(|id| is_id(id)).unwrap_or("unknown");
    Error::unavailable("The database", format!("{operation}: {what} (DynamoDB request {request})"))
}
