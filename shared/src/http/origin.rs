//! The way of a request through the CDN in front of the gateway. The CDN adds a secret to each request, so that nobody can go
//! around it, and the address of the client, because the gateway only sees that of the CDN.

use std::net::IpAddr;

use aws_lc_rs::constant_time;
use lambda_http::request::RequestContext;

use super::Request;
use crate::base::{
    error::{Error, ErrorCode},
    private::Secret,
};

/// The header with the secret.
const SECRET: &str = "x-origin-secret";
/// The header with the address of the client.
const VIEWER_ADDRESS: &str = "x-viewer-address";

/// Checks that the request has one of the secrets, and puts the address of the client in the place of the CDN's. Without
/// secrets there is no CDN, and every request passes as it is. No later code sees the secret.
///
/// # Errors
/// Direct access forbidden.
pub(crate) fn pass_origin(request: &mut Request, secrets: &[Secret]) -> Result<(), Error> {
    let given = request.headers_mut().remove(SECRET);
    if secrets.is_empty() {
        return Ok(());
    }
    let is_given = |secret: &Secret| {
        let given = given.as_ref().map_or(&[][..], |given| given.as_bytes());
        constant_time::verify_slices_are_equal(secret.expose().as_bytes(), given).is_ok()
    };
    if !secrets.iter().any(is_given) {
        return Err(Error::new(
            ErrorCode::DirectAccessForbidden,
            "Send the request to the public name of the API.",
        ));
    }
    let address = request.headers().get(VIEWER_ADDRESS).and_then(|value| value.to_str().ok());
    let address: Option<IpAddr> = address.and_then(|text| text.parse().ok());
    if let (Some(address), Some(RequestContext::ApiGatewayV2(context))) =
        (address, request.extensions_mut().get_mut::<RequestContext>())
    {
        context.http.source_ip = Some(address.to_string());
    }
    Ok(())
}
