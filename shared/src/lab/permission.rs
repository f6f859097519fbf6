//! Who may do what in a lab: by role, or, where UMS tells no role, by its attributes.

/// What an operation needs; `x-permission` in `openapi.yaml` names the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See cases.
    Read,
    /// Add cases.
    Create,
    /// Change cases' fields.
    Update,
    /// Move cases through the workflow.
    UpdateStatus,
    /// Remove cases.
    Delete,
    /// See removed cases and bring them back.
    Restore,
    /// See who saw what.
    Audit,
}

impl Permission {
    /// The name in `openapi.yaml` and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Create => "create",
            Permission::Update => "update",
            Permission::UpdateStatus => "update_status",
            Permission::Delete => "delete",
            Permission::Restore => "restore",
            Permission::Audit => "audit",
        }
    }
}

use Permission as P;

/// What each role may do. A role that is not here may do nothing.
pub const ROLES: &[(&str, &[Permission])] = &[
    ("viewer", &[P::Read]),
    ("technician", &[P::Read, P::UpdateStatus]),
    ("member", &[P::Read, P::Create, P::Update, P::UpdateStatus]),
    ("dentist", &[P::Read, P::Create, P::Update, P::UpdateStatus]),
    ("admin", &[P::Read, P::Create, P::Update, P::UpdateStatus, P::Delete, P::Restore, P::Audit]),
];

/// What each attribute of UMS allows, where UMS tells no role. Those that are not here are about other services.
pub const ATTRIBUTES: &[(&str, &[Permission])] = &[
    ("lab.patient.read", &[P::Read]),
    ("lab.patient.write", &[P::Create, P::Update, P::UpdateStatus]),
    ("lab.patient.delete", &[P::Delete, P::Restore]),
    ("lab.audit.view", &[P::Audit]),
];

/// What a system administrator may do in a lab that they are no member of, for a reason that goes on record.
pub const BREAK_GLASS: &[Permission] = &[P::Read];

/// The permissions of one caller in one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// What a role may do.
    pub fn of_role(role: &str) -> Self {
        Self(granted(ROLES, role).to_vec())
    }

    /// What UMS attributes allow. Whoever may not see cases may not change them either: the answer would show them.
    pub fn of_attributes<'a>(attributes: impl IntoIterator<Item = &'a str>) -> Self {
        let granted = attributes.into_iter().flat_map(|attribute| granted(ATTRIBUTES, attribute));
        let mut permissions = Self(granted.copied().collect());
        if !permissions.allow(P::Read) {
            permissions.0.retain(|permission| *permission == P::Audit);
        }
        permissions
    }

    /// What a system administrator may do in a lab that they are no member of.
    pub fn of_break_glass() -> Self {
        Self(BREAK_GLASS.to_vec())
    }

    /// Whether the caller has the permission.
    pub fn allow(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }
}

fn granted(table: &'static [(&str, &[Permission])], name: &str) -> &'static [Permission] {
    table.iter().find(|(known, _)| *known == name).map_or(&[], |(_, permissions)| permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_role_may_do_nothing() {
        assert_eq!(Permissions::of_role("Admin"), Permissions::default());
        assert_eq!(Permissions::of_role(""), Permissions::default());
    }

    #[test]
    fn attributes_that_are_not_about_patients_allow_nothing() {
        assert_eq!(
            Permissions::of_attributes(["lab.samples.write", "lab.admin.manage"]),
            Permissions::default()
        );
    }

    #[test]
    fn who_may_not_see_cases_may_not_change_them() {
        let granted =
            Permissions::of_attributes(["lab.patient.write", "lab.patient.delete", "lab.audit.view"]);
        assert_eq!(granted, Permissions(vec![P::Audit]));
    }

    #[test]
    fn a_viewer_by_attributes_may_what_a_viewer_by_role_may() {
        assert_eq!(
            Permissions::of_attributes(["lab.patient.read", "lab.qc.view"]),
            Permissions::of_role("viewer")
        );
    }
}
