//! An embedded S3: the crate s3s-fs, which keeps the objects as files, and in front of it what that crate leaves out.
//!
//! It has no versions (each object has the version `null`), no Object Lock, no encryption, no tags and no bucket policies.

mod strict;

use std::{
    fs,
    path::{Path, PathBuf},
};

use axum::{Router, error_handling::HandleError, http::StatusCode, middleware};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    Error, Result,
    server::{Server, for_browsers},
};

/// An object that was just written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The file with the content.
    pub file: PathBuf,
}

/// Who gets the new objects, if somebody does.
pub type OnCreated = Option<mpsc::UnboundedSender<Created>>;

/// Serves an S3 on `listener` with the buckets in `folder`, and makes those of `buckets` that are missing. Requests must be signed
/// with `credentials`: the key's id, and the key.
///
/// # Errors
/// The folder cannot be used.
pub fn serve(
    listener: TcpListener,
    folder: &Path,
    buckets: &[&str],
    credentials: (&str, &str),
    on_created: OnCreated,
) -> Result<Server> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!("S3 cannot use its folder {}: {why}", folder.display()))
    };
    for bucket in buckets {
        fs::create_dir_all(folder.join(bucket)).map_err(|error| failed(&error))?;
    }
    let files = FileSystem::new(folder).map_err(|error| failed(&format!("{error:?}")))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(credentials.0, credentials.1));
    let service =
        HandleError::new(service.build(), async |_| (StatusCode::INTERNAL_SERVER_ERROR, "S3 failed"));
    let state = strict::Store::new(folder, on_created);
    let router = Router::new()
        .fallback_service(service)
        .layer(middleware::from_fn_with_state(state, strict::check))
        .layer(for_browsers());
    Server::start("S3", listener, router)
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
        let server = serve(listener, folder.path(), &["archive", "files"], ("local", "local"), None).unwrap();
        assert!(folder.path().join("archive").is_dir() && folder.path().join("files").is_dir());
        let client = Client::new(Duration::from_secs(5));
        for path in ["archive", "files?versions", "files/lab=1/case=1/a"] {
            assert_eq!(client.get(&format!("{}/{path}", server.url())).await.unwrap().status, 403, "{path}");
        }
        server.stop().await;
    }
}
