//! A stand-in for LinksHub, which knows doctors, products, and which doctor works with which lab.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::server::for_browsers;

/// Everything that LinksHub knows. Plain data for tests to fill and to change.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The doctors.
    pub doctors: Vec<Doctor>,
    /// The products.
    pub products: Vec<Product>,
    /// Which doctor works with which lab.
    pub relations: Vec<Relation>,
}

/// A dentist.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the service's JSON")]
pub struct Doctor {
    pub doctor_id: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub phone: String,
    pub practice_name: String,
    pub license_number: String,
    pub specialty: String,
    pub address: Address,
    /// The labs of the active relations. Written when the doctor is answered, whatever stands here.
    pub lab_relations: Vec<String>,
    pub created_at: String,
    pub is_active: bool,
}

/// Where a doctor practises.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the service's JSON")]
pub struct Address {
    pub street: String,
    pub city: String,
    pub state: String,
    pub zip_code: String,
    pub country: String,
}

/// Something that a lab makes.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the service's JSON")]
pub struct Product {
    pub product_id: String,
    pub name: String,
    pub is_active: bool,
}

/// That a doctor works with a lab.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The doctor.
    pub doctor_id: String,
    /// The lab.
    pub lab_id: i64,
    /// False once they have parted.
    pub is_active: bool,
}

impl Doctor {
    /// An active doctor with made-up particulars.
    pub fn new(doctor_id: &str, first_name: &str, last_name: &str, specialty: &str) -> Self {
        Self {
            doctor_id: doctor_id.into(),
            first_name: first_name.into(),
            last_name: last_name.into(),
            email: format!("{}@example.com", last_name.to_lowercase()),
            phone: "+1-555-0100".into(),
            practice_name: format!("{last_name} Dental Practice"),
            license_number: format!("LIC-{doctor_id}"),
            specialty: specialty.into(),
            address: Address {
                street: "1 Mill Lane".into(),
                city: "Springfield".into(),
                state: "IL".into(),
                zip_code: "62701".into(),
                country: "USA".into(),
            },
            lab_relations: Vec::new(),
            created_at: "2026-11-02T08:00:00.000000".into(),
            is_active: true,
        }
    }
}

impl Product {
    /// An active product.
    pub fn new(product_id: &str, name: &str) -> Self {
        Self { product_id: product_id.into(), name: name.into(), is_active: true }
    }
}

impl Relation {
    /// An active relation.
    pub fn new(doctor_id: &str, lab_id: i64) -> Self {
        Self { doctor_id: doctor_id.into(), lab_id, is_active: true }
    }
}

/// The state of a stand-in: clones share it, so that a test can change what a running one knows.
#[derive(Clone, Debug)]
pub struct LinksHub(Arc<RwLock<Catalogue>>);

impl LinksHub {
    /// A stand-in that knows `catalogue`.
    pub fn new(catalogue: Catalogue) -> Self {
        Self(Arc::new(RwLock::new(catalogue)))
    }

    /// Changes what it knows; the next request sees the change.
    pub fn update<T>(&self, change: impl FnOnce(&mut Catalogue) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Catalogue> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The stand-in's routes: all but `/health` want a bearer token, which is not looked into. The two lists and `/health`
/// are its own; nothing is known of them in the real service.
pub fn router(linkshub: LinksHub) -> Router {
    Router::new()
        .route("/api/v1/doctors", get(doctors))
        .route("/api/v1/doctors/{doctor_id}", get(doctor))
        .route("/api/v1/doctors/{doctor_id}/labs/{lab_id}/relation", get(relation))
        .route("/api/v1/products", get(products))
        .route("/api/v1/products/{product_id}", get(product))
        .layer(middleware::from_fn(require_bearer))
        .route("/health", get(|| async { Json(json!({"status": "healthy", "service": "linkshub"})) }))
        .fallback(|| async { not_found("Not found") })
        .layer(for_browsers())
        .with_state(linkshub)
}

/// Which doctors to list: those of one lab, or all.
#[derive(Deserialize)]
struct OfLab {
    lab_id: Option<String>,
}

/// All doctors, or those that work with `lab_id`. The stand-in's own.
async fn doctors(State(linkshub): State<LinksHub>, Query(OfLab { lab_id }): Query<OfLab>) -> Response {
    let catalogue = linkshub.read();
    let mut doctors: Vec<Doctor> =
        catalogue.doctors.iter().map(|doctor| with_relations(&catalogue, doctor)).collect();
    if let Some(lab_id) = lab_id {
        doctors.retain(|doctor| doctor.lab_relations.contains(&lab_id));
    }
    Json(json!({"doctors": doctors})).into_response()
}

async fn doctor(State(linkshub): State<LinksHub>, Path(id): Path<String>) -> Response {
    let catalogue = linkshub.read();
    match catalogue.doctors.iter().find(|doctor| doctor.doctor_id == id) {
        Some(doctor) => Json(with_relations(&catalogue, doctor)).into_response(),
        None => not_found("Doctor not found"),
    }
}

fn with_relations(catalogue: &Catalogue, doctor: &Doctor) -> Doctor {
    let active = catalogue.relations.iter().filter(|it| it.doctor_id == doctor.doctor_id && it.is_active);
    Doctor { lab_relations: active.map(|it| it.lab_id.to_string()).collect(), ..doctor.clone() }
}

/// All products. The stand-in's own.
async fn products(State(linkshub): State<LinksHub>) -> Response {
    Json(json!({"products": linkshub.read().products})).into_response()
}

async fn relation(
    State(linkshub): State<LinksHub>,
    Path((doctor_id, lab_id)): Path<(String, String)>,
) -> Response {
    let catalogue = linkshub.read();
    let mut relations = catalogue.relations.iter();
    match relations.find(|it| it.doctor_id == doctor_id && it.lab_id.to_string() == lab_id) {
        Some(relation) => Json(json!({"is_active": relation.is_active})).into_response(),
        None => not_found("Relation not found"),
    }
}

async fn product(State(linkshub): State<LinksHub>, Path(id): Path<String>) -> Response {
    match linkshub.read().products.iter().find(|product| product.product_id == id) {
        Some(product) => Json(product).into_response(),
        None => not_found("Product not found"),
    }
}

async fn require_bearer(headers: HeaderMap, request: Request, next: Next) -> Response {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            next.run(request).await
        }
        _ => (StatusCode::UNAUTHORIZED, Json(json!({"error": "Authentication required"}))).into_response(),
    }
}

fn not_found(error: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response()
}

#[cfg(test)]
mod tests;
