"""Failing candidates to repair, made as a run would have left them."""

from __future__ import annotations

from tests.samples import ModuleNames, changed_method, reply

from llm_testgen.records import Candidate, ChangedMethod, Ending, Failure
from llm_testgen.repairs.base import Case, Repair

MODULE = """
class Box:
    def __init__(self, side=1):
        self.side = side

    def area(self, scale=1):
        return self.side * scale

    @property
    def name(self):
        return "box"

    @staticmethod
    def unit():
        return 1

class Shelf:
    def __init__(self, boxes):
        self.boxes = boxes

    def count(self):
        return len(self.boxes)

class Crate(Box):
    pass

def double(x):
    if not isinstance(x, int):
        raise TypeError(x)
    return 2 * x

async def fetch(x):
    return x
"""
NAMES = ModuleNames(
    "Box",
    "Shelf",
    "Crate",
    "double",
    "fetch",
    source=MODULE,
    fixtures=("client", "shelf_of_three"),
    Limit="from pkg.other import Limit",
    OddError="from pkg.errors import OddError",
)


def target(qualname: str) -> ChangedMethod:
    return changed_method(MODULE, qualname)


def line_of(text: str, code: str) -> int:
    return next((number for number, line in enumerate(code.split("\n"), start=1) if text in line), 0)


def case(  # noqa: PLR0913 - all that a failure has
    code: str,
    message: str,
    *,
    kind: str = "AssertionError",
    at: str = "\0",
    phase: str = "call",
    trace: tuple[str, ...] = (),
    of: str = "double",
    ending: Ending = Ending.FAILED,
) -> Case:
    """A candidate that failed with a message, at the first line that holds a text."""
    name = "test_it" if "class Test" not in code else "TestIt::test_it"
    failure = Failure(kind, message, line_of(at, code), phase, trace)
    return Case(Candidate(reply(code, target(of)), name, code), failure, ending, NAMES)


def mended(repair: Repair, failing: Case) -> str:
    """The code that a repair gives; empty when it does not apply."""
    candidate = repair(failing)
    if candidate is None:
        return ""
    assert len(candidate.repairs) == 1
    return candidate.code
