//! LinksHub, the service with the doctors and products of labs.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    auth::AccessToken,
    base::{
        LabId,
        error::Error,
        field_error::{FieldCode, FieldError, Invalid},
    },
    config::UPSTREAM_BUDGET,
    telemetry::Dependency,
    upstream::{self, Cache, Call, CircuitBreaker, LIFETIME},
};

/// The name of LinksHub in problem details.
const NAME: &str = "LinksHub";

/// The characters that must be encoded in a path segment: all except the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A doctor in LinksHub.
#[derive(Clone, Serialize, Deserialize)]
pub struct Doctor {
    /// LinksHub's id.
    pub doctor_id: String,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Address for mail.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
    /// The practice.
    pub practice_name: Option<String>,
    /// The licence to practise.
    pub license_number: Option<String>,
    /// The speciality.
    pub specialty: Option<String>,
    /// Where the practice is.
    pub address: Option<Address>,
    /// Whether the doctor still orders.
    pub is_active: Option<bool>,
}

impl Doctor {
    /// Whether the doctor may order new work. A doctor without `is_active` may.
    fn may_order(&self) -> bool {
        self.is_active != Some(false)
    }
}

/// A postal address.
#[derive(Clone, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// Postal code.
    pub zip_code: Option<String>,
    /// Country.
    pub country: Option<String>,
}

/// The fields of a product that this service needs.
#[derive(Deserialize)]
struct Product {
    product_id: String,
    is_active: bool,
}

/// A doctor's relation to a lab.
#[derive(Deserialize)]
struct Relation {
    is_active: bool,
}

/// The lab and the id of a doctor or product. A lab never gets an answer that was cached for another lab.
type Key = (LabId, String);

/// The client of LinksHub, which caches good answers for a minute. It does not cache others, so that a doctor who was just
/// added to LinksHub can be used at once.
pub(crate) struct LinksHub {
    client: Client,
    base_url: String,
    /// By the path of the doctor or product: LinksHub may fail for one of them only.
    circuit: CircuitBreaker<String>,
    /// Doctors with an active relation to the lab.
    doctors: Cache<Key, Doctor>,
    /// Active products.
    products: Cache<Key, ()>,
}

impl LinksHub {
    /// Makes a client with the connections of `client` and a circuit breaker that opens for `pause`. `base_url` has no
    /// trailing slash.
    pub(crate) fn new(client: Client, base_url: String, pause: Duration) -> Self {
        let circuit = CircuitBreaker::new(NAME, pause);
        Self { client, base_url, circuit, doctors: Cache::default(), products: Cache::default() }
    }

    /// Returns a doctor with an active relation to the lab. Returns `None` for any other id, so that a lab cannot find out
    /// which doctors exist.
    ///
    /// # Errors
    /// Unavailable, when LinksHub does not answer within 2 s or its answer is invalid.
    pub(crate) async fn doctor(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: &str,
    ) -> Result<Option<Doctor>, Error> {
        match self.doctors.get(&(lab, doctor_id.to_owned())) {
            Some(doctor) => Ok(Some(doctor)),
            None => self.look_up_doctor(token, lab, doctor_id).await,
        }
    }

    /// Checks the doctor and the product of a case, both at the same time. Returns an error for a doctor who is unknown,
    /// inactive or without an active relation to the lab, and for a product that is unknown or inactive.
    ///
    /// # Errors
    /// Unavailable, when LinksHub does not answer within 2 s or its answer is invalid.
    pub(crate) async fn check_references(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: Option<&str>,
        product_id: Option<&str>,
    ) -> Result<Vec<FieldError>, Error> {
        // Good answers in the cache need no call.
        let cached = |id: &str| self.doctors.get(&(lab, id.to_owned()));
        let doctor = doctor_id.filter(|id| !cached(id).is_some_and(|doctor| doctor.may_order()));
        let product = product_id.filter(|id| self.products.get(&(lab, (*id).to_owned())).is_none());
        if doctor.is_none() && product.is_none() {
            return Ok(Vec::new());
        }
        let doctor = async {
            let Some(id) = doctor else { return Ok(true) };
            let found = self.look_up_doctor(token, lab, id).await?;
            Ok(found.is_some_and(|doctor| doctor.may_order()))
        };
        let product = async {
            let Some(id) = product else { return Ok(true) };
            self.is_active_product(token, lab, id).await
        };
        // Not `try_join`: the failure of one call must not cancel the other one, which would then count as failed too.
        let (doctor, product) = tokio::join!(doctor, product);
        let (doctor, product) = (doctor?, product?);
        let mut errors = Vec::new();
        if !doctor {
            let detail = "is not an active doctor with an active relation to this lab";
            errors.push(FieldError::new("/doctor_id", Invalid::new(FieldCode::NotRelated, detail)));
        }
        if !product {
            let invalid = Invalid::new(FieldCode::NotFound, "is not an active product");
            errors.push(FieldError::new("/product_id", invalid));
        }
        Ok(errors)
    }

