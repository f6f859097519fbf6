//! LinksHub: the doctors and products that labs work for and with.

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
    upstream::{self, Cache, Call, CircuitBreaker, LIFETIME},
};

/// The name of LinksHub in problem details.
const NAME: &str = "LinksHub";

/// Everything but the characters that a path segment may hold as they are (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A doctor as LinksHub knows them.
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
    /// Whether new work may be for them; LinksHub need not say.
    fn takes_part(&self) -> bool {
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

/// What matters of a product.
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

/// What LinksHub was asked, and for which lab: no lab is served what was found out for another.
type Question = (LabId, String);

/// The client, with the good answers of the last minute. Bad ones are not kept: who enters a new doctor in LinksHub
/// wants to use them at once.
pub(crate) struct LinksHub {
    client: Client,
    base_url: String,
    circuit: CircuitBreaker,
    /// Doctors with an active relation to the lab.
    doctors: Cache<Question, Doctor>,
    /// Active products.
    products: Cache<Question, ()>,
}

impl LinksHub {
    /// A client that shares the pool of `client`, and leaves LinksHub alone for `pause` when it keeps failing;
    /// `base_url` has no trailing slash.
    pub(crate) fn new(client: Client, base_url: String, pause: Duration) -> Self {
        let circuit = CircuitBreaker::new(NAME, pause);
        Self { client, base_url, circuit, doctors: Cache::default(), products: Cache::default() }
    }

    /// A doctor who has an active relation to the lab; `None` for any other, whether they exist or not.
    ///
    /// # Errors
    /// Unavailable when LinksHub does not answer properly within 2 s.
    pub(crate) async fn doctor(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: &str,
    ) -> Result<Option<Doctor>, Error> {
        match self.doctors.get(&(lab, doctor_id.to_owned())) {
            Some(doctor) => Ok(Some(doctor)),
            None => self.ask(self.look_up_doctor(token, lab, doctor_id)).await,
        }
    }

    /// What is wrong with the ids that a case names: a doctor who is unknown, not active or without an active
    /// relation to the lab, an unknown or discontinued product. All are looked up together.
    ///
    /// # Errors
    /// Unavailable when LinksHub does not answer properly within 2 s.
    pub(crate) async fn check_references(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: Option<&str>,
        product_id: Option<&str>,
    ) -> Result<Vec<FieldError>, Error> {
        // What is known to be good is not asked for.
        let known = |id: &str| self.doctors.get(&(lab, id.to_owned()));
        let doctor = doctor_id.filter(|id| !known(id).is_some_and(|doctor| doctor.takes_part()));
        let product = product_id.filter(|id| self.products.get(&(lab, (*id).to_owned())).is_none());
        if doctor.is_none() && product.is_none() {
            return Ok(Vec::new());
        }
        let doctor = async {
            let Some(id) = doctor else { return Ok(true) };
            let found = self.look_up_doctor(token, lab, id).await?;
            Ok(found.is_some_and(|doctor| doctor.takes_part()))
        };
        let product = async {
            let Some(id) = product else { return Ok(true) };
            self.is_active_product(token, lab, id).await
        };
        let (doctor, product) = self.ask(async { tokio::try_join!(doctor, product) }).await?;
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

    /// The doctor and their relation to the lab, asked for at the same time.
    async fn look_up_doctor(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: &str,
    ) -> Result<Option<Doctor>, Error> {
        let doctor_path = format!("/doctors/{}", segment(doctor_id));
        let relation_path = format!("{doctor_path}/labs/{lab}/relation");
        let (doctor, relation) = tokio::try_join!(
            self.find::<Doctor>(token, &doctor_path),
            self.find::<Relation>(token, &relation_path),
        )?;
        let doctor =
            is_what_was_asked_for(doctor, |doctor| doctor.doctor_id.eq_ignore_ascii_case(doctor_id))?;
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
        let found = self.find::<Product>(token, &format!("/products/{}", segment(product_id))).await?;
        let found =
            is_what_was_asked_for(found, |product| product.product_id.eq_ignore_ascii_case(product_id))?;
        let is_active = found.is_some_and(|product| product.is_active);
        if is_active {
            self.products.put((lab, product_id.to_owned()), (), LIFETIME);
        }
        Ok(is_active)
    }

    async fn find<T: DeserializeOwned>(&self, token: &AccessToken, path: &str) -> Result<Option<T>, Error> {
        let url = format!("{}/api/v1{path}", self.base_url);
        let call = Call { token: Some(token.raw()), ..Call::get(&url) };
        let answer = upstream::send(&self.client, call).await.map_err(|cause| Error::outage(NAME, cause))?;
        match answer.status {
            StatusCode::OK => answer.json().map(Some).map_err(unavailable),
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_server_error() => Err(Error::outage(NAME, format!("it answered {status}"))),
            status => Err(unavailable(format!("it answered {status}"))),
        }
    }

    /// Asks all that one request wants to know, within 2 s, unless LinksHub is being left alone.
    async fn ask<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let in_time = async {
            let late = |_| Err(Error::outage(NAME, "no answer within 2 s"));
            tokio::time::timeout(UPSTREAM_BUDGET, work).await.unwrap_or_else(late)
        };
        self.circuit.ask(in_time).await
    }
}

/// Refuses an answer about something else: nobody is shown a doctor whom they did not ask for. (Whether LinksHub tells `a`
/// from `A` in ids is its own affair.)
fn is_what_was_asked_for<T>(found: Option<T>, is_it: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    match found {
        Some(found) if !is_it(&found) => Err(unavailable("it answered about something else")),
        found => Ok(found),
    }
}

fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

fn unavailable(cause: impl Into<String>) -> Error {
    Error::unavailable(NAME, cause)
}
