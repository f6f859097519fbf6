//! The places that cases come from. Each gives rows: JSON objects whose members have the names of the columns.

use std::{
    fs,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Command,
};

use percent_encoding::percent_decode_str;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::{Map, Value, json};
use shared::base::csv::unescape_formulas;

/// A row of a source.
pub type SourceRow = Map<String, Value>;

/// Where cases come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The predecessor's database in a SQLite file.
    Sqlite(PathBuf),
    /// The predecessor's database in PostgreSQL. The URL may have a password.
    Postgres(String),
    /// An export of this service.
    Csv(PathBuf),
    /// An export of this service.
    Ndjson(PathBuf),
}

impl Source {
    /// Reads a path or a URL.
    ///
    /// # Errors
    /// The text says what the source must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = PathBuf::from(text.strip_prefix("sqlite:///").unwrap_or(text));
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension {
            "csv" => Ok(Self::Csv(path)),
            "ndjson" | "jsonl" => Ok(Self::Ndjson(path)),
            _ if is_sqlite(&path) => Ok(Self::Sqlite(path)),
            _ => {
                Err("SOURCE must be a SQLite file, a postgresql:// URL, or a .csv or .ndjson file".to_owned())
            }
        }
    }

    /// Reads all rows into memory.
    ///
    /// # Errors
    /// The text says what failed. It has no content of a row.
    pub fn rows(&self) -> Result<Vec<SourceRow>, String> {
        match self {
            Self::Sqlite(path) => sqlite(path).map_err(|error| format!("SQLite: {error}")),
            Self::Postgres(url) => postgres(url),
            Self::Csv(path) => csv(path),
            Self::Ndjson(path) => ndjson(path),
        }
    }
}

fn is_sqlite(path: &Path) -> bool {
    let mut start = [0; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *b"SQLite format 3\0"
}

fn sqlite(path: &Path) -> rusqlite::Result<Vec<SourceRow>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = database.prepare("SELECT * FROM cases")?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        let value = |index: usize| {
            Ok::<_, rusqlite::Error>(match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) | ValueRef::Blob(text) => json!(String::from_utf8_lossy(text)),
            })
        };
        names.iter().enumerate().map(|(index, name)| Ok((name.clone(), value(index)?))).collect()
    })?;
    rows.collect()
}

/// PostgreSQL's own client reads the table, so that TLS, certificates and the file of passwords work as everywhere. PostgreSQL
/// itself makes JSON of each row. Rows end with NUL, because a column of JSON may have line breaks.
fn postgres(url: &str) -> Result<Vec<SourceRow>, String> {
    let (url, password) = without_password(url);
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-0", "-w", "-c", "SELECT row_to_json(c) FROM cases c", "-d", &url]);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let output = command
        .output()
        .map_err(|_| "psql is missing (Debian and Ubuntu: apt install postgresql-client)".to_owned())?;
    if !output.status.success() {
        return Err(format!("PostgreSQL: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let rows = output.stdout.split(|byte| *byte == 0).filter(|row| !row.trim_ascii().is_empty());
    rows.enumerate().map(|(index, row)| object(row, index + 1)).collect()
}

/// Takes the password out of a URL: other users of the machine see the arguments of a process, but not its environment.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let (user_info, host) = authority.rsplit_once('@')?;
        let (user, password) = user_info.split_once(':')?;
        let rest = &rest[authority.len()..];
        let password = percent_decode_str(password).decode_utf8_lossy().into_owned();
        Some((format!("{scheme}://{user}@{host}{rest}"), password))
    };
    match parts() {
        Some((url, password)) => (url, Some(password)),
        None => (url.to_owned(), None),
    }
}

fn csv(path: &Path) -> Result<Vec<SourceRow>, String> {
    let failed = |error: csv::Error| format!("CSV: {}", kind(&error));
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let names = reader.headers().map_err(failed)?.clone();
    let row = |record: csv::StringRecord| -> SourceRow {
        let cells = names.iter().zip(record.iter());
        cells.map(|(name, cell)| (name.to_owned(), json!(unescape_formulas(cell)))).collect()
    };
    reader.records().map(|record| record.map(row).map_err(failed)).collect()
}

/// The kind of an error, without the content of the file.
fn kind(error: &csv::Error) -> String {
    match error.position() {
        Some(position) => format!("line {} cannot be read", position.line()),
        None => "the file cannot be read".to_owned(),
    }
}

fn ndjson(path: &Path) -> Result<Vec<SourceRow>, String> {
    let file = fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    let lines = lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    lines
        .map(|(index, line)| object(line.map_err(|error| error.to_string())?.as_bytes(), index + 1))
        .collect()
}

fn object(text: &[u8], number: usize) -> Result<SourceRow, String> {
    serde_json::from_slice(text).map_err(|_| format!("row {number} is not a JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_no_argument_of_a_process() {
        for (url, expected, password) in [
            ("postgresql://lab:p%40ss@db:5432/cases", "postgresql://lab@db:5432/cases", Some("p@ss")),
            ("postgres://lab@db/cases?sslmode=require", "postgres://lab@db/cases?sslmode=require", None),
            ("postgresql:///cases?host=/tmp", "postgresql:///cases?host=/tmp", None),
        ] {
            assert_eq!(without_password(url), (expected.to_owned(), password.map(str::to_owned)));
        }
    }

    #[test]
    fn a_source_is_recognized_by_its_scheme_its_ending_or_its_content() {
        assert_eq!(Source::parse("a/b.csv"), Ok(Source::Csv("a/b.csv".into())));
        assert_eq!(Source::parse("b.ndjson"), Ok(Source::Ndjson("b.ndjson".into())));
        assert!(matches!(Source::parse("postgres://db/x"), Ok(Source::Postgres(_))));
        assert!(Source::parse("no/such/file.db").is_err());
    }
}
