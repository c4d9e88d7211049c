"""Reports about the proposals of `samples`, as both pages tell them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.delivery.samples import HEAD, Rest, Test, findings, patch_of, proposal

from llm_testgen.delivery.markers import SummaryMarker
from llm_testgen.delivery.plan import Place
from llm_testgen.delivery.report import Report, job_summary, summary_comment
from llm_testgen.records import Outcome

MARKER = SummaryMarker(HEAD, "9", ("1" * 16,))


RUN = "https://github.test/octo/shop/actions/runs/9"


ALL_ENDS = [Test(f"test_{outcome.value}", outcome=outcome, reason=f"because of {outcome.value}") for outcome in Outcome]


def report(
    tests: Sequence[Test] = (), rest: Rest | None = None, place: Place = Place.SUMMARY, **fields: object
) -> Report:
    """What there is to tell of a proposal whose accepted tests stand in one place."""
    made = proposal(tests, rest=rest)
    found = findings(made)
    return Report(made, found, dict.fromkeys((one.id for one in found), place), **fields)  # type: ignore[arg-type]


def comment(told: Report) -> str:
    return summary_comment(told, MARKER.line(), patch_of)


def job(told: Report) -> str:
    return job_summary(told, patch_of)


KINDS = [comment, job]


def table(page: str, title: str) -> list[list[str]]:
    """The rows of the table whose first column has a title."""
    lines = page.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {title} |"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    assert re.fullmatch(r"(\|---)+\|", lines[start + 1])
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines[start + 2 : end]]
