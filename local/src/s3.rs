//! An embedded S3: the crate s3s-fs, which keeps the objects as files.
//!
//! It has no versions, no Object Lock and no encryption, and verifies no signatures.

use std::{fs, path::Path};

use axum::{Router, error_handling::HandleError, http::StatusCode};
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::{Error, Result, server::Server};

/// Serves an S3 on `listener` with the buckets in `folder`, and makes `bucket` if it is missing.
///
/// # Errors
/// The folder cannot be used.
pub fn serve(listener: TcpListener, folder: &Path, bucket: &str) -> Result<Server> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!("S3 cannot use its folder {}: {why}", folder.display()))
    };
    fs::create_dir_all(folder.join(bucket)).map_err(|error| failed(&error))?;
    let files = FileSystem::new(folder).map_err(|error| failed(&format!("{error:?}")))?;
    let service = HandleError::new(S3ServiceBuilder::new(files).build(), async |_| {
        (StatusCode::INTERNAL_SERVER_ERROR, "S3 failed")
    });
    Server::start("S3", listener, Router::new().fallback_service(service))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Method;

    use super::*;
    use crate::{client::Client, server::listen};

    #[tokio::test]
    async fn an_object_is_stored_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let listener = listen("S3", "S3_PORT", 0).await.unwrap();
        let server = serve(listener, folder.path(), "archive").unwrap();
        let client = Client::new(Duration::from_secs(5));
        let url = format!("{}/archive/lab=123/day=2026-11-25/a", server.url());
        let put = client.send(Method::PUT, &url, &[], "line").await.unwrap();
        assert_eq!(put.status, 200, "{:?}", put.body);
        assert_eq!(client.get(&url).await.unwrap().body, "line");
        let list = client.get(&format!("{}/archive?list-type=2&prefix=lab=123/", server.url())).await.unwrap();
        assert!(String::from_utf8_lossy(&list.body).contains("<Key>lab=123/day=2026-11-25/a</Key>"));
        server.stop().await;
    }
}