    /// Gets the doctor and their relation to the lab, at the same time.
    async fn look_up_doctor(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: &str,
    ) -> Result<Option<Doctor>, Error> {
        let doctor_path = format!("/doctors/{}", segment(doctor_id));
        let relation_path = format!("{doctor_path}/labs/{lab}/relation");
        let calls = async {
            let (doctor, relation) = tokio::try_join!(
                self.find::<Doctor>(token, &doctor_path),
                self.find::<Relation>(token, &relation_path),
            )?;
            let doctor = check_identity(doctor, |doctor| doctor.doctor_id.eq_ignore_ascii_case(doctor_id))?;
            Ok((doctor, relation))
        };
        let (doctor, relation) = self.call(&doctor_path, calls).await?;
        let doctor = doctor.filter(|_| relation.is_some_and(|relation| relation.is_active));
        if let Some(doctor) = &doctor {
            self.doctors.put((lab, doctor_id.to_owned()), doctor.clone(), LIFETIME);
        }
        Ok(doctor)
    }

    async fn is_active_product(
        &self,
        token: &AccessToken,
        lab: LabId,
        product_id: &str,
    ) -> Result<bool, Error> {
        let path = format!("/products/{}", segment(product_id));
        let call = async {
            let found = self.find::<Product>(token, &path).await?;
            check_identity(found, |product| product.product_id.eq_ignore_ascii_case(product_id))
        };
        let found = self.call(&path, call).await?;
        let is_active = found.is_some_and(|product| product.is_active);
        if is_active {
            self.products.put((lab, product_id.to_owned()), (), LIFETIME);
        }
        Ok(is_active)
    }

    async fn find<T: DeserializeOwned>(&self, token: &AccessToken, path: &str) -> Result<Option<T>, Error> {
        let url = format!("{}/api/v1{path}", self.base_url);
        let call = Call { token: Some(token.raw()), ..Call::get(Some(Dependency::LinksHub), &url) };
        let answer = upstream::send(&self.client, call).await.map_err(|error| error.into_error(NAME))?;
        match answer.status {
            StatusCode::OK => answer.json().map(Some).map_err(unavailable),
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_server_error() => Err(Error::outage(NAME, format!("it answered {status}"))),
            status => Err(unavailable(format!("it answered {status}"))),
        }
    }

    /// Makes all calls about one doctor or product within 2 s, unless the circuit breaker blocks them.
    async fn call<T>(&self, path: &str, calls: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let in_time = async {
            let late = |_| Err(Error::outage(NAME, "no answer within 2 s"));
            tokio::time::timeout(UPSTREAM_BUDGET, calls).await.unwrap_or_else(late)
        };
        self.circuit.call(&path.to_owned(), in_time).await
    }
}

/// Rejects an answer with another id than the requested one, so that nobody gets another doctor's data. Callers compare ids
/// without case, because LinksHub may ignore it.
fn check_identity<T>(found: Option<T>, has_id: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    match found {
        Some(found) if !has_id(&found) => Err(unavailable("it answered with another id")),
        found => Ok(found),
    }
}

fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

fn unavailable(cause: impl Into<String>) -> Error {
    Error::unavailable(NAME, cause)
}
