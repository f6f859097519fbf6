//! The operations behind a login, each with the permission that it needs: with the roles' permissions, the whole of who
//! may do what.

use super::Permission;
use crate::wire_enum;

wire_enum! {
    /// An operation of the contract, by its `operationId`.
    Operation {
        ListCases = "listCases", CreateCase = "createCase", GetCase = "getCase", UpdateCase = "updateCase", PatchCase = "patchCase",
        DeleteCase = "deleteCase", UpdateCaseStatus = "updateCaseStatus", BulkUpdateStatus = "bulkUpdateStatus",
        GetCaseHistory = "getCaseHistory", VerifyCaseHistory = "verifyCaseHistory", RestoreCase = "restoreCase",
        RemakeCase = "remakeCase", CaseStats = "caseStats", CaseChanges = "caseChanges", ExportCases = "exportCases",
        GetDoctor = "getDoctor", ListAccess = "listAccess", GetCaseAccess = "getCaseAccess",
    }
}

impl Operation {
    /// What a caller must be permitted.
    pub const fn permission(self) -> Permission {
        use Operation as O;
        match self {
            O::ListCases
            | O::GetCase
            | O::GetCaseHistory
            | O::VerifyCaseHistory
            | O::CaseStats
            | O::CaseChanges
            | O::ExportCases
            | O::GetDoctor => Permission::Read,
            O::CreateCase | O::RemakeCase => Permission::Create,
            O::UpdateCase | O::PatchCase => Permission::Update,
            O::UpdateCaseStatus | O::BulkUpdateStatus => Permission::UpdateStatus,
            O::DeleteCase => Permission::Delete,
            O::RestoreCase => Permission::Restore,
            O::ListAccess | O::GetCaseAccess => Permission::Audit,
        }
    }

    /// Its method and path, as access records tell them: as the contract has them, without anything of the request.
    pub const fn route(self) -> &'static str {
        use Operation as O;
        match self {
            O::ListCases => "GET /api/v1/cases",
            O::CreateCase => "POST /api/v1/cases",
            O::GetCase => "GET /api/v1/cases/{id}",
            O::UpdateCase => "PUT /api/v1/cases/{id}",
            O::PatchCase => "PATCH /api/v1/cases/{id}",
            O::DeleteCase => "DELETE /api/v1/cases/{id}",
            O::UpdateCaseStatus => "PATCH /api/v1/cases/{id}/status",
            O::BulkUpdateStatus => "POST /api/v1/cases/bulk-status",
            O::GetCaseHistory => "GET /api/v1/cases/{id}/history",
            O::VerifyCaseHistory => "GET /api/v1/cases/{id}/history/verify",
            O::RestoreCase => "POST /api/v1/cases/{id}/restore",
            O::RemakeCase => "POST /api/v1/cases/{id}/remakes",
            O::CaseStats => "GET /api/v1/cases/stats",
            O::CaseChanges => "GET /api/v1/cases/changes",
            O::ExportCases => "GET /api/v1/cases/export",
            O::GetDoctor => "GET /api/v1/cases/doctor-info/{doctor_id}",
            O::ListAccess => "GET /api/v1/audit",
            O::GetCaseAccess => "GET /api/v1/cases/{id}/access",
        }
    }

    /// Whether it is about patients, so that a refused attempt goes on record as well.
    pub const fn is_about_patients(self) -> bool {
        !matches!(self, Operation::CaseStats | Operation::GetDoctor)
    }
}
