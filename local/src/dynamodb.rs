//! An embedded DynamoDB: the crate dynoxide, which keeps the tables in SQLite.
//!
//! It never raises TransactionConflict, expires items only when it is told to, and treats every read as consistent.

use std::{fs, path::PathBuf};

use dynoxide::{Database, ImportOptions};
use tokio::net::TcpListener;

use crate::{Error, Result, server::Server};

/// Where the tables are kept.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In memory, as long as the server runs.
    Memory,
    /// In this SQLite file. A missing file or folder is created.
    File(PathBuf),
}

/// Works on the tables beside the API. It removes items whose time has come, as DynamoDB does by itself: the streams show its
/// removals as those of a service. And it loads many items quickly.
#[derive(Clone)]
pub struct Expiry(Database);

impl Expiry {
    /// Removes them now, and returns how many there were.
    ///
    /// # Errors
    /// The database fails.
    pub fn run(&self) -> Result<usize> {
        self.0.sweep_ttl().map_err(|error| Error::new(format!("the expiry of items failed: {error}")))
    }

    /// Writes items, as the API has them in JSON, into a table and its indexes. The streams do not show them.
    ///
    /// # Errors
    /// The database fails, or an item has not the form of the API.
    pub fn load(&self, table: &str, items: Vec<serde_json::Value>) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| Error::new(format!("the load of items failed: {error}"));
        let items = items.into_iter().map(serde_json::from_value).collect::<std::result::Result<_, _>>();
        let items: Vec<dynoxide::Item> = items.map_err(|error| failed(&error))?;
        self.0.import_items(table, items, ImportOptions::default()).map_err(|error| failed(&error))?;
        Ok(())
    }
}

/// Serves a DynamoDB on `listener`.
///
/// # Errors
/// When the file cannot be opened.
pub fn serve(listener: TcpListener, storage: &Storage) -> Result<(Server, Expiry)> {
    let database = open(storage)?;
    let expiry = Expiry(database.clone());
    let server = Server::spawn("DynamoDB", listener, |listener, stopped| async move {
        dynoxide::server::serve_with_shutdown(listener, database, stopped)
            .await
            .map_err(|error| Error::new(format!("DynamoDB failed: {error}")))
    })?;
    Ok((server, expiry))
}

fn open(storage: &Storage) -> Result<Database> {
    let file = match storage {
        Storage::Memory => {
            return Database::memory().map_err(|error| Error::new(format!("DynamoDB: {error}")));
        }
        Storage::File(file) => file,
    };
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!("DynamoDB cannot use its file {}: {why}", file.display()))
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let path = file.to_str().ok_or_else(|| failed(&"the path is not UTF-8"))?;
    Database::new(path).map_err(|error| failed(&error))
}
