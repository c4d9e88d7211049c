"""Plans about the proposals and the pull request of `samples`."""

from __future__ import annotations

from tests.delivery.samples import HEAD, LOGIN, Test, comment, findings, patch_of, said, standing

from llm_testgen.delivery.markers import SummaryMarker
from llm_testgen.delivery.plan import Place, Plan, Rules, make_plan
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import Draft, ReviewComment, Standing

REVIEW = Rules()


A, B, C = Test("test_a"), Test("test_b", "Cart.total"), Test("test_c", "Cart.add")


def plan(made: Proposal, there: Standing | None = None, rules: Rules = REVIEW) -> Plan:
    return make_plan(made, findings(made), there or standing(), rules, patch_of)


def places(made: Proposal, found: Plan) -> dict[str, Place]:
    """Where each test stands, by its name."""
    return {finding.suggestion.name: found.places[finding.id] for finding in findings(made)}


def where(draft: Draft) -> tuple[str, int, int]:
    return draft.path, draft.start, draft.line


def own(made: Proposal, *indices: int, **fields: object) -> ReviewComment:
    """The bot's comment about some of a proposal's tests."""
    markers = "\n".join(findings(made)[index].marker.line() for index in indices)
    return comment(f"{markers}\n\ntext", **fields)


def ids(made: Proposal) -> list[str]:
    return [finding.id for finding in findings(made)]


def summary(*posted_ids: str, author: str = LOGIN, number: int = 1):
    return said(f"{SummaryMarker(HEAD, '9', posted_ids).line()}\n\n### text", author, number)
