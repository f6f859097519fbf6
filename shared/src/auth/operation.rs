//! The operations that need an access token, each with its permission. Together with the permissions of the roles, this is
//! the complete access control. Generated from openapi.yaml by `make generate`; do not edit.

use super::Permission;
use crate::wire_enum;

wire_enum! {
    /// An operation of the contract, by its `operationId`.
    Operation {
        ListCases = "listCases",
        CreateCase = "createCase",
        GetCase = "getCase",
        UpdateCase = "updateCase",
        PatchCase = "patchCase",
        DeleteCase = "deleteCase",
        UpdateCaseStatus = "updateCaseStatus",
        GetCaseHistory = "getCaseHistory",
        VerifyCaseHistory = "verifyCaseHistory",
        RestoreCase = "restoreCase",
        RemakeCase = "remakeCase",
        ListComments = "listComments",
        CreateComment = "createComment",
        UpdateComment = "updateComment",
        DeleteComment = "deleteComment",
        GetCaseAccess = "getCaseAccess",
        ListAccess = "listAccess",
        VerifyAudit = "verifyAudit",
        CaseStats = "caseStats",
        CaseChanges = "caseChanges",
        ExportCases = "exportCases",
        SearchCases = "searchCases",
        BulkUpdateStatus = "bulkUpdateStatus",
        GetDoctor = "getDoctor",
    }
}

impl Operation {
    /// The permission that a caller needs: `x-permission` in the contract.
    pub const fn permission(self) -> Permission {
        match self {
            Self::ListCases => Permission::Read,
            Self::CreateCase => Permission::Create,
            Self::GetCase => Permission::Read,
            Self::UpdateCase => Permission::Update,
            Self::PatchCase => Permission::Update,
            Self::DeleteCase => Permission::Delete,
            Self::UpdateCaseStatus => Permission::UpdateStatus,
            Self::GetCaseHistory => Permission::Read,
            Self::VerifyCaseHistory => Permission::Read,
            Self::RestoreCase => Permission::Restore,
            Self::RemakeCase => Permission::Create,
            Self::ListComments => Permission::Read,
            Self::CreateComment => Permission::Comment,
            Self::UpdateComment => Permission::Comment,
            Self::DeleteComment => Permission::Comment,
            Self::GetCaseAccess => Permission::Audit,
            Self::ListAccess => Permission::Audit,
            Self::VerifyAudit => Permission::Audit,
            Self::CaseStats => Permission::Read,
            Self::CaseChanges => Permission::Read,
            Self::ExportCases => Permission::Export,
            Self::SearchCases => Permission::Read,
            Self::BulkUpdateStatus => Permission::UpdateStatus,
            Self::GetDoctor => Permission::Read,
        }
    }

