//! The client of the bucket of files.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client, Config,
    config::timeout::TimeoutConfig,
    error::{ProvideErrorMetadata, SdkError},
    presigning::{PresignedRequest, PresigningConfig},
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::base64_of;
use crate::{
    base::error::Error,
    config::{FilesConfig, TableConfig},
    s3,
    table::client,
};

/// Its name in problem details.
const NAME: &str = "The store of files";
/// How many objects are deleted at the same time.
const CONCURRENCY: usize = 16;
/// The time for S3 to put the parts of a file together. The function has ten seconds.
const COMPLETION: Duration = Duration::from_secs(6);
/// The time for a whole file, when an operator's tool moves a lab.
const TRANSFER: Duration = Duration::from_secs(60 * 60);

/// The bucket with the files of cases.
#[derive(Clone)]
pub(crate) struct FileStore {
    client: Client,
    bucket: String,
}

/// A request that a client sends to S3 itself.
pub(crate) struct SignedRequest {
    /// The URL, which is secret as long as it is valid.
    pub url: String,
    /// The headers that the request must have.
    pub headers: BTreeMap<String, String>,
}

/// What a signed request allows to send.
pub(crate) struct NewObject<'a> {
    /// The key of the object.
    pub key: &'a str,
    /// The exact number of bytes.
    pub size: u64,
    /// The SHA-256 in hexadecimal.
    pub sha256: &'a str,
}

/// An object as S3 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredObject {
    /// Bytes.
    pub size: u64,
    /// The media type.
    pub content_type: Option<String>,
    /// The SHA-256 in base64; of an object of several parts, their composite checksum.
    pub sha256: Option<String>,
    /// The version; `None` in a store without versions.
    pub version_id: Option<String>,
}

/// A part that S3 puts into its object.
pub(crate) struct PartToComplete {
    /// From 1.
    pub number: u32,
    /// S3's tag of the part; `None` in a store without tags.
    pub e_tag: Option<String>,
    /// Bytes.
    pub size: u64,
}

impl FileStore {
    /// Makes a client with the function's own identity. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why it cannot be made.
    pub(crate) fn new(config: &FilesConfig, identity: &TableConfig) -> Result<Self, String> {
        let client = s3::client(config.endpoint.as_deref(), identity)?;
        Ok(Self { client, bucket: config.bucket.clone() })
    }

