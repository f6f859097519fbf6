//! All items of a lab, in both tables, and its files: to move a lab to another deployment, and to destroy its data. An item is a line of
//! canonical JSON, from which exactly the same item can be written again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    base::{
        LabId,
        canonical::Canonical,
        error::{Error, ErrorCode},
    },
    config::LabDataConfig,
    files::{self, FileStore, NewObject},
    table::{self, Item, KeyWrite, Query, Table, keys},
};

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The table of cases.
    Cases,
    /// The table of audit records.
    Audit,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cases, Self::Audit];
}

/// An item as a line of JSON, without the line break.
pub struct Line {
    /// Its sort key.
    pub sk: String,
    /// The kind of the item: the first part of its sort key in the table of cases.
    pub kind: &'static str,
    /// The item as canonical JSON.
    pub json: Vec<u8>,
}

/// The data of one lab.
pub struct LabData {
    lab: LabId,
    cases: Table,
    audit: Table,
    files: FileStore,
}

/// How many bytes of a file are read at a time.
const BLOCK: u64 = 16 << 20;
/// How long the deletion of files may take before it begins again.
const DELETION: Duration = Duration::from_secs(60);

/// The kinds of items in the table of cases, and the beginnings of their sort keys.
const KINDS: [(&str, &str); 18] = [
    ("cases", keys::CASE_PREFIX),
    ("deleted_cases", keys::DELETED_PREFIX),
    ("events", keys::EVENT_PREFIX),
    ("comments", keys::COMMENT_PREFIX),
    ("attachments", keys::FILE_PREFIX),
    ("uploads", keys::UPLOAD_PREFIX),
    ("webhooks", keys::WEBHOOK_PREFIX),
    ("deliveries", keys::DELIVERY_PREFIX),
    ("log_entries", "CHANGE#"),
    ("tombstones", "TOMBSTONE#"),
    ("words", keys::TOKEN_PREFIX),
    ("stored_responses", "IDEMPOTENCY#"),
    ("counters", keys::COUNTER),
    ("counters", keys::STORAGE),
    ("statistics", keys::SHARD_PREFIX),
    ("statistics", keys::MONTH_PREFIX),
    ("statistics", "DAY#"),
    ("audit_records", keys::EARLIER_AUDIT_PREFIX),
];

impl LabData {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client cannot be made.
    pub fn new(config: &LabDataConfig, lab: LabId) -> Result<Self, String> {
        let (cases, audit) = (Table::new(&config.cases)?, Table::new(&config.audit)?);
        Ok(Self { lab, cases, audit, files: FileStore::new(&config.files, &config.cases)? })
    }

    fn table(&self, part: Part) -> &Table {
        match part {
            Part::Cases => &self.cases,
            Part::Audit => &self.audit,
        }
    }

    /// Reads all items of a table in the order of their sort keys.
    ///
    /// # Errors
    /// Unavailable, when the database fails; internal, for an item that JSON cannot hold; the errors of `visit`.
    pub async fn read(
        &self,
        part: Part,
        mut visit: impl FnMut(Line) -> Result<(), String>,
    ) -> Result<(), Error> {
        let end = char::MAX.to_string();
        let mut query = Query::of_table(" ", end).consistent();
        loop {
            let page = self.table(part).query(self.lab, query.clone()).await?;
            for item in page.items {
                visit(line(part, item)?).map_err(Error::internal)?;
            }
            query.start = page.stopped_at;
            if query.start.is_none() {
                return Ok(());
            }
        }
    }

    /// The last change of each shard: unchanged if no request has changed the lab.
    ///
    /// # Errors
    /// Unavailable, when the database fails.
    pub async fn last_changes(&self) -> Result<BTreeMap<String, u64>, Error> {
        let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
        let shards = self.cases.query_all(self.lab, range.consistent()).await?;
        let last = |item: &Item| {
            let last = item.get("last_change").and_then(|last| last.as_n().ok()?.parse().ok()).unwrap_or(0);
            Some((item.get("sk")?.as_s().ok()?.clone(), last))
        };
        Ok(shards.iter().filter_map(last).collect())
    }

