//! An embedded S3: the crate s3s-fs, which keeps the objects as files.
//!
//! It has no versions, no Object Lock and no encryption.

use std::{fs, path::Path};

use axum::{Router, error_handling::HandleError, http::StatusCode};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::{Error, Result, server::Server};

/// Serves an S3 on `listener` with the buckets in `folder`, and makes `bucket` if it is missing. Requests must be signed with
/// `credentials`: the key's id, and the key.
///
/// # Errors
/// The folder cannot be used.
pub fn serve(
    listener: TcpListener,
    folder: &Path,
    bucket: &str,
    credentials: (&str, &str),
) -> Result<Server> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!("S3 cannot use its folder {}: {why}", folder.display()))
    };
    fs::create_dir_all(folder.join(bucket)).map_err(|error| failed(&error))?;
    let files = FileSystem::new(folder).map_err(|error| failed(&format!("{error:?}")))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(credentials.0, credentials.1));
    let service =
        HandleError::new(service.build(), async |_| (StatusCode::INTERNAL_SERVER_ERROR, "S3 failed"));
    Server::start("S3", listener, Router::new().fallback_service(service))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{client::Client, server::listen};

    #[tokio::test]
    async fn only_signed_requests_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let listener = listen("S3", "S3_PORT", 0).await.unwrap();
        let server = serve(listener, folder.path(), "archive", ("local", "local")).unwrap();
        assert!(folder.path().join("archive").is_dir());
        let client = Client::new(Duration::from_secs(5));
        assert_eq!(client.get(&format!("{}/archive", server.url())).await.unwrap().status, 403);
        server.stop().await;
    }
}
