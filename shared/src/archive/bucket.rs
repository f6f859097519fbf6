//! The client of the archive's bucket.

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::ChecksumAlgorithm,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;

use super::{ArchiveEntry, object};
use crate::{
    base::{LabId, error::Error},
    config::{ArchiveConfig, TableConfig},
    s3,
    table::client,
};

/// How many objects are read or written at the same time.
const CONCURRENCY: usize = 16;

/// The archive of one deployment.
#[derive(Clone)]
pub(crate) struct Archive {
    client: Client,
    bucket: String,
}

impl Archive {
    /// Makes a client with the function's own identity. Sends nothing yet.
    pub(crate) fn new(config: &ArchiveConfig, identity: &TableConfig) -> Result<Self, String> {
        let client = s3::client(config.endpoint.as_deref(), identity)?;
        Ok(Self { client, bucket: config.bucket.clone() })
    }

    /// Writes entries. A repeated call with the same entries writes the same objects again, and the bucket keeps every
    /// version. Returns the `stream_id` of the entries that could not be written, with the error of one of them.
    pub(crate) async fn write(&self, entries: &[ArchiveEntry]) -> Result<(), (Vec<String>, Error)> {
        let objects = object::objects(entries);
        let results = stream::iter(&objects).map(|object| async move {
            self.put(&object.key, &object.entries).await.map_err(|error| {
                let ids = object.entries.iter().map(|entry| entry.stream_id.clone());
                (ids.collect::<Vec<String>>(), error)
            })
        });
        let failures: Vec<(Vec<String>, Error)> =
            results.buffer_unordered(CONCURRENCY).filter_map(async |result| result.err()).collect().await;
        let Some((_, first)) = failures.first() else { return Ok(()) };
        let first = first.clone();
        Err((failures.into_iter().flat_map(|(ids, _)| ids).collect(), first))
    }

    async fn put(&self, key: &str, entries: &[&ArchiveEntry]) -> Result<(), Error> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("application/gzip")
            // Object Lock accepts only uploads with a checksum.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(object::compress(entries)?))
            .send()
            .await;
        put.map(|_| ()).map_err(|error| failed("PutObject", &error))
    }

    /// Reads the entries of a lab whose time begins with `hour`, such as `2026-11-25T09`, without repeated deliveries.
    ///
    /// # Errors
    /// Unavailable, when S3 fails; internal, when an object is not of the archive's format.
    pub(crate) async fn read(&self, lab: LabId, hour: &str) -> Result<Vec<ArchiveEntry>, Error> {
        let keys = self.list(&object::prefix(&lab.to_string(), hour)).await?;
        let objects = stream::iter(keys).map(|key| async move { self.get(&key).await });
        let mut entries: Vec<ArchiveEntry> =
            objects.buffered(CONCURRENCY).try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
        // DynamoDB gives the second only. Within it, the items' own times decide, such as of an event of a case and of the one
        // that took its number after a restore.
        let order = |entry: &ArchiveEntry| (entry.changed_at, entry.at);
        entries.sort_by(|one, other| {
            order(one).cmp(&order(other)).then_with(|| one.stream_id.cmp(&other.stream_id))
        });
        entries.dedup_by(|one, other| one.stream_id == other.stream_id);
        Ok(entries)
    }

    /// The oldest day of which the archive has an entry of the lab.
    pub(crate) async fn first_day(&self, lab: LabId) -> Result<Option<Date>, Error> {
        let prefix = object::days(&lab.to_string());
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix).max_keys(1);
        let answer = list.send().await.map_err(|error| failed("ListObjectsV2", &error))?;
        let key = answer.contents.unwrap_or_default().into_iter().next().and_then(|object| object.key);
        Ok(key.and_then(|key| key.strip_prefix(&prefix)?.split('/').next()?.parse().ok()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut token = None;
        loop {
            let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let answer = list.set_continuation_token(token).send().await;
            let answer = answer.map_err(|error| failed("ListObjectsV2", &error))?;
            keys.extend(answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
            token = answer.next_continuation_token;
            if token.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn get(&self, key: &str) -> Result<Vec<ArchiveEntry>, Error> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let body = answer.map_err(|error| failed("GetObject", &error))?.body.collect().await;
        let body = body.map_err(|_| Error::unavailable("The archive", "GetObject: the body ended early"))?;
        object::decompress(&body.into_bytes())
    }
}

/// The error of a failed call to S3.
fn failed<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E>) -> Error {
    client::failed("The archive", operation, error)
}
