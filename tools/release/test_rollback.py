"""What a rollback needs, by templates that differ in one thing each."""

import copy
import tomllib
import unittest

from rollback import ROOT, load, needs

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


class Rollback(unittest.TestCase):
    def setUp(self):
        self.present = load("template.yaml")
        self.other = copy.deepcopy(self.present)

    def needs(self, stage="prod"):
        return needs(self.present, self.other, CONFIG, stage)

    def test_the_same_template_needs_nothing(self):
        for stage in ("dev", "qa", "prod"):
            found = self.needs(stage)
            self.assertEqual((found.first, found.notes), ([], []))

    def test_an_index_that_was_removed_must_come_back_first(self):
        self.present["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"] = [
            index for index in self.present["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"] if index["IndexName"] != "by_due"]
        [step] = self.needs().first
        self.assertIn("reads the index by_due", step)

    def test_an_index_that_is_new_stays(self):
        self.other["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"] = [
            index for index in self.other["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"] if index["IndexName"] != "by_due"]
        [step] = self.needs().first
        self.assertIn("has no index by_due", step)

    def test_a_parameter_that_the_other_release_does_not_know_must_be_removed(self):
        del self.other["Parameters"]["AlarmTopicArn"]
        [step] = self.needs().first
        self.assertEqual(step, "samconfig.toml sets AlarmTopicArn for prod, which the other release does not know: remove the line")
        self.assertEqual(self.needs("dev").first, [])

    def test_a_parameter_without_a_default_must_be_set(self):
        self.other["Parameters"]["Color"] = {"Type": "String"}
        self.assertEqual(self.needs().first, ["the other release needs the parameter Color: set it for prod in samconfig.toml"])

    def test_what_stays_in_the_account_and_what_no_longer_answers_is_told(self):
        del self.other["Resources"]["AuditTable"]
        del self.other["Mappings"]["Functions"]["RemakeCase"]
        self.assertEqual(self.needs().notes, [
            "AuditTable stays in the account, outside of the stack: import it, or remove it, before you deploy this release again",
            "the routes of remake-case answer 404"])


if __name__ == "__main__":
    unittest.main()
