//! How far a migration got, in an item of the table, which survives the end of the process. It is in the table because keys of
//! the index of words are patient data. No lab has its partition.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata, types::AttributeValue};
use serde::{Deserialize, Serialize};
use shared::migration::Counts;

type Key = HashMap<String, AttributeValue>;

/// How far a migration got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub segments: Vec<Segment>,
    pub counts: Counts,
}

/// How far a segment of the table is migrated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// The key of the last migrated item: partition key and sort key.
    pub after: Option<(String, String)>,
    pub is_done: bool,
}

impl Place {
    /// The start of a table.
    pub(crate) fn start(segments: u32) -> Self {
        Self { segments: vec![Segment::default(); segments as usize], counts: Counts::default() }
    }

    /// The place that an earlier run has kept in the table, if it is of as many segments.
    pub(crate) async fn read(client: &Client, table: &str, segments: u32) -> Result<Option<Self>, String> {
        let get = client.get_item().table_name(table).set_key(Some(key())).consistent_read(true);
        let answer = get.send().await.map_err(|error| failed("GetItem", error.code()))?;
        let text = answer.item.and_then(|item| item.get("place")?.as_s().ok().cloned());
        let kept = text.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        Ok(kept.filter(|place| place.segments.len() == segments as usize))
    }

    /// Keeps it in the table.
    pub(crate) async fn write(&self, client: &Client, table: &str) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let mut item = key();
        item.insert("place".to_owned(), AttributeValue::S(text));
        let put = client.put_item().table_name(table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| failed("PutItem", error.code()))
    }

    /// Removes it from the table.
    pub(crate) async fn remove(client: &Client, table: &str) -> Result<(), String> {
        let delete = client.delete_item().table_name(table).set_key(Some(key()));
        delete.send().await.map(|_| ()).map_err(|error| failed("DeleteItem", error.code()))
    }
}

/// The text of a failed call. The error's own text could have data.
pub(crate) fn failed(operation: &str, code: Option<&str>) -> String {
    format!("{operation}: {}", code.unwrap_or("no answer"))
}

fn key() -> Key {
    let part = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
    HashMap::from([part("lab_id", "migration"), part("sk", "PLACE")])
}
