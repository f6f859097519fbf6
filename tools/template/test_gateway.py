"""gateway.yaml is what openapi.yaml makes of it."""

import unittest

from gateway import FILE, gateway


class UpToDate(unittest.TestCase):
    def test_the_gateway_has_the_newest_contract(self):
        self.assertEqual(FILE.read_text(), gateway(), "gateway.yaml is out of date, run `make gateway`")


if __name__ == "__main__":
    unittest.main()
