//! The permissions of a caller in a lab. They follow from the role, or from UMS's attributes if UMS names no role.

use crate::wire_enum;

wire_enum! {
    /// The permission that an operation needs (`x-permission` in `openapi.yaml`): read cases, create cases, change their
    /// fields, change their status, delete cases, read and restore deleted cases, get cases as a file, read the audit
    /// records, get the audit records as a file, write comments on cases, add files to cases, manage webhooks.
    Permission {
        Read = "read", Create = "create", Update = "update", UpdateStatus = "update_status", Delete = "delete",
        Restore = "restore", Export = "export", Audit = "audit", AuditExport = "audit_export",
        Comment = "comment", Attach = "attach", ManageWebhooks = "manage_webhooks",
    }
}

use Permission as P;

/// The permissions of each role. Any other role has none.
pub const ROLES: &[(&str, &[Permission])] = &[
    ("viewer", &[P::Read, P::Comment]),
    ("technician", &[P::Read, P::Comment, P::Attach, P::UpdateStatus]),
    ("member", &[P::Read, P::Comment, P::Attach, P::Create, P::Update, P::UpdateStatus]),
    ("dentist", &[P::Read, P::Comment, P::Attach, P::Create, P::Update, P::UpdateStatus]),
    (
        "admin",
        &[
            P::Read,
            P::Comment,
            P::Attach,
            P::Create,
            P::Update,
            P::UpdateStatus,
            P::Delete,
            P::Restore,
            P::Export,
            P::Audit,
            P::AuditExport,
            P::ManageWebhooks,
        ],
    ),
];

/// The permissions of each UMS attribute, for members without a role. Other attributes belong to other services.
pub const ATTRIBUTES: &[(&str, &[Permission])] = &[
    ("lab.patient.read", &[P::Read, P::Comment]),
    ("lab.patient.write", &[P::Create, P::Update, P::Attach]),
    ("lab.samples.track", &[P::UpdateStatus, P::Attach]),
    ("lab.patient.delete", &[P::Delete, P::Restore]),
    ("lab.patient.export", &[P::Export]),
    ("lab.audit.view", &[P::Audit]),
    ("lab.audit.export", &[P::AuditExport]),
    ("lab.settings.edit", &[P::ManageWebhooks]),
];

/// The permissions of a system administrator in a lab of which they are not a member. They must give a reason, which is
/// recorded.
pub const BREAK_GLASS: &[Permission] = &[P::Read];

/// The permissions of one caller in one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// The permissions of a role.
    pub fn of_role(role: &str) -> Self {
        Self(granted(ROLES, role).to_vec())
    }

    /// The permissions of UMS attributes. A user who may not read cases may not change or export them either, because the
    /// response would show them. Audit records and webhooks show nothing of a case.
    pub fn of_attributes<'a>(attributes: impl IntoIterator<Item = &'a str>) -> Self {
        let granted = attributes.into_iter().flat_map(|attribute| granted(ATTRIBUTES, attribute));
        let mut permissions = Self(granted.copied().collect());
        if !permissions.allow(P::Read) {
            permissions
                .0
                .retain(|permission| matches!(permission, P::Audit | P::AuditExport | P::ManageWebhooks));
        }
        permissions
    }

    /// The permissions of a system administrator in a lab of which they are not a member.
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
    use crate::base::wire_enum::WireEnum;

    #[test]
    fn an_unknown_role_has_no_permission() {
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
    fn a_caller_without_the_permission_to_read_cannot_change_any_case() {
        let without_read =
            ATTRIBUTES.iter().map(|(name, _)| *name).filter(|name| *name != "lab.patient.read");
        assert_eq!(
            Permissions::of_attributes(without_read),
            Permissions(vec![P::Audit, P::AuditExport, P::ManageWebhooks])
        );
        assert_eq!(Permissions::of_attributes(["lab.samples.track"]), Permissions::default());
    }

    #[test]
    fn attributes_give_the_same_permissions_as_the_role_that_has_them() {
        const VIEWER: &[&str] = &["lab.patient.read", "lab.qc.view"];
        const MEMBER: &[&str] = &["lab.patient.write", "lab.samples.write", "lab.samples.track"];
        const ADMIN: &[&str] = &[
            "lab.patient.delete",
            "lab.patient.export",
            "lab.audit.view",
            "lab.audit.export",
            "lab.settings.edit",
        ];
        for (role, attributes) in [
            ("viewer", VIEWER.to_vec()),
            ("technician", [VIEWER, &["lab.samples.track"]].concat()),
            ("member", [VIEWER, MEMBER].concat()),
            ("admin", [VIEWER, MEMBER, ADMIN].concat()),
        ] {
            let granted = Permissions::of_attributes(attributes);
            let of_role = Permissions::of_role(role);
            for &permission in Permission::ALL {
                assert_eq!(granted.allow(permission), of_role.allow(permission), "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn break_glass_allows_reading_only() {
        let granted: Vec<_> = Permission::ALL
            .iter()
            .filter(|permission| Permissions::of_break_glass().allow(**permission))
            .collect();
        assert_eq!(granted, [&P::Read]);
    }
}
