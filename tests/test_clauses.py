"""Contracts in a proposal, read as data that anybody may have written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llm_testgen.clauses import AssertRecord, ContractRecord
from llm_testgen.proposal import read_proposal

from tests.delivery.samples import proposal  # isort: skip

BEFORE = "    return price - cut"
TEXT = "    result = price - cut\n    assert result <= price\n    return result"


def record(before: str = BEFORE, text: str = TEXT, **fields: object) -> ContractRecord:
    added = [line.strip() for line in text.split("\n") if line.strip().startswith("assert")]
    added = [line for line in added if line not in [one.strip() for one in before.split("\n")]]
    values = {
        "target": "src/shop.py::total",
        "path": "src/shop.py",
        "start": 7,
        "line": 7 + before.count("\n"),
        "before": before,
        "text": text,
        "asserts": tuple(AssertRecord(text=line) for line in added),
    }
    return ContractRecord(**values | fields)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (BEFORE, TEXT),
        (BEFORE, f"    assert price\n{TEXT}"),
        ("    x = 1", "    assert price > 0\n    x = 1"),
        ("    x = 1", "    x = 1\n    assert x > 0"),
        ("    x = 1\n    y = 2", "    x = 1\n    assert x > 0\n    assert x < 9\n    y = 2\n    assert y"),
        ("    assert x\n    y = 2", "    assert x\n    assert x > 0\n    y = 2"),
        ("\treturn (\n\t\t1,\n\t\t2)", "\tout = (\n\t\t1,\n\t\t2)\n\tassert out\n\treturn out"),
        ("    return(1)", "    out = (1)\n    assert out\n    return out"),
        ("    return 1  # one", "    out = 1  # one\n    assert out\n    return out"),
        ("    # one\n    x = 1", "    assert y\n    # one\n    x = 1"),
    ],
)
def test_assertions_among_the_lines_that_are_replaced_are_taken(before, text):
    assert record(before, text).text == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("    x = 1", "    x = 1"),
        ("    x = 1", "    assert x > 0"),
        ("    x = 1", "    x = 2\n    assert x > 0"),
        ("    x = 1", "    assert x > 0\n    x = 1\n    y = 2"),
        ("    x = 1", "    assert x > 0\n    import os\n    x = 1"),
        ("    x = 1", "    assert x > 0\n\n    x = 1"),
        ("    x = 1", "    # proved\n    assert x > 0\n    x = 1"),
        ("    x = 1", "    assert x > 0  # proved\n    x = 1"),
        ("    x = 1", "    assert x > 0; y = 2\n    x = 1"),
        ("    x = 1", "    assert run(x)\n    x = 1"),
        ("    x = 1", "    assert __import__('os').system('x')\n    x = 1"),
        ("    x = 1", "    assert (y := 1)\n    x = 1"),
        ("    x = 1", "    assert x > 0\r\n    x = 1"),
        ("    x = 1", "    assert x == '\u202e'\n    x = 1"),
        ("    x = 1\n    y = 2", "    y = 2\n    assert x > 0\n    x = 1"),
        ("    x = 1\n    y = 2", "    x = 1\n    assert x > 0"),
        ("    return 1", "    out = 2\n    assert out\n    return out"),
        ("    return 1", "    out = 1\n    assert out\n    return 1"),
        ("    return 1", "    out = 1\n    assert out\n    return other"),
        ("    return 1", "    out = 1\n    assert out"),
        ("    return 1", "    out = 1\n    assert out\n    return out\n    return out"),
        ("    return 1", "  out = 1\n    assert out\n    return out"),
        ("    return 1", "    out = 1\n    assert out\n  return out"),
        ("    return 1", "    self.out = 1\n    assert self.out\n    return self.out"),
        ("    return", "    out = \n    assert out\n    return out"),
        ("    returned = 1", "    out = ed = 1\n    assert out\n    return out"),
        ("    return 1", "    raise out\n    assert out\n    return out"),
    ],
)
def test_anything_else_is_refused(before, text):
    with pytest.raises(ValidationError):
        record(before, text)


@pytest.mark.parametrize(
    "fields",
    [
        {"asserts": ()},
        {"asserts": (AssertRecord(text="assert result < price"),)},
        {"asserts": (AssertRecord(text="assert result <= price"),) * 2},
        {"line": 8},
        {"start": 8},
        {"start": 0},
        {"path": "src/other.py"},
        {"path": "../shop.py", "target": "../shop.py::total"},
        {"path": "src/shop.sh", "target": "src/shop.sh::total"},
        {"target": "src/shop.py"},
        {"more": 1},
    ],
)
def test_parts_must_fit_together(fields):
    with pytest.raises(ValidationError):
        record(**fields)


def test_no_two_contracts_replace_the_same_line():
    one, below = record(), record(start=8, line=8)
    multiline = record("    x = 1\n    y = 2", "    x = 1\n    assert x\n    y = 2", start=6, line=7)
    elsewhere = record(path="src/other.py", target="src/other.py::total")
    made = proposal()

    def read(*records: ContractRecord):
        return read_proposal(made.model_copy(update={"contracts": records}).model_dump_json().encode())

    assert len(read(below, one, elsewhere).contracts) == 3
    for records in ([one, one], [multiline, one], [below, one, elsewhere, multiline]):
        with pytest.raises(Exception, match="same line twice"):
            read(*records)
