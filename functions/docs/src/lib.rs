//! The published contract: Swagger UI at `/docs` with its assets, and `openapi.yaml` without the gateway's part as
//! JSON and YAML. Everything is embedded at build time; see `build.rs`.

mod negotiate;

use std::io::Read;

use flate2::read::GzDecoder;
use lambda_http::http::response::Builder;
use lambda_http::http::{Method, StatusCode, header};
use lambda_http::{Body, RequestExt};
use shared::base::error::Error;
use shared::http::{Request, Result};

/// What the page may do: run and show what this origin serves, and call this origin's API. Nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For what changes with a deployment: kept, but asked for again every time.
const REVALIDATE: &str = "no-cache";

/// For Swagger UI's own files, which change only with its version.
const ONE_DAY: &str = "public, max-age=86400";

/// An embedded file.
struct File {
    path: &'static str,
    content_type: &'static str,
    cache_control: &'static str,
    /// The content, compressed.
    gzip: &'static [u8],
    /// Hash of the content before compression.
    hash: &'static str,
}

macro_rules! file {
    ($path:literal, $name:literal, $content_type:literal, $cache_control:expr) => {
        File {
            path: $path,
            content_type: $content_type,
            cache_control: $cache_control,
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            hash: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".hash")),
        }
    };
}

const PAGE: &str = "/docs";

static FILES: [File; 7] = [
    file!("/docs", "index.html", "text/html; charset=utf-8", REVALIDATE),
    file!("/docs/page.css", "page.css", "text/css; charset=utf-8", REVALIDATE),
    file!("/docs/init.js", "init.js", "text/javascript; charset=utf-8", REVALIDATE),
    file!("/docs/swagger-ui.css", "swagger-ui.css", "text/css; charset=utf-8", ONE_DAY),
    file!("/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js", "text/javascript; charset=utf-8", ONE_DAY),
    file!("/api/v1/swagger.json", "swagger.json", "application/json", REVALIDATE),
    file!("/api/v1/openapi.yaml", "openapi.yaml", "application/yaml", REVALIDATE),
];

/// Answers `GET` and `HEAD` of the docs page, its assets and the contract; every other path is `not_found`.
pub async fn handler(req: Request) -> Result {
    let path = req.raw_http_path().trim_end_matches('/');
    let file = FILES.iter().find(|file| file.path == path).ok_or_else(Error::not_found)?;
    if req.method() != Method::GET && req.method() != Method::HEAD {
        return Err(Error::method_not_allowed("GET, HEAD"));
    }
    let mut response = answer(file, &req)?;
    if req.method() == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    Ok(response)
}

fn answer(file: &File, req: &Request) -> Result {
    let gzip = negotiate::accepts_gzip(req.headers());
    // Two encodings are two representations, and a strong ETag tells them apart.
    let etag = if gzip { format!("\"{}-gzip\"", file.hash) } else { format!("\"{}\"", file.hash) };
    let response = lambda_http::http::Response::builder()
        .header(header::CACHE_CONTROL, file.cache_control)
        .header(header::VARY, "Accept-Encoding")
        .header(header::ETAG, &etag);
    if negotiate::matches(req.headers(), &etag) {
        return finish(response.status(StatusCode::NOT_MODIFIED), Body::Empty);
    }

    let mut response = response.header(header::CONTENT_TYPE, file.content_type);
    if file.path == PAGE {
        response = response.header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    }
    if gzip {
        finish(response.header(header::CONTENT_ENCODING, "gzip"), Body::Binary(file.gzip.to_vec()))
    } else {
        finish(response, Body::Text(decompress(file)?))
    }
}

fn decompress(file: &File) -> std::result::Result<String, Error> {
    let mut text = String::new();
    match GzDecoder::new(file.gzip).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::internal(format!("embedded {}: {error}", file.path))),
    }
}

fn finish(response: Builder, body: Body) -> Result {
    response.body(body).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
#[path = "../build/publish.rs"]
mod publish;

#[cfg(test)]
mod tests;
