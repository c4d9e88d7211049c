"""What is to be posted: decided from a proposal and from what stands there, before anything is written."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from llm_testgen.delivery.comments import MOST_TESTS, PatchOf, method_comment, suggestion_comment
from llm_testgen.delivery.contracts import Clause, clause_comment
from llm_testgen.delivery.findings import Finding
from llm_testgen.delivery.hunks import hunks_of, is_within
from llm_testgen.delivery.markdown import LONGEST_BODY
from llm_testgen.delivery.markers import (
    SummaryMarker,
    TestMarker,
    contract_method_id,
    method_id,
    summary_marker,
    test_markers,
)
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import Draft, IssueComment, Standing
from llm_testgen.records import Hunk


class Delivery(StrEnum):
    """How accepted tests reach the people of a pull request."""

    REVIEW = "review"
    SUMMARY = "summary"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the person who runs the bot chose.

    Attributes:
        delivery: How tests are delivered.
        most: Review comments of one run at most.
        asked: A person asked for tests just now: methods that already have some get more.
    """

    delivery: Delivery = Delivery.REVIEW
    most: int = 10
    asked: bool = False


class Place(StrEnum):
    """Where a test stands, or why it is not posted (again)."""

    DIFF = "on the diff"
    SUMMARY = "below"
    DISMISSED = "dismissed before"
    QUIET = "not posted: the method has tests waiting"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write.

    Attributes:
        drafts: Review comments on lines or on a file, those that can be committed by a click first.
        places: Where each finding stands then, by id.
        outdated: GraphQL names of own comments to hide.
        summary: The summary comment that is there already.
        posted: Findings that were ever posted, those of the drafts not among them.
    """

    drafts: tuple[Draft, ...]
    places: Mapping[str, Place]
    outdated: tuple[str, ...]
    summary: IssueComment | None
    posted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Own:
    """The bot's own comments, sorted by what they mean for a new run."""

    live: frozenset[str]
    dismissed: frozenset[str]
    waiting: frozenset[tuple[str, str]]
    outdated: tuple[str, ...]
    made_here: int
    posted: tuple[str, ...] = field(default=())


def make_plan(  # noqa: PLR0913 - each from another source
    proposal: Proposal,
    findings: Sequence[Finding],
    standing: Standing,
    rules: Rules,
    patch_of: PatchOf,
    *,
    clauses: Sequence[Clause] = (),
) -> Plan:
    """Decide what to post, so that nothing stands there twice and nothing that a person dismissed comes back.

    Args:
        proposal: What was found at the pull request's head.
        findings: Its accepted tests.
        standing: The pull request and what is there.
        rules: What was chosen.
        patch_of: Makes the patch that adds some of the tests.
        clauses: Its contracts.
    """
    summary = _own_summary(standing)
    everything: list[Finding | Clause] = [*findings, *clauses]
    own = _own_comments(standing, proposal, summary, frozenset(found.id for found in everything))
    places = {found.id: _known_place(found, own, asked=rules.asked) for found in everything}
    new = [finding for finding in findings if places[finding.id] is Place.SUMMARY]
    drafts: list[Draft] = []
    if rules.delivery is Delivery.REVIEW:
        hunks = {path: hunks_of(patch) for path, patch in standing.patches.items() if patch is not None}
        inline = _inline_drafts(proposal, new, hunks)
        taken = {finding for draft in inline for finding in draft.findings}
        rest = [finding for finding in new if finding.id not in taken]
        # A person who asks gets as many again; a run that is repeated, or goes on after it was killed, does not.
        room = rules.most if rules.asked else max(0, rules.most - own.made_here)
        asserting = _clause_drafts([one for one in clauses if places[one.id] is Place.SUMMARY], hunks)
        drafts = [*inline, *asserting, *_method_drafts(rest, hunks, standing.patches, patch_of)][:room]
        places |= dict.fromkeys((finding for draft in drafts for finding in draft.findings), Place.DIFF)
    return Plan(tuple(drafts), places, own.outdated, summary, own.posted)


def links(standing: Standing) -> dict[str, str]:
    """The page of the bot's own comment about each finding, the newest where there are several."""
    own = (comment for comment in standing.comments if comment.author == standing.login)
    return {marker.finding: comment.url for comment in own for marker in test_markers(comment.body)}


def summary_of(standing: Standing) -> SummaryMarker | None:
    """What the bot's own summary comment says of itself; None when there is none."""
    comment = _own_summary(standing)
    return summary_marker(comment.body) if comment else None


def _own_summary(standing: Standing) -> IssueComment | None:
    own = (comment for comment in standing.conversation if comment.author == standing.login)
    return next((comment for comment in own if summary_marker(comment.body)), None)


