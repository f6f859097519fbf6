//! Prepares in OUT_DIR what the function embeds: each file compressed (`NAME.gz`) with the hash of its content
//! (`NAME.hash`, the ETag).

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use contract::Contract;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

#[path = "build/publish.rs"]
mod publish;

const CONTRACT: &str = "../../openapi.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    for input in ["build.rs", "build", "page", CONTRACT] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let contract = Contract::read(Path::new(CONTRACT))?;
    let published = publish::publish(contract.document().clone());
    embed(&out, "swagger.json", serde_json::to_string(&published)?.as_bytes())?;
    embed(&out, "openapi.yaml", publish::to_yaml(&published)?.as_bytes())?;

    for name in ["index.html", "page.css", "init.js"] {
        embed(&out, name, &fs::read(Path::new("page").join(name))?)?;
    }
    for name in ["swagger-ui.css", "swagger-ui-bundle.js"] {
        embed(&out, name, &swagger_ui_file(name)?)?;
    }
    Ok(())
}

/// A file of Swagger UI's release archive, which the crate carries as it was published.
fn swagger_ui_file(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let suffix = format!("/dist/{name}");
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        if file.name()?.ends_with(&suffix) {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    Err(format!("Swagger UI has no {name}").into())
}

fn embed(out: &Path, name: &str, content: &[u8]) -> Result<(), Box<dyn Error>> {
    // No name and no time in the gzip header: the same content gives the same bytes.
    let file = File::create(out.join(format!("{name}.gz")))?;
    let mut gzip = GzBuilder::new().write(file, Compression::best());
    gzip.write_all(content)?;
    gzip.finish()?;

    let mut hash = String::new();
    for byte in &Sha256::digest(content)[..16] {
        write!(hash, "{byte:02x}")?;
    }
    fs::write(out.join(format!("{name}.hash")), hash)?;
    Ok(())
}
