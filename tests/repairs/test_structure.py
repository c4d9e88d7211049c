from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.structure import drop_self, plain_assertions

SELF = "('self', <FixtureRequest for <Function test_it>>)"


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("def test_it(self):\n    assert 1\n", "def test_it():\n    assert 1\n"),
        ("def test_it(self, tmp_path):\n    assert tmp_path\n", "def test_it(tmp_path):\n    assert tmp_path\n"),
        (
            "def test_it(self):\n    self.assertEqual(double(1), 2)\n    self.assertIn(1, [1])\n",
            "def test_it():\n    assert double(1) == 2\n    assert 1 in [1]\n",
        ),
        (
            "def test_it(self):\n    with self.assertRaises(ValueError):\n        double(1)\n",
            "import pytest\ndef test_it():\n    with pytest.raises(ValueError):\n        double(1)\n",
        ),
        (
            "def test_it(self):\n    self.assertRaises(ValueError, double, 1, base=2)\n",
            "import pytest\ndef test_it():\n    with pytest.raises(ValueError):\n        double(1, base=2)\n",
        ),
        (
            "def test_it(self):\n    self.assertAlmostEqual(double(1), 2)\n",
            "import pytest\ndef test_it():\n    assert double(1) == pytest.approx(2)\n",
        ),
        ("def test_it(self):\n    assert self.box\n", ""),
        ("def test_it(self):\n    self.assertAlmostEqual(double(1), 2, places=3)\n", ""),
    ],
)
def test_a_method_outside_of_a_class_becomes_a_function(code, result):
    assert mended(drop_self, case(code, SELF, kind="FixtureLookupError", phase="setup")) == result


def test_a_method_in_its_class_stays_one():
    assert mended(drop_self, case("class TestIt:\n    def test_it(self):\n        assert 1\n", SELF)) == ""


def test_a_class_without_the_methods_of_unittest_asserts_plainly():
    code = (
        "class TestIt:\n    def test_it(self):\n        self.assertEqual(double(1), 2)\n"
        "        self.assertFalse(double(0))\n        self.assertIsNone(None)\n"
    )
    message = "'TestIt' object has no attribute 'assertEqual'"
    assert mended(plain_assertions, case(code, message, kind="AttributeError")) == (
        "class TestIt:\n    def test_it(self):\n        assert double(1) == 2\n"
        "        assert not double(0)\n        assert None is None\n"
    )


def test_an_attribute_of_something_else_is_no_matter_of_assertions():
    code = "class TestIt:\n    def test_it(self):\n        self.assertEqual(1, 2)\n"
    assert mended(plain_assertions, case(code, "'TestIt' object has no attribute 'box'")) == ""
