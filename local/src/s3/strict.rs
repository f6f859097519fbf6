//! What S3 does and the crate s3s-fs does not: it compares the SHA-256 of a part with the body, and that of an object before it stores
//! the object; it gives an object of several parts its composite checksum; it lists versions.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256, digest};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::stream;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Created, OnCreated};

/// The header with the SHA-256 of a body, in base64.
const CHECKSUM: &str = "x-amz-checksum-sha256";
/// The largest body of an object or a part.
const MAX_BODY: usize = 128 << 20;

/// The folder of the buckets.
#[derive(Clone)]
pub(super) struct Store {
    folder: PathBuf,
    on_created: OnCreated,
}

impl Store {
    pub(super) fn new(folder: &Path, on_created: OnCreated) -> Self {
        Self { folder: folder.to_owned(), on_created }
    }

    /// Tells who waits for new objects.
    fn created(&self, bucket: &str, key: &str) {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let file = self.folder.join(&bucket).join(&key);
        if let Some(on_created) = &self.on_created {
            // Nobody waits any more when the stack stops.
            let _ = on_created.send(Created { bucket, key, file });
        }
    }
}

/// Checks a request, passes it on, and completes the answer.
pub(super) async fn check(State(store): State<Store>, request: Request, next: Next) -> Response {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let (method, upload_id) = (request.method().clone(), parameter(&query, "uploadId"));
    match (&method, upload_id) {
        (&Method::PUT, _) if request.headers().contains_key(CHECKSUM) => {
            let Some((request, sum)) = with_sum(request).await else { return unreadable() };
            let announced = request.headers().get(CHECKSUM).and_then(|value| value.to_str().ok());
            if announced != Some(sum.as_str()) {
                return refuse_content(request, next).await;
            }
            let is_part = parameter(&query, "partNumber").is_some();
            let answer = next.run(request).await;
            if answer.status().is_success() && !is_part {
                store.created(bucket, key);
            }
            answer
        }
        (&Method::POST, Some(upload_id)) => {
            let (parts, body) = request.into_parts();
            let Ok(body) = to_bytes(body, MAX_BODY).await else { return unreadable() };
            let composite = match composite(&store.folder, &upload_id, &body) {
                Some(composite) => composite,
                None => {
                    return refusal(
                        StatusCode::BAD_REQUEST,
                        "InvalidPart",
                        "A part is missing or different.",
                    );
                }
            };
            let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
            if answer.status().is_success() {
                set_checksum(&store.folder, bucket, key, composite);
                store.created(bucket, key);
            }
            answer
        }
        (&Method::GET, None) if parameter(&query, "versions").is_some() => {
            let answer = next.run(request).await;
            match answer.status() {
                // The request is signed well, but s3s-fs does not list versions.
                StatusCode::NOT_IMPLEMENTED => versions(&store.folder, bucket, &query),
                _ => answer,
            }
        }
        _ => next.run(request).await,
    }
}

/// Refuses a body with another SHA-256 than its header says, after S3 has checked everything else. It gets a body that breaks off, so
/// that it stores nothing.
async fn refuse_content(request: Request, next: Next) -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("another SHA-256")) });
    let answer = next.run(request.map(|_| Body::from_stream(broken))).await;
    match answer.status().is_client_error() {
        true => answer,
        false => refusal(StatusCode::BAD_REQUEST, "BadDigest", "The SHA-256 you specified did not match."),
    }
}

/// Reads the body. Returns the same request, and the SHA-256 of the body in base64; `None` if the body cannot be read.
async fn with_sum(request: Request) -> Option<(Request, String)> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.ok()?;
    let sum = STANDARD.encode(digest(&SHA256, &body));
    Some((Request::from_parts(parts, Body::from(body)), sum))
}

/// The composite checksum of the parts that a request completes; `None` if a part is not as the request says.
fn composite(folder: &Path, upload_id: &str, body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let sums: Vec<&str> = body
        .split("<ChecksumSHA256>")
        .skip(1)
        .filter_map(|rest| rest.split("</ChecksumSHA256>").next())
        .collect();
    let mut all = Context::new(&SHA256);
    for (index, expected) in sums.iter().enumerate() {
        let part = fs::read(folder.join(format!(".upload_id-{upload_id}.part-{}", index + 1))).ok()?;
        let sum = digest(&SHA256, &part);
        if STANDARD.encode(sum) != *expected {
            return None;
        }
        all.update(sum.as_ref());
    }
    (!sums.is_empty()).then(|| format!("{}-{}", STANDARD.encode(all.finish()), sums.len()))
}

/// Adds the checksum to what s3s-fs keeps of an object.
fn set_checksum(folder: &Path, bucket: &str, key: &str, checksum: String) {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let file = folder.join(format!(".bucket-{}.object-{}.internal.json", encode(bucket), encode(key)));
    let known =
        fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Map<String, Value>>(&text).ok());
    let mut info = known.unwrap_or_default();
    info.insert("checksum_sha256".to_owned(), Value::String(checksum));
    // Without it the object has no checksum, and whoever compares it sees that.
    let _ = fs::write(file, Value::Object(info).to_string());
}

/// The list of the versions of the objects whose keys begin with a prefix: one of each, `null`.
fn versions(folder: &Path, bucket: &str, query: &str) -> Response {
    let prefix = parameter(query, "prefix").unwrap_or_default();
    let root = folder.join(bucket);
    let (mut folders, mut keys) = (vec![root.clone()], Vec::new());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(&root).ok().and_then(|key| key.to_str()) {
                keys.extend(key.starts_with(&prefix).then(|| key.to_owned()));
            }
        }
    }
    keys.sort();
    let version = |key: &String| {
        format!(
            "<Version><Key>{}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></Version>",
            escaped(key)
        )
    };
    let versions: String = keys.iter().take(1000).map(version).collect();
    let list = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{}</Name><Prefix>{}</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>{}</IsTruncated>{versions}</ListVersionsResult>",
        escaped(bucket),
        escaped(&prefix),
        keys.len() > 1000
    );
    ([(header::CONTENT_TYPE, "application/xml")], list).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A parameter of the query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn unreadable() -> Response {
    refusal(StatusCode::BAD_REQUEST, "IncompleteBody", "The body cannot be read.")
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