    /// Begins an object of several parts. Returns the id of the upload.
    pub(crate) async fn begin_parts(&self, key: &str, content_type: &str) -> Result<String, Error> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .map_err(|error| failed("CreateMultipartUpload", &error))?;
        answer.upload_id.ok_or_else(|| Error::internal("S3 gave no id of the upload"))
    }

    /// Signs the request that sends a whole object. S3 rejects another length, type or checksum, and a second object.
    pub(crate) async fn sign_put(
        &self,
        object: &NewObject<'_>,
        content_type: &str,
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key)
            .content_length(length(object.size)?)
            .content_type(content_type)
            .checksum_sha256(base64_of(object.sha256)?)
            .if_none_match("*");
        let signed = put.presigned(presigning(valid)?).await.map_err(|error| failed("PutObject", &error))?;
        Ok(SignedRequest::of(&signed))
    }

    /// Signs the request that sends a part.
    pub(crate) async fn sign_part(
        &self,
        part: &NewObject<'_>,
        upload_id: &str,
        number: u32,
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let put = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(part.key)
            .upload_id(upload_id)
            .part_number(part_number(number)?)
            .content_length(length(part.size)?)
            .checksum_sha256(base64_of(part.sha256)?);
        let signed = put.presigned(presigning(valid)?).await.map_err(|error| failed("UploadPart", &error))?;
        Ok(SignedRequest::of(&signed))
    }

    /// Signs the request that gets an object. Returns its URL, which needs no headers.
    pub(crate) async fn sign_get(
        &self,
        key: &str,
        version_id: Option<&str>,
        disposition: String,
        valid: Duration,
    ) -> Result<String, Error> {
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_version_id(version_id.map(str::to_owned))
            .response_content_disposition(disposition);
        let signed = get.presigned(presigning(valid)?).await.map_err(|error| failed("GetObject", &error))?;
        Ok(signed.uri().to_owned())
    }

    /// The parts that S3 has of an upload; `None` if there is no such upload (any more).
    pub(crate) async fn parts(
        &self,
        key: &str,
        upload_id: &str,
    ) -> Result<Option<Vec<PartToComplete>>, Error> {
        let list = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(upload_id);
        let answer = match list.send().await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed("ListParts", &error)),
        };
        let part = |part: aws_sdk_s3::types::Part| {
            Some(PartToComplete {
                number: u32::try_from(part.part_number?).ok()?,
                e_tag: part.e_tag,
                size: u64::try_from(part.size?).ok()?,
            })
        };
        let mut parts: Vec<PartToComplete> =
            answer.parts.unwrap_or_default().into_iter().filter_map(part).collect();
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Puts the parts together. `sha256` are those of the parts, in hexadecimal; S3 compares them. Does nothing if there is no such
    /// upload (any more): an earlier call has done it.
    pub(crate) async fn complete_parts(
        &self,
        key: &str,
        upload_id: &str,
        parts: Vec<PartToComplete>,
        sha256: &[String],
    ) -> Result<(), Error> {
        let mut upload = CompletedMultipartUpload::builder();
        for (part, sha256) in parts.into_iter().zip(sha256) {
            let part = CompletedPart::builder()
                .part_number(part_number(part.number)?)
                .set_e_tag(part.e_tag)
                .checksum_sha256(base64_of(sha256)?)
                .build();
            upload = upload.parts(part);
        }
        let sent = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(upload.build())
            .customize()
            .config_override(within(COMPLETION))
            .send()
            .await;
        match sent {
            Err(error) if !is_missing(&error) => Err(failed("CompleteMultipartUpload", &error)),
            _ => Ok(()),
        }
    }

    /// Ends an upload and deletes its parts. One that has ended already is no error.
    pub(crate) async fn abort_parts(&self, key: &str, upload_id: &str) -> Result<(), Error> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id);
        match abort.send().await {
            Err(error) if !is_missing(&error) => Err(failed("AbortMultipartUpload", &error)),
            _ => Ok(()),
        }
    }

    /// The newest version of an object; `None` without one.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<StoredObject>, Error> {
        let head =
            self.client.head_object().bucket(&self.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        let answer = match head.send().await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed("HeadObject", &error)),
        };
        Ok(Some(StoredObject {
            size: answer.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            content_type: answer.content_type,
            sha256: answer.checksum_sha256,
            version_id: answer.version_id,
        }))
    }

    /// The objects whose keys begin with `prefix`: keys and bytes. It needs no right to read objects.
    pub(crate) async fn list(&self, prefix: &str) -> Result<BTreeMap<String, u64>, Error> {
        let (mut objects, mut token) = (BTreeMap::new(), None);
        loop {
            let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let answer = list.set_continuation_token(token).send().await;
            let answer = answer.map_err(|error| failed("ListObjectsV2", &error))?;
            let found = answer.contents.unwrap_or_default().into_iter();
            let size = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            objects.extend(found.filter_map(|object| Some((object.key?, size(object.size)))));
            token = answer.next_continuation_token;
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    /// Reads a part of an object: `size` bytes from `from` on.
    pub(crate) async fn read(&self, key: &str, from: u64, size: u64) -> Result<Vec<u8>, Error> {
        let range = format!("bytes={from}-{}", from.saturating_add(size).saturating_sub(1));
        let get = self.client.get_object().bucket(&self.bucket).key(key).range(range);
        let answer = get.customize().config_override(within(TRANSFER)).send().await;
        let body = answer.map_err(|error| failed("GetObject", &error))?.body.collect().await;
        let body = body.map_err(|_| Error::unavailable(NAME, "GetObject: the body ended early"))?;
        Ok(body.to_vec())
    }

    /// Writes an object from a local file. Returns its version. S3 compares the SHA-256.
    pub(crate) async fn put(
        &self,
        object: &NewObject<'_>,
        content_type: &str,
        file: &Path,
    ) -> Result<Option<String>, Error> {
        let body = ByteStream::from_path(file).await;
        let body = body.map_err(|_| Error::internal("a file cannot be read"))?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key)
            .content_length(length(object.size)?)
            .content_type(content_type)
            .checksum_sha256(base64_of(object.sha256)?)
            .body(body);
        let sent = put.customize().config_override(within(TRANSFER)).send().await;
        sent.map(|answer| answer.version_id).map_err(|error| failed("PutObject", &error))
    }

    /// Deletes every version of every object whose key begins with `prefix`. Returns whether all of them are deleted; otherwise
    /// the deadline came first, and a repetition continues.
    pub(crate) async fn delete_all(&self, prefix: &str, deadline: Instant) -> Result<bool, Error> {
        loop {
            let list = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
            let answer = list.send().await.map_err(|error| failed("ListObjectVersions", &error))?;
            let versions = answer.versions.unwrap_or_default().into_iter();
            let markers = answer.delete_markers.unwrap_or_default().into_iter();
            let found: Vec<(String, Option<String>)> = versions
                .filter_map(|version| Some((version.key?, version.version_id)))
                .chain(markers.filter_map(|marker| Some((marker.key?, marker.version_id))))
                .collect();
            if found.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            stream::iter(found)
                .map(|(key, version_id)| self.delete(key, version_id))
                .buffer_unordered(CONCURRENCY)
                .try_collect::<()>()
                .await?;
        }
    }

    async fn delete(&self, key: String, version_id: Option<String>) -> Result<(), Error> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(key).set_version_id(version_id);
        delete.send().await.map(|_| ()).map_err(|error| failed("DeleteObject", &error))
    }
}

/// Another time for a call, all attempts together.
fn within(time: Duration) -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(time).operation_timeout(time);
    Config::builder().timeout_config(timeouts.build())
}

impl SignedRequest {
    fn of(signed: &PresignedRequest) -> Self {
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { url: signed.uri().to_owned(), headers }
    }
}

fn presigning(valid: Duration) -> Result<PresigningConfig, Error> {
    PresigningConfig::expires_in(valid).map_err(|_| Error::internal("a signature cannot be valid so long"))
}

fn length(size: u64) -> Result<i64, Error> {
    i64::try_from(size).map_err(|_| Error::internal("a file is too large"))
}

fn part_number(number: u32) -> Result<i32, Error> {
    i32::try_from(number).map_err(|_| Error::internal("a file has too many parts"))
}

/// Whether S3 does not have what was asked for.
fn is_missing<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404)
}

fn failed<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E>) -> Error {
    client::failed(NAME, operation, error)
}
