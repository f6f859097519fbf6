//! What UMS sends, reduced to the fields that matter. Everything else, password histories among it, is dropped unread.

use serde::Deserialize;

use crate::{lab::LabId, token::Subject};

/// `GET /api/auth/me`.
#[derive(Deserialize)]
pub(crate) struct Me {
    pub user: User,
    /// Some installations put the memberships here.
    pub labs: Option<Vec<LabClaim>>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub id: Subject,
    pub is_active: bool,
    /// A system administrator: not a member of any lab by that.
    #[serde(default)]
    pub is_admin: bool,
    pub locked_until: Option<String>,
}

/// A membership at the top level of a token or of `/me`.
#[derive(Deserialize, Clone)]
pub(crate) struct LabClaim {
    pub lab_id: LabId,
    #[serde(default)]
    pub lab_name: String,
    pub role: String,
    pub membership_status: String,
}

/// `GET /api/users/{id}/labs`.
#[derive(Deserialize)]
pub(crate) struct Memberships {
    pub memberships: Vec<MembershipRow>,
}

#[derive(Deserialize)]
pub(crate) struct MembershipRow {
    pub user_id: Subject,
    pub role: String,
    pub is_active: bool,
    pub lab: Lab,
}

/// `GET /api/labs`.
#[derive(Deserialize)]
pub(crate) struct Labs {
    pub labs: Vec<Lab>,
}

#[derive(Deserialize)]
pub(crate) struct Lab {
    pub id: LabId,
    pub code: Option<String>,
    pub name: String,
    pub is_active: bool,
}

/// `POST /api/auth/user-attributes`.
#[derive(Deserialize)]
pub(crate) struct UserAttributes {
    pub user_id: Subject,
    pub lab_id: LabId,
    pub attributes: Vec<String>,
}
