//! The data of the stand-in UMS: labs, users and memberships. Tests fill and change it.

use serde::Serialize;
use serde_json::Value;

/// The data of UMS, and the variants of its answers.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The laboratories.
    pub labs: Vec<Lab>,
    /// The accounts.
    pub users: Vec<User>,
    /// Which user belongs to which lab, in which role.
    pub memberships: Vec<Membership>,
    /// How `GET /api/users/{id}/labs` answers.
    pub memberships_route: MembershipsRoute,
    /// Whether `/api/auth/me` lists the active memberships as `labs` at its top level, as an earlier design promised.
    pub me_lists_labs: bool,
    /// When set, calls other than login and refresh must carry it as `X-API-Key`.
    pub api_key: Option<String>,
    /// When set, tokens signed with this secret are accepted too, as by a UMS that changes its secret.
    pub previous_secret: Option<String>,
    /// The users for whom every call with their token answers 500.
    pub failing_users: Vec<i64>,
}

/// How `GET /api/users/{id}/labs` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MembershipsRoute {
    /// With the memberships, as a repaired service does.
    #[default]
    Repaired,
    /// With 500 for everybody who has a membership, as the published service does.
    PublishedDefect,
}

/// A dental laboratory.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the service's JSON")]
pub struct Lab {
    pub id: i64,
    pub code: String,
    pub name: String,
    pub description: String,
    pub is_active: bool,
    pub created_at: String,
    pub updated_at: String,
}

/// An account.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the service's JSON")]
pub struct User {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// False once the account is deactivated; its tokens stay good.
    pub is_active: bool,
    /// Whether this is a system administrator.
    pub is_admin: bool,
    pub email_verified: bool,
    /// The account is locked until then (no zone, UTC).
    pub locked_until: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    /// The real service returns the hashes of earlier passwords. This text makes a leak visible in tests.
    pub password_history: Vec<String>,
    /// Plain text, because a stand-in protects nothing.
    #[serde(skip)]
    pub password: String,
    /// Whether a login is rejected because the password is too old.
    #[serde(skip)]
    pub password_expired: bool,
}

/// A membership of a user in a lab.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Unique among the memberships.
    pub id: i64,
    /// The user.
    pub user_id: i64,
    /// The lab.
    pub lab_id: i64,
    /// admin, member, viewer or another role.
    pub role: String,
    /// False once the user has left the lab.
    pub is_active: bool,
    /// The start of the membership.
    pub joined_at: String,
    /// The attributes in this lab; `None` stands for those of the role.
    pub attributes: Option<Vec<String>>,
}

impl Lab {
    /// An active lab.
    pub fn new(id: i64, code: &str, name: &str) -> Self {
        let since = "2026-11-02T08:00:00.000000".to_owned();
        Self {
            id,
            code: code.into(),
            name: name.into(),
            description: format!("{name}, crowns, bridges and dentures"),
            is_active: true,
            created_at: since.clone(),
            updated_at: since,
        }
    }
}

impl User {
    /// An active account that is not a system administrator and has no membership.
    pub fn new(id: i64, username: &str, password: &str) -> Self {
        let since = "2026-11-02T08:30:00.185915".to_owned();
        Self {
            id,
            username: username.into(),
            email: format!("{username}@example.com"),
            first_name: username.into(),
            last_name: "Test".into(),
            is_active: true,
            is_admin: false,
            email_verified: false,
            locked_until: None,
            created_at: since.clone(),
            updated_at: since,
            password_history: vec![format!("password-hash-of-{username}")],
            password: password.into(),
            password_expired: false,
        }
    }
}

impl Membership {
    /// An active membership. Its id is computed from the two other ids, so it is unique.
    pub fn new(user_id: i64, lab_id: i64, role: &str) -> Self {
        Self {
            id: user_id * 10_000 + lab_id,
            user_id,
            lab_id,
            role: role.into(),
            is_active: true,
            joined_at: "2026-11-02T09:00:00.102726".into(),
            attributes: None,
        }
    }
}

impl Directory {
    /// The user with this id.
    pub fn user(&self, id: i64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The user with this id, to be changed.
    pub fn user_mut(&mut self, id: i64) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.id == id)
    }

    /// The lab with this id.
    pub fn lab(&self, id: i64) -> Option<&Lab> {
        self.labs.iter().find(|lab| lab.id == id)
    }

    /// The lab with this id, to be changed.
    pub fn lab_mut(&mut self, id: i64) -> Option<&mut Lab> {
        self.labs.iter_mut().find(|lab| lab.id == id)
    }

    /// The membership of this user in this lab.
    pub fn membership(&self, user_id: i64, lab_id: i64) -> Option<&Membership> {
        self.memberships.iter().find(|it| it.user_id == user_id && it.lab_id == lab_id)
    }

    /// The membership of this user in this lab, to be changed.
    pub fn membership_mut(&mut self, user_id: i64, lab_id: i64) -> Option<&mut Membership> {
        self.memberships.iter_mut().find(|it| it.user_id == user_id && it.lab_id == lab_id)
    }

    /// The active labs in which the user is an active member; for a system administrator, all active labs.
    pub(super) fn open_labs(&self, user: &User) -> Vec<&Lab> {
        let member = |lab: &&Lab| self.membership(user.id, lab.id).is_some_and(|it| it.is_active);
        self.labs.iter().filter(|lab| lab.is_active && (user.is_admin || member(lab))).collect()
    }

    /// The attributes of the user in the lab. A deactivated lab has them as well: a defect of the real service.
    pub(super) fn attributes(&self, user: &User, lab_id: i64) -> Vec<String> {
        match self.membership(user.id, lab_id) {
            _ if user.is_admin => attributes_of("admin"),
            Some(membership) if membership.is_active => {
                membership.attributes.clone().unwrap_or_else(|| attributes_of(&membership.role))
            }
            _ => Vec::new(),
        }
    }

    /// The `labs` of an earlier design.
    pub(super) fn lab_list(&self, user_id: i64) -> Vec<Value> {
        let of_user = self.memberships.iter().filter(|it| it.user_id == user_id && it.is_active);
        of_user
            .filter_map(|it| {
                let lab = self.lab(it.lab_id)?;
                Some(serde_json::json!({
                    "lab_id": lab.id, "lab_name": lab.name, "role": it.role, "membership_status": "active",
                }))
            })
            .collect()
    }
}

/// The attributes of a role. A technician reads and tracks; an unknown role may do nothing.
pub fn attributes_of(role: &str) -> Vec<String> {
    const VIEWER: [&str; 7] = [
        "lab.patient.read",
        "lab.analysis.results",
        "lab.samples.read",
        "lab.qc.view",
        "lab.equipment.view",
        "lab.reports.view",
        "lab.viewer.read",
    ];
    const MEMBER: [&str; 4] =
        ["lab.patient.write", "lab.samples.write", "lab.samples.track", "lab.member.basic"];
    const ADMIN: [&str; 5] = [
        "lab.patient.delete",
        "lab.patient.export",
        "lab.audit.view",
        "lab.audit.export",
        "lab.admin.manage",
    ];
    let attributes: Vec<&str> = match role {
        "viewer" => VIEWER.to_vec(),
        "technician" => [&VIEWER[..], &["lab.samples.track"]].concat(),
        "member" | "dentist" => [&VIEWER[..], &MEMBER].concat(),
        "admin" => [&VIEWER[..], &MEMBER, &ADMIN].concat(),
        _ => Vec::new(),
    };
    attributes.into_iter().map(str::to_owned).collect()
}
