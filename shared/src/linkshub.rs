//! LinksHub: the doctors and products that labs work for and with.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Fault},
    lab::LabId,
    token::AccessToken,
    upstream,
};

/// Everything but the characters that a path segment may hold as they are (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A doctor as LinksHub knows them.
#[derive(Serialize, Deserialize)]
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

/// A postal address.
#[derive(Serialize, Deserialize)]
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

#[derive(Deserialize)]
struct Relation {
    is_active: bool,
}

#[derive(Deserialize)]
struct Product {
    is_active: bool,
}

/// The client.
pub struct LinksHub {
    client: Client,
    base_url: String,
}

impl LinksHub {
    /// A client that shares the pool of `client`; `base_url` has no trailing slash.
    pub fn new(client: Client, base_url: String) -> Self {
        Self { client, base_url }
    }

    /// A doctor who has an active relation to the lab; `None` for any other, whether they exist or not.
    ///
    /// # Errors
    /// Unavailable when LinksHub does not answer properly within 2 s.
    pub async fn doctor(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: &str,
    ) -> Result<Option<Doctor>, Error> {
        let path = doctor_path(doctor_id);
        let both =
            async { tokio::try_join!(self.find(token, &path), self.is_related(token, lab, doctor_id)) };
        let (doctor, related): (Option<Doctor>, bool) = within_budget(both).await?;
        Ok(doctor.filter(|_| related))
    }

    /// What is wrong with the ids that a case names: an unknown doctor, one without an active relation to the lab, an
    /// unknown or discontinued product. All are looked up together.
    ///
    /// # Errors
    /// Unavailable when LinksHub does not answer properly within 2 s.
    pub async fn faults(
        &self,
        token: &AccessToken,
        lab: LabId,
        doctor_id: Option<&str>,
        product_id: Option<&str>,
    ) -> Result<Vec<Fault>, Error> {
        let doctor = async {
            match doctor_id {
                Some(id) => self.is_related(token, lab, id).await,
                None => Ok(true),
            }
        };
        let product = async {
            match product_id {
                Some(id) => {
                    let product: Option<Product> =
                        self.find(token, &format!("/products/{}", segment(id))).await?;
                    Ok(product.is_some_and(|product| product.is_active))
                }
                None => Ok(true),
            }
        };
        let (doctor, product) = within_budget(async { tokio::try_join!(doctor, product) }).await?;
        let mut faults = Vec::new();
        if !doctor {
            faults.push(Fault::new("/doctor_id", "is not a doctor with an active relation to this lab"));
        }
        if !product {
            faults.push(Fault::new("/product_id", "is not an active product"));
        }
        Ok(faults)
    }

    async fn is_related(&self, token: &AccessToken, lab: LabId, doctor_id: &str) -> Result<bool, Error> {
        let path = format!("{}/labs/{lab}/relation", doctor_path(doctor_id));
        let relation: Option<Relation> = self.find(token, &path).await?;
        Ok(relation.is_some_and(|relation| relation.is_active))
    }

    async fn find<T: DeserializeOwned>(&self, token: &AccessToken, path: &str) -> Result<Option<T>, Error> {
        let url = format!("{}/api/v1{path}", self.base_url);
        let answer = upstream::send(&self.client, Method::GET, &url, token.raw(), None, None)
            .await
            .map_err(unavailable)?;
        match answer.status {
            StatusCode::OK => answer.json().map(Some).map_err(unavailable),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(unavailable(format!("LinksHub answered {status}"))),
        }
    }
}

fn doctor_path(doctor_id: &str) -> String {
    format!("/doctors/{}", segment(doctor_id))
}

fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

async fn within_budget<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(upstream::BUDGET, work)
        .await
        .unwrap_or_else(|_| Err(unavailable("no answer within 2 s")))
}

fn unavailable(cause: impl Into<String>) -> Error {
    Error::unavailable("LinksHub", cause)
}
