//! `GET /api/v1/cases/doctor-info/{doctor_id}`: a doctor of the lab, from LinksHub.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the doctor.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let doctor = lab.doctor(&http::doctor_id(&req)?).await?;
    http::ok(&doctor)
}
