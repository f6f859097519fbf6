//! What UMS sends, reduced to the fields that matter. Everything else, such as password histories, is dropped unread.

use serde::Deserialize;

use crate::{
    auth::token::LabClaim,
    base::{LabId, Subject},
};

/// `GET /api/auth/me`.
#[derive(Deserialize)]
pub(super) struct Me {
    pub user: User,
    /// Some installations put the memberships here.
    pub labs: Option<Vec<LabClaim>>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub id: Subject,
    pub is_active: bool,
    /// A system administrator; that does not make the user a member of a lab.
    #[serde(default)]
    pub is_admin: bool,
    pub locked_until: Option<String>,
}

/// `GET /api/users/{id}/labs`.
#[derive(Deserialize)]
pub(super) struct Memberships {
    pub memberships: Vec<MembershipRow>,
}

#[derive(Deserialize)]
pub(super) struct MembershipRow {
    pub user_id: Subject,
    pub role: String,
    pub is_active: bool,
    pub lab: Lab,
}

/// `GET /api/labs`.
#[derive(Deserialize)]
pub(super) struct Labs {
    pub labs: Vec<Lab>,
}

#[derive(Deserialize)]
pub(super) struct Lab {
    pub id: LabId,
    pub code: Option<String>,
    pub name: String,
    pub is_active: bool,
}

/// `POST /api/auth/user-attributes`.
#[derive(Deserialize)]
pub(super) struct UserAttributes {
    pub user_id: Subject,
    pub lab_id: LabId,
    pub attributes: Vec<String>,
}
