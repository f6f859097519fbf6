//! The sizes of the binaries, and of the zips that Lambda gets.

use std::io::Write;

use local::{Error, Result};
use serde::{Deserialize, Serialize};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::run::Bench;

/// The sizes of a function, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sizes {
    pub(crate) binary: u64,
    pub(crate) zip: u64,
    /// The zip for arm64, if `make build` has made it.
    pub(crate) zip_arm64: Option<u64>,
}

/// Measures a function.
pub(crate) fn measure(bench: &Bench, name: &str) -> Result<Sizes> {
    let binary = bench.functions.read(name)?;
    let zip = zip_of(&binary).map_err(|error| Error::new(format!("no zip of {name}: {error}")))?;
    let arm64 = std::fs::read(bench.root.join("dist/build/functions").join(name).join("bootstrap")).ok();
    Ok(Sizes {
        binary: binary.len() as u64,
        zip: zip.len() as u64,
        zip_arm64: arm64.and_then(|binary| zip_of(&binary).ok()).map(|zip| zip.len() as u64),
    })
}

/// A zip as a deployment makes it, with the strongest compression.
fn zip_of(binary: &[u8]) -> std::result::Result<Vec<u8>, zip::result::ZipError> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9));
    zip.start_file("bootstrap", options)?;
    zip.write_all(binary)?;
    Ok(zip.finish()?.into_inner())
}
