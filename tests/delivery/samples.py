"""Proposals, pull requests and what stands there, to plan and to report with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from llm_testgen.delivery.findings import Finding, findings_of
from llm_testgen.proposal import (
    CoverageFigures,
    FileRecord,
    InlineRecord,
    MutantRecord,
    Proposal,
    RegressionRecord,
    SkipRecord,
    SuggestionRecord,
    TargetRecord,
    UsageRecord,
    VerdictRecord,
    funnel,
)
from llm_testgen.pulls import Draft, IssueComment, Pull, ReviewComment, Standing
from llm_testgen.records import Ending, Label, Outcome

BASE = "a" * 40
HEAD = "b" * 40
LOGIN = "github-actions[bot]"
SOURCE = "src/shop.py"
TEST = "tests/test_shop.py"
# The test file at head: ten lines, at each of which a suggestion can be made.
BEFORE = "".join(f"x{number} = {number}\n" for number in range(1, 11))
DIGEST = "0123456789abcdef"

# Of 40 lines of the source the diff shows 1-20, of the test file 1-10.
SOURCE_PATCH = "@@ -1,18 +1,20 @@\n" + "\n".join(["+a", "+b", *[" c"] * 18])
TEST_PATCH = "@@ -1,9 +1,10 @@ x\n" + "\n".join([" x"] * 9 + ["+x"])
PATCHES: Mapping[str, str | None] = {SOURCE: SOURCE_PATCH, TEST: TEST_PATCH}


@dataclass(frozen=True, slots=True)
class Test:
    """A test of a proposal: an accepted one unless it says otherwise."""

    __test__ = False

    name: str = "test_it"
    method: str = "total"
    digest: str = DIGEST
    source: str = SOURCE
    lines: tuple[int, ...] = (3, 4)
    gained: Mapping[str, tuple[int, ...]] | None = None
    path: str = TEST
    code: str = ""
    imports: tuple[str, ...] = ()
    model: str = "scripted"
    repairs: tuple[str, ...] = ()
    seconds: float = 0.012
    runs: tuple[Ending, ...] = (Ending.PASSED,) * 3
    outcome: Outcome = Outcome.ACCEPTED
    reason: str = ""
    observed: tuple[str, ...] = ()
    killed: tuple[MutantRecord, ...] = ()
    survived: tuple[MutantRecord, ...] = ()
    idle: tuple[str, ...] = ()
    label: Label | None = None

    @property
    def text(self) -> str:
        return self.code or f"def {self.name}():\n    assert total() == {len(self.name)}"

    @property
    def target(self) -> str:
        return f"{self.source}::{self.method}"

    def verdict(self) -> VerdictRecord:
        accepted = self.outcome is Outcome.ACCEPTED
        return VerdictRecord(
            target=self.target,
            name=self.name,
            outcome=self.outcome,
            reason=self.reason,
            code=f"{self.text}\n",
            gained=({self.source: self.lines} if self.gained is None else dict(self.gained)) if accepted else {},
            attempt=1,
            repairs=self.repairs,
            runs=self.runs,
            model=self.model,
            seconds=self.seconds,
            observed=self.observed,
            killed=self.killed,
            survived=self.survived,
            idle=self.idle,
            label=self.label,
        )


def fault(before: str = "<", after: str = "<=", line: int = 3, path: str = SOURCE) -> MutantRecord:
    """A fault that a test was tried with."""
    return MutantRecord(path=path, line=line, operator="comparison", before=before, after=after)


def regression(name: str = "test_size", **fields: str) -> RegressionRecord:
    """A test that passes at base and fails at head."""
    values = {
        "target": f"{SOURCE}::size",
        "name": name,
        "code": f"def {name}():\n    assert size(5) == '5 B'\n",
        "assertion": "assert size(5) == '5 B'",
        "expected": "'5 B'",
        "actual": "'5 Bytes'",
        "reason": "AssertionError: assert '5 Bytes' == '5 B'",
    }
    return RegressionRecord(**values | fields)


@dataclass(frozen=True, slots=True)
class At:
    """A suggestion that adds some tests, by their positions, below a line of the test file."""

    tests: tuple[int, ...]
    line: int
    path: str = TEST
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """What a proposal holds beside its tests."""

    skipped: Sequence[SkipRecord] = ()
    notes: Sequence[str] = ()
    before: float = 50
    after: float = 75
    tokens: int = 0
    replies: int | None = None
    regressions: Sequence[RegressionRecord] = ()
    head: str = field(default=HEAD)


def proposal(tests: Iterable[Test] = (), inline: Iterable[At] = (), rest: Rest | None = None) -> Proposal:
    """A proposal with these tests, the accepted ones as suggestions in their order."""
    rest = rest or Rest()
    tests = list(tests)
    accepted = [index for index, test in enumerate(tests) if test.outcome is Outcome.ACCEPTED]
    targets = {
        test.target: TargetRecord(id=test.target, path=test.source, lines=test.lines, digest=test.digest)
        for test in tests
    }
    verdicts = tuple(test.verdict() for test in tests)
    paths = dict.fromkeys(tests[index].path for index in accepted)
    return Proposal(
        base=BASE,
        head=rest.head,
        coverage=CoverageFigures(
            before=rest.before, after=rest.after, changed_lines=4, covered_before=2, covered_after=3
        ),
        targets=tuple(targets.values()),
        skipped=tuple(rest.skipped),
        verdicts=verdicts,
        accepted=tuple(accepted),
        files=tuple(FileRecord(path=path, before=BEFORE, after=f"{BEFORE}\n\n# tests\n") for path in paths),
        suggestions=tuple(
            SuggestionRecord(
                verdict=index,
                path=tests[index].path,
                name=tests[index].name,
                imports=tests[index].imports,
                pieces=(tests[index].text,),
            )
            for index in accepted
        ),
        inline=tuple(_inline(at, [tests[index] for index in accepted]) for at in inline),
        funnel=funnel(len(tests) if rest.replies is None else rest.replies, verdicts),
        usage=UsageRecord(tokens_in=rest.tokens, tokens_out=rest.tokens, seconds=1, total_seconds=83.4),
        notes=tuple(rest.notes),
        regressions=tuple(rest.regressions),
    )


def _inline(at: At, accepted: Sequence[Test]) -> InlineRecord:
    line = BEFORE.split("\n")[at.line - 1]
    text = at.text or "\n\n\n".join([line, *(accepted[index].text for index in at.tests)])
    return InlineRecord(path=at.path, suggestions=at.tests, start=at.line, line=at.line, text=text)


def findings(made: Proposal) -> tuple[Finding, ...]:
    """The accepted tests of a proposal, none of which may be withheld."""
    found, withheld = findings_of(made)
    assert withheld == ()
    return found


def finding(**fields: object) -> Finding:
    """One accepted test."""
    (found,) = findings(proposal([Test(**fields)]))  # type: ignore[arg-type]
    return found


def patch_of(tests: Sequence[Finding]) -> str:
    """A patch that names its tests."""
    return "".join(f"+{line}\n" for test in tests for line in test.suggestion.pieces[-1].split("\n"))


PULL = Pull(
    number=7,
    head=HEAD,
    head_branch="topic",
    head_repository="octo/shop",
    base=BASE,
    base_branch="main",
    is_open=True,
    draft=False,
    url="https://github.test/octo/shop/pull/7",
)


def comment(body: str, number: int = 1, **fields: object) -> ReviewComment:
    """A review comment, of the bot's own unless the fields say otherwise."""
    values: dict[str, object] = {
        "id": number,
        "node_id": f"node-{number}",
        "author": LOGIN,
        "body": body,
        "url": f"{PULL.url}#discussion_r{number}",
        "outdated": False,
    }
    return ReviewComment(**values | fields)  # type: ignore[arg-type]


def said(body: str, author: str = LOGIN, number: int = 1) -> IssueComment:
    """A comment of the conversation."""
    return IssueComment(number, author, body, f"{PULL.url}#issuecomment-{number}")


def standing(
    comments: Iterable[ReviewComment] = (),
    conversation: Iterable[IssueComment] = (),
    patches: Mapping[str, str | None] = PATCHES,
) -> Standing:
    """The pull request with what stands there."""
    return Standing(PULL, LOGIN, dict(patches), tuple(comments), tuple(conversation))


def posted(drafts: Iterable[Draft], first: int = 1) -> list[ReviewComment]:
    """Drafts as GitHub gives them back once they were posted."""
    return [comment(draft.body, number) for number, draft in enumerate(drafts, first)]
