"""No data is lost on the way to a running service and back. `make check-clients` starts one."""

import datetime
import os
import unittest

from lhcms import LhcmsError, connect
from lhcms.generated.api.cases import create_case, get_case, list_cases, patch_case, update_case
from lhcms.generated.api.health import get_api_health, get_health
from lhcms.generated.models import (
    CaseCreate,
    CasePatch,
    CaseStatus,
    CaseType,
    CaseUpdate,
    Denture,
    DentureCase,
    DentureMaterial,
    DenturePatch,
    DentureType,
    FixedProsthetic,
    FixedProstheticCase,
    FixedProstheticMaterial,
    FixedProstheticType,
    Gender,
    InitialStatus,
    MarginType,
    OcclusionType,
    PatientInfo,
    PreparationType,
    Priority,
    ProcedureType,
    Shade,
    ShadePatch,
    ShadeSystem,
    Translucency,
)

URL, TOKEN = os.environ.get("LHCMS_URL"), os.environ.get("LHCMS_TOKEN")
CLIENT = connect(URL or "", lambda is_rejected: TOKEN)

# Every field of a new crown.
CROWN = CaseCreate(
    status=InitialStatus.IN_PROGRESS,
    patient_name="John Smith",
    procedure_type=ProcedureType.CROWN,
    case_type=CaseType.FIXED_PROSTHETIC,
    case_name="Zirconia crown, tooth 14",
    description="Single crown on the upper left first molar",
    notes="Upper right molar",
    special_instructions="Check the contacts on both sides",
    priority=Priority.HIGH,
    rush_order=True,
    due_date=datetime.date(2027, 3, 1),
    doctor_id="doctor_123",
    product_id="crown_zirconia_001",
    assigned_to="technician_7",
    patient_info=PatientInfo(patient_id="patient_456", age=45, gender=Gender.FEMALE, medical_history="No known allergies"),
    fixed_prosthetic=FixedProsthetic(
        type_=FixedProstheticType.CROWN,
        material=FixedProstheticMaterial.ZIRCONIA,
        tooth_numbers=[14],
        preparation_type=PreparationType.FULL_COVERAGE,
        margin_type=MarginType.CHAMFER,
        shade=Shade(
            shade_id="shade-1",
            shade_system=ShadeSystem.VITA_CLASSICAL,
            shade_value="A2",
            shade_description="Light reddish brown",
            translucency=Translucency.HIGH_TRANSLUCENT,
            notes="Match the neighbouring teeth",
        ),
        occlusion_type=OcclusionType.CENTRIC_OCCLUSION,
    ),
)

# A denture by its details alone.
DENTURE = CaseCreate(
    denture=Denture(
        type_=DentureType.COMPLETE_UPPER,
        material=DentureMaterial.ACRYLIC_RESIN,
        shade=Shade(shade_system=ShadeSystem.VITA_CLASSICAL, shade_value="A3"),
    ))


def create(new):
    """The case that the API makes of `new`."""
    return create_case.sync(client=CLIENT, body=new)


@unittest.skipUnless(URL and TOKEN, "LHCMS_URL and LHCMS_TOKEN are not set")
class Fields(unittest.TestCase):
    def assert_contains(self, whole, part, place=""):
        """Asserts that everything in `part` is in `whole`."""
        if isinstance(part, dict):
            for name, value in part.items():
                self.assert_contains(whole[name], value, f"{place}/{name}")
        else:
            self.assertEqual(whole, part, place)

    def test_a_case_with_all_fields_loses_none_of_them(self):
        created = create(CROWN)
        self.assertIsInstance(created, FixedProstheticCase)
        self.assert_contains(created.to_dict(), CROWN.to_dict())
        read = get_case.sync(created.id, client=CLIENT)
        self.assertEqual(read, created)

    def test_the_details_of_a_denture_make_a_denture(self):
        created = create(DENTURE)
        self.assertIsInstance(created, DentureCase)
        self.assertEqual(created.case_type, "denture")
        self.assertEqual(created.status, CaseStatus.PENDING)
        self.assert_contains(created.to_dict(), DENTURE.to_dict())

    def test_a_list_has_the_new_case_whole(self):
        created = create(DENTURE)
        page = list_cases.sync(client=CLIENT, status=[CaseStatus.PENDING], per_page=50)
        self.assertEqual([one for one in page.cases if one.id == created.id], [created])

    def test_a_patch_merges_nested_details(self):
        created = create(DENTURE)
        patch = CasePatch(denture=DenturePatch(material=DentureMaterial.TITANIUM, shade=ShadePatch(shade_value="A3.5")))
        patched = patch_case.sync(created.id, client=CLIENT, body=patch, if_match=f'"{created.version}"')
        self.assertIsInstance(patched, DentureCase, patched)
        expected = created.denture.to_dict()
        expected["material"] = "titanium"
        expected["shade"]["shade_value"] = "A3.5"
        self.assertEqual(patched.denture.to_dict(), expected)
        self.assertEqual(get_case.sync(created.id, client=CLIENT), patched)

    def test_a_patch_can_clear_a_nested_field(self):
        created = create(CROWN)
        patch = CasePatch.from_dict({"notes": None, "fixed_prosthetic": {"shade": None}})
        patched = patch_case.sync(created.id, client=CLIENT, body=patch)
        self.assertIsInstance(patched, FixedProstheticCase, patched)
        self.assertEqual((patched.notes, patched.fixed_prosthetic.shade), (None, None))
        self.assertEqual(patched.fixed_prosthetic.margin_type, MarginType.CHAMFER)

    def test_a_case_can_be_sent_back_as_it_was_read(self):
        created = create(CROWN)
        same = update_case.sync(created.id, client=CLIENT, body=CaseUpdate.from_dict(created.to_dict()))
        self.assertEqual(same, created)

    def test_a_rejected_case_names_each_error_with_a_code(self):
        with self.assertRaises(LhcmsError) as raised:
            create_case.sync(client=CLIENT, body=CaseCreate(patient_name="x" * 201, case_type=CaseType.OTHER))
        [error] = raised.exception.errors
        self.assertEqual((error["pointer"], error["code"], error["params"]), ("/patient_name", "length", {"min": 1, "max": 200}))

    def test_health_needs_no_token(self):
        self.assertEqual(get_health.sync(client=CLIENT).status, "healthy")
        self.assertEqual(get_api_health.sync(client=CLIENT).checks.table.status, "up")


if __name__ == "__main__":
    unittest.main()
