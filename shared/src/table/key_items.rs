//! Writes of many items at a time, without conditions: items that consist of their key only, and copies of whole items.

use std::{collections::HashMap, time::Instant};

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Item, Retry, Table, build_error, failed, key};
use crate::{
    base::{LabId, error::Error},
    config::RETRY_BUDGET,
};

/// DynamoDB's limit of writes in one BatchWriteItem.
const BATCH: usize = 25;
/// How many calls run at the same time.
const CONCURRENCY: usize = 4;

/// A write of an item that consists of its key only. It can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyWrite {
    /// Adds the item with this sort key, or keeps it.
    Put(LabId, String),
    /// Removes the item with this sort key, if it exists.
    Delete(LabId, String),
}

impl KeyWrite {
    fn request(&self) -> Result<WriteRequest, Error> {
        let request = WriteRequest::builder();
        Ok(match self {
            Self::Put(lab, sk) => {
                let put = PutRequest::builder().set_item(Some(key(*lab, sk))).build().map_err(build_error)?;
                request.put_request(put).build()
            }
            Self::Delete(lab, sk) => {
                let delete = DeleteRequest::builder().set_key(Some(key(*lab, sk)));
                request.delete_request(delete.build().map_err(build_error)?).build()
            }
        })
    }
}

impl Table {
    /// Makes these writes, in any order. No two of them may have the same key.
    ///
    /// # Errors
    /// Unavailable, when the database fails or throttles for too long. Some of the writes may be made; all can be repeated.
    pub(crate) async fn write_keys(&self, writes: &[KeyWrite]) -> Result<(), Error> {
        self.write_all(writes.iter().map(KeyWrite::request).collect::<Result<_, _>>()?).await
    }

    /// Writes whole items, which must contain their keys. They replace those with the same keys.
    ///
    /// # Errors
    /// Unavailable, when the database fails or throttles for too long. Some of the writes may be made; all can be repeated.
    pub(crate) async fn put_items(&self, items: Vec<Item>) -> Result<(), Error> {
        let request = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(build_error)?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        self.write_all(items.into_iter().map(request).collect::<Result<_, Error>>()?).await
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), Error> {
        stream::iter(requests.chunks(BATCH))
            .map(|batch| self.write_batch(batch.to_vec()))
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn write_batch(&self, requests: Vec<WriteRequest>) -> Result<(), Error> {
        let mut left = Some(requests);
        let mut retry = Retry::since(Instant::now(), RETRY_BUDGET);
        while let Some(requests) = left {
            let answer = self
                .client
                .batch_write_item()
                .set_request_items(Some(HashMap::from([(self.name.clone(), requests)])))
                .send()
                .await
                .map_err(|error| failed("BatchWriteItem", &error))?;
            // DynamoDB returns writes unprocessed when it throttles.
            left = answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.name));
            if left.is_some() && !retry.pause().await {
                return Err(Error::unavailable("The database", "BatchWriteItem: throttled"));
            }
        }
        Ok(())
    }
}
