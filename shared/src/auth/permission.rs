//! Who may do what in a lab: by role, or, where UMS names no role, by UMS's attributes.

use crate::wire_enum;

wire_enum! {
    /// What an operation needs, as `x-permission` in `openapi.yaml` names it: to see cases; to add them; to change their
    /// fields; to move them through the workflow; to delete them; to see deleted ones and bring them back; to see who
    /// accessed what.
    Permission {
        Read = "read", Create = "create", Update = "update", UpdateStatus = "update_status", Delete = "delete",
        Restore = "restore", Audit = "audit",
    }
}

use Permission as P;

/// What each role may do. A role that is not listed may do nothing.
pub const ROLES: &[(&str, &[Permission])] = &[
    ("viewer", &[P::Read]),
    ("technician", &[P::Read, P::UpdateStatus]),
    ("member", &[P::Read, P::Create, P::Update, P::UpdateStatus]),
    ("dentist", &[P::Read, P::Create, P::Update, P::UpdateStatus]),
    ("admin", &[P::Read, P::Create, P::Update, P::UpdateStatus, P::Delete, P::Restore, P::Audit]),
];

/// What each attribute of UMS allows, where UMS names no role. Those that are not listed are about other services.
pub const ATTRIBUTES: &[(&str, &[Permission])] = &[
    ("lab.patient.read", &[P::Read]),
    ("lab.patient.write", &[P::Create, P::Update, P::UpdateStatus]),
    ("lab.patient.delete", &[P::Delete, P::Restore]),
    ("lab.audit.view", &[P::Audit]),
];

/// What a system administrator may do in a lab of which they are not a member, with a reason that is recorded.
pub const BREAK_GLASS: &[Permission] = &[P::Read];

/// The permissions of one caller in one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// What a role may do.
    pub fn of_role(role: &str) -> Self {
        Self(granted(ROLES, role).to_vec())
    }

    /// What UMS attributes allow. A user who may not see cases may not change them either: the response would show them.
    pub fn of_attributes<'a>(attributes: impl IntoIterator<Item = &'a str>) -> Self {
        let granted = attributes.into_iter().flat_map(|attribute| granted(ATTRIBUTES, attribute));
        let mut permissions = Self(granted.copied().collect());
        if !permissions.allow(P::Read) {
            permissions.0.retain(|permission| *permission == P::Audit);
        }
        permissions
    }

    /// What a system administrator may do in a lab of which they are not a member.
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
    fn attributes_of_other_services_allow_nothing() {
        assert_eq!(
            Permissions::of_attributes(["lab.samples.write", "lab.admin.manage"]),
            Permissions::default()
        );
    }

    #[test]
    fn without_the_permission_to_read_nothing_can_be_changed() {
        let granted =
            Permissions::of_attributes(["lab.patient.write", "lab.patient.delete", "lab.audit.view"]);
        assert_eq!(granted, Permissions(vec![P::Audit]));
    }

    #[test]
    fn a_viewer_has_the_same_permissions_by_attributes_and_by_role() {
        assert_eq!(
            Permissions::of_attributes(["lab.patient.read", "lab.qc.view"]),
            Permissions::of_role("viewer")
        );
    }
}