def _own_comments(standing: Standing, proposal: Proposal, summary: IssueComment | None, found: frozenset[str]) -> _Own:
    sources = {
        name(target.path, target.id.removeprefix(f"{target.path}::")): target.digest
        for target in proposal.targets
        for name in (method_id, contract_method_id)
    }
    live: set[str] = set()
    dismissed: set[str] = set()
    waiting: set[tuple[str, str]] = set()
    outdated: list[str] = []
    seen: list[str] = []
    made_here = 0
    for comment in standing.comments:
        markers = test_markers(comment.body) if comment.author == standing.login else ()
        findings = [marker.finding for marker in markers]
        seen += findings
        is_here = any(marker.head == standing.pull.head for marker in markers)
        made_here += is_here
        if comment.resolved or comment.thumbs_down or (comment.minimized and not comment.hidden_as_outdated):
            dismissed.update(findings)
        elif markers and (comment.outdated or _is_stale(markers, sources)):
            if not comment.minimized:
                outdated.append(comment.node_id)
        elif not comment.minimized:
            live.update(findings)
            # Of this very proposal, of which the rest was not posted: more tests that wait are of another one.
            if not (is_here and found.intersection(findings)):
                waiting.update((marker.method, marker.source) for marker in markers)
    said = summary_marker(summary.body) if summary else None
    before = said.posted if said else ()
    # One that was posted and is nowhere to be seen was deleted by a person.
    dismissed.update(set(before).difference(seen))
    return _Own(
        frozenset(live),
        frozenset(dismissed),
        frozenset(waiting),
        tuple(outdated),
        made_here,
        tuple(dict.fromkeys([*before, *seen])),
    )


def _is_stale(markers: Sequence[TestMarker], sources: Mapping[str, str]) -> bool:
    """Whether the methods that a comment is about have changed since."""
    return all(sources.get(marker.method, marker.source) != marker.source for marker in markers)


def _known_place(finding: Finding | Clause, own: _Own, *, asked: bool) -> Place:
    if finding.id in own.dismissed:
        return Place.DISMISSED
    if finding.id in own.live:
        return Place.DIFF
    if not asked and (finding.marker.method, finding.marker.source) in own.waiting:
        return Place.QUIET
    return Place.SUMMARY


def _inline_drafts(proposal: Proposal, new: Sequence[Finding], hunks: Mapping[str, tuple[Hunk, ...]]) -> list[Draft]:
    """Suggestions whose tests are all new, whose lines GitHub shows in one hunk, and whose length it takes."""
    by_index = {finding.index: finding for finding in new}
    drafts = []
    for inline in proposal.inline:
        tests = [by_index[index] for index in inline.suggestions if index in by_index]
        whole = len(tests) == len(inline.suggestions)
        if whole and is_within(hunks.get(inline.path, ()), inline.start, inline.line):
            body = suggestion_comment(inline, tests)
            if len(body) <= LONGEST_BODY:
                drafts.append(_draft(inline.path, inline.start, inline.line, body, tests))
    return drafts


def _clause_drafts(clauses: Sequence[Clause], hunks: Mapping[str, tuple[Hunk, ...]]) -> list[Draft]:
    """Suggestions of assertions for lines that GitHub shows in one hunk, and whose length it takes."""
    drafts = []
    for clause in clauses:
        record = clause.record
        if is_within(hunks.get(record.path, ()), record.start, record.line):
            body = clause_comment(clause)
            if len(body) <= LONGEST_BODY:
                drafts.append(Draft(record.path, record.start, record.line, body, (clause.id,)))
    return drafts


def _method_drafts(
    findings: Sequence[Finding],
    hunks: Mapping[str, tuple[Hunk, ...]],
    changed: Container[str],
    patch_of: PatchOf,
) -> list[Draft]:
    """One comment for each changed method that has tests left."""
    by_target: dict[str, list[Finding]] = {}
    for finding in findings:
        by_target.setdefault(finding.target.id, []).append(finding)
    drafts = []
    for all_tests in by_target.values():
        tests = all_tests[:MOST_TESTS]
        path = tests[0].target.path
        if path in changed:
            line = _anchor(tests, hunks.get(path, ()))
            drafts.append(_draft(path, line, line, method_comment(tests, patch_of), tests))
    return drafts


def _anchor(tests: Sequence[Finding], hunks: Sequence[Hunk]) -> int:
    """The first changed line of the method that its tests execute and GitHub shows; 0 for the file as a whole."""
    path = tests[0].target.path
    gained = sorted({line for test in tests for line in test.verdict.gained.get(path, ())})
    own = frozenset(tests[0].target.lines)
    candidates = [*(line for line in gained if line in own), *sorted(own)]
    return next((line for line in candidates if is_within(hunks, line, line)), 0)


def _draft(path: str, start: int, line: int, body: str, tests: Sequence[Finding]) -> Draft:
    return Draft(path, start, line, body, tuple(test.id for test in tests))
