//! The objects of the archive: which entries go into one object, its key, and its bytes.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use super::ArchiveEntry;
use crate::base::error::Error;

/// The length of the date and the hour in a timestamp.
const HOUR: usize = "2026-11-25T09".len();

/// An object before its upload.
pub(super) struct ArchiveObject<'a> {
    /// Its key. The same entries always have the same key, so that a repeated upload writes the same object again.
    pub key: String,
    pub entries: Vec<&'a ArchiveEntry>,
}

/// The beginning of the keys of a lab's entries of one hour. `hour` is the beginning of a timestamp: `2026-11-25T09`.
pub(super) fn prefix(lab: &str, hour: &str) -> String {
    let (day, hour) = hour.split_once('T').unwrap_or((hour, ""));
    format!("{}{day}/{hour}", days(lab))
}

/// The beginning of the keys of all entries of a lab. The day follows.
pub(super) fn days(lab: &str) -> String {
    format!("lab={lab}/day=")
}

/// Groups entries by lab and hour. Their order stays.
pub(super) fn objects(entries: &[ArchiveEntry]) -> Vec<ArchiveObject<'_>> {
    let mut groups = BTreeMap::<String, Vec<&ArchiveEntry>>::new();
    for entry in entries {
        let at = entry.at.to_string();
        let hour = at.get(..HOUR).unwrap_or(&at);
        groups.entry(prefix(&entry.lab_id, hour)).or_default().push(entry);
    }
    groups
        .into_iter()
        .map(|(prefix, entries)| ArchiveObject { key: key(&prefix, &entries), entries })
        .collect()
}

/// The key has the number of entries as well: when a batch is delivered again in parts, the first part begins with the same
/// entry, and must not replace the object of the whole.
fn key(prefix: &str, entries: &[&ArchiveEntry]) -> String {
    let first = entries.first().map_or("", |entry| &entry.stream_id);
    format!("{prefix}-{first}-{}.ndjson.gz", entries.len())
}

/// Writes entries as lines of JSON, compressed. The same entries always give the same bytes.
pub(super) fn compress(entries: &[&ArchiveEntry]) -> Result<Vec<u8>, Error> {
    let failed = || Error::internal("archive entries do not compress");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for entry in entries {
        let line = serde_json::to_string(entry).map_err(|_| failed())?;
        writeln!(encoder, "{line}").map_err(|_| failed())?;
    }
    encoder.finish().map_err(|_| failed())
}

/// Reads the entries of an object. A line that is not an entry is an error: nothing but this service writes to the archive.
pub(super) fn decompress(bytes: &[u8]) -> Result<Vec<ArchiveEntry>, Error> {
    let mut text = String::new();
    MultiGzDecoder::new(bytes)
        .read_to_string(&mut text)
        .map_err(|_| Error::internal("an object of the archive cannot be read"))?;
    let entries = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    entries.map_err(|_| Error::internal("a line of the archive is not an entry"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(stream_id: &str, lab_id: &str, at: &str) -> ArchiveEntry {
        let entry = json!({"stream_id": stream_id, "changed_at": "2026-11-25T09:59:59.000Z", "change": "added",
            "item": "event", "lab_id": lab_id, "sk": "EVENT#0000000001#000001", "at": at, "version": 1});
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn entries_of_one_lab_and_hour_become_one_object() {
        let entries = [
            entry("a", "123", "2026-11-25T09:59:59.999Z"),
            entry("b", "456", "2026-11-25T09:59:59.999Z"),
            entry("c", "123", "2026-11-25T09:00:00.000Z"),
            entry("d", "123", "2026-11-25T10:00:00.000Z"),
        ];
        let found: Vec<(String, Vec<&str>)> = objects(&entries)
            .into_iter()
            .map(|object| (object.key, object.entries.iter().map(|entry| entry.stream_id.as_str()).collect()))
            .collect();
        assert_eq!(
            found,
            [
                ("lab=123/day=2026-11-25/09-a-2.ndjson.gz".to_owned(), vec!["a", "c"]),
                ("lab=123/day=2026-11-25/10-d-1.ndjson.gz".to_owned(), vec!["d"]),
                ("lab=456/day=2026-11-25/09-b-1.ndjson.gz".to_owned(), vec!["b"]),
            ]
        );
        assert_eq!(prefix("123", "2026-11-25"), "lab=123/day=2026-11-25/");
    }

    #[test]
    fn the_same_entries_give_the_same_bytes_and_come_back() {
        let entry = entry("a", "123", "2026-11-25T09:00:00.000Z");
        let bytes = compress(&[&entry, &entry]).unwrap();
        assert_eq!(bytes, compress(&[&entry, &entry]).unwrap());
        assert_eq!(decompress(&bytes).unwrap(), [entry.clone(), entry]);
        assert!(decompress(b"no gzip").is_err());
    }
}
