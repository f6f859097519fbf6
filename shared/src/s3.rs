//! The client of S3, for the archive and for the files of cases.

use aws_sdk_s3::{Client, config::Builder};

use crate::{config::TableConfig, table::client};

/// The most attempts of a call.
const ATTEMPTS: u32 = 4;

/// Makes a client with the function's own identity. Sends nothing yet. An `endpoint` is that of an emulator.
///
/// # Errors
/// The text says why it cannot be made.
pub(crate) fn client(endpoint: Option<&str>, identity: &TableConfig) -> Result<Client, String> {
    let sdk = Builder::from(&client::sdk_config(identity, endpoint, ATTEMPTS)?);
    // An emulator has no DNS names for buckets.
    Ok(Client::from_conf(sdk.force_path_style(endpoint.is_some()).build()))
}