    /// Writes items. They replace those with the same keys.
    ///
    /// # Errors
    /// Validation, for a line that is not an item of this lab; unavailable, when the database fails. A repetition completes it.
    pub async fn write(&self, part: Part, lines: &[Vec<u8>]) -> Result<(), Error> {
        let items: Vec<Item> = lines.iter().map(|line| self.item(line)).collect::<Result<_, _>>()?;
        self.table(part).put_items(items).await
    }

    fn item(&self, line: &[u8]) -> Result<Item, Error> {
        let invalid = || Error::new(ErrorCode::ValidationFailed, "A line is not an item of the lab.");
        let value: Value = serde_json::from_slice(line).map_err(|_| invalid())?;
        let item = table::to_item(&value)?;
        let lab = item.get("lab_id").and_then(|lab| lab.as_s().ok());
        let is_of_lab = lab == Some(&keys::lab(self.lab)) && item.get("sk").is_some_and(|sk| sk.is_s());
        is_of_lab.then_some(item).ok_or_else(invalid)
    }

    /// The files of the lab in the store: their names below the lab's folder, and their bytes.
    ///
    /// # Errors
    /// Unavailable, when the store fails.
    pub async fn files(&self) -> Result<BTreeMap<String, u64>, Error> {
        let prefix = files::lab_prefix(self.lab);
        let objects = self.files.list(&prefix).await?;
        Ok(objects
            .into_iter()
            .filter_map(|(key, size)| Some((key.strip_prefix(&prefix)?.to_owned(), size)))
            .collect())
    }

    /// Reads a file of the lab, a block at a time.
    ///
    /// # Errors
    /// Unavailable, when the store fails; the errors of `visit`.
    pub async fn read_file(
        &self,
        name: &str,
        size: u64,
        mut visit: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), Error> {
        let key = format!("{}{name}", files::lab_prefix(self.lab));
        let mut from = 0;
        while from < size {
            let block = self.files.read(&key, from, BLOCK.min(size - from)).await?;
            visit(&block).map_err(Error::internal)?;
            from += BLOCK;
        }
        Ok(())
    }

    /// Writes a file of the lab with this size and SHA-256 (in hexadecimal) from a local file. Returns its version in the store.
    ///
    /// # Errors
    /// Unavailable, when the store fails. A repetition writes it again.
    pub async fn write_file(
        &self,
        name: &str,
        (size, sha256): (u64, &str),
        content_type: &str,
        from: &Path,
    ) -> Result<Option<String>, Error> {
        let key = format!("{}{name}", files::lab_prefix(self.lab));
        self.files.put(&NewObject { key: &key, size, sha256 }, content_type, from).await
    }

    /// Deletes all versions of all files of the lab.
    ///
    /// # Errors
    /// Unavailable, when the store fails. A repetition completes it.
    pub async fn delete_files(&self) -> Result<(), Error> {
        let prefix = files::lab_prefix(self.lab);
        while !self.files.delete_all(&prefix, Instant::now() + DELETION).await? {}
        Ok(())
    }

    /// Deletes the items with these sort keys.
    ///
    /// # Errors
    /// Unavailable, when the database fails. A repetition completes it.
    pub async fn delete(&self, part: Part, sks: BTreeSet<String>) -> Result<(), Error> {
        let writes: Vec<KeyWrite> = sks.into_iter().map(|sk| KeyWrite::Delete(self.lab, sk)).collect();
        self.table(part).write_keys(&writes).await
    }
}

/// The attributes of a webhook that do not leave the deployment. Another one does not have the keys that decrypt them.
const SECRETS: [&str; 2] = ["secrets", "previous"];

fn line(part: Part, mut item: Item) -> Result<Line, Error> {
    let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
    let kind = match part {
        Part::Audit => "audit_records",
        Part::Cases => {
            let kind = KINDS.iter().find(|(_, beginning)| sk.starts_with(beginning));
            kind.map_or("others", |(kind, _)| *kind)
        }
    };
    if kind == "webhooks" {
        item.retain(|name, _| !SECRETS.contains(&name.as_str()));
    }
    let value: Value = table::from_item(item.clone())?;
    // Somebody else could have written types that JSON does not have.
    if table::to_item(&value)? != item {
        return Err(Error::internal("an item has a type that this service does not write"));
    }
    let mut json = Vec::with_capacity(1024);
    value.write(&mut json);
    Ok(Line { sk, kind, json })
}