    /// Its method and path for audit records. They are those of the contract and contain nothing from the request.
    pub const fn route(self) -> &'static str {
        match self {
            Self::ListCases => "GET /api/v1/cases",
            Self::CreateCase => "POST /api/v1/cases",
            Self::GetCase => "GET /api/v1/cases/{id}",
            Self::UpdateCase => "PUT /api/v1/cases/{id}",
            Self::PatchCase => "PATCH /api/v1/cases/{id}",
            Self::DeleteCase => "DELETE /api/v1/cases/{id}",
            Self::UpdateCaseStatus => "PATCH /api/v1/cases/{id}/status",
            Self::GetCaseHistory => "GET /api/v1/cases/{id}/history",
            Self::VerifyCaseHistory => "GET /api/v1/cases/{id}/history/verify",
            Self::RestoreCase => "POST /api/v1/cases/{id}/restore",
            Self::RemakeCase => "POST /api/v1/cases/{id}/remakes",
            Self::ListComments => "GET /api/v1/cases/{id}/comments",
            Self::CreateComment => "POST /api/v1/cases/{id}/comments",
            Self::UpdateComment => "PUT /api/v1/cases/{id}/comments/{comment_id}",
            Self::DeleteComment => "DELETE /api/v1/cases/{id}/comments/{comment_id}",
            Self::GetCaseAccess => "GET /api/v1/cases/{id}/access",
            Self::ListAccess => "GET /api/v1/audit",
            Self::VerifyAudit => "GET /api/v1/audit/verify",
            Self::CaseStats => "GET /api/v1/cases/stats",
            Self::CaseChanges => "GET /api/v1/cases/changes",
            Self::ExportCases => "GET /api/v1/cases/export",
            Self::SearchCases => "POST /api/v1/cases/search",
            Self::BulkUpdateStatus => "POST /api/v1/cases/bulk-status",
            Self::GetDoctor => "GET /api/v1/cases/doctor-info/{doctor_id}",
        }
    }

    /// Whether it reads or changes patient data, so that a rejected attempt needs an audit record as well:
    /// `x-patient-data` in the contract.
    pub const fn has_patient_data(self) -> bool {
        match self {
            Self::ListCases => true,
            Self::CreateCase => true,
            Self::GetCase => true,
            Self::UpdateCase => true,
            Self::PatchCase => true,
            Self::DeleteCase => true,
            Self::UpdateCaseStatus => true,
            Self::GetCaseHistory => true,
            Self::VerifyCaseHistory => true,
            Self::RestoreCase => true,
            Self::RemakeCase => true,
            Self::ListComments => true,
            Self::CreateComment => true,
            Self::UpdateComment => true,
            Self::DeleteComment => true,
            Self::GetCaseAccess => true,
            Self::ListAccess => true,
            Self::VerifyAudit => true,
            Self::CaseStats => false,
            Self::CaseChanges => true,
            Self::ExportCases => true,
            Self::SearchCases => true,
            Self::BulkUpdateStatus => true,
            Self::GetDoctor => false,
        }
    }

    /// Whether its responses have cursors, so that its function needs the key for them.
    pub const fn has_cursors(self) -> bool {
        match self {
            Self::ListCases => true,
            Self::CreateCase => false,
            Self::GetCase => false,
            Self::UpdateCase => false,
            Self::PatchCase => false,
            Self::DeleteCase => false,
            Self::UpdateCaseStatus => false,
            Self::GetCaseHistory => true,
            Self::VerifyCaseHistory => false,
            Self::RestoreCase => false,
            Self::RemakeCase => false,
            Self::ListComments => true,
            Self::CreateComment => false,
            Self::UpdateComment => false,
            Self::DeleteComment => false,
            Self::GetCaseAccess => true,
            Self::ListAccess => true,
            Self::VerifyAudit => true,
            Self::CaseStats => false,
            Self::CaseChanges => true,
            Self::ExportCases => true,
            Self::SearchCases => true,
            Self::BulkUpdateStatus => false,
            Self::GetDoctor => false,
        }
    }
}

/// The operations that need no access token, for the log: `operationId`, and method and path.
pub(crate) const PUBLIC_OPERATIONS: &[(&str, &str)] = &[
    ("listCaseTypes", "GET /api/v1/cases/types"),
    ("listShades", "GET /api/v1/cases/shades"),
    ("listMaterials", "GET /api/v1/cases/materials"),
    ("getHealth", "GET /health"),
    ("headHealth", "HEAD /health"),
    ("getApiHealth", "GET /api/v1/health"),
    ("headApiHealth", "HEAD /api/v1/health"),
    ("getDocs", "GET /docs"),
    ("headDocs", "HEAD /docs"),
    ("getDocsAsset", "GET /docs/{asset}"),
    ("headDocsAsset", "HEAD /docs/{asset}"),
    ("getSpecJson", "GET /api/v1/swagger.json"),
    ("headSpecJson", "HEAD /api/v1/swagger.json"),
    ("getSpecYaml", "GET /api/v1/openapi.yaml"),
    ("headSpecYaml", "HEAD /api/v1/openapi.yaml"),
];
