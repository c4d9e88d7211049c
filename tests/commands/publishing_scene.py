"""A real proposal, made once, and for each test a copy of its repository behind a fake GitHub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner
from tests.conftest import GitProject
from tests.github.fake import FakeGitHub
from tests.github.faults import Fault
from tests.project_python import project_python

from llm_testgen.cli import main
from llm_testgen.commands.publishing import Origin, Published, publish
from llm_testgen.delivery.findings import Finding, findings_of
from llm_testgen.delivery.markers import TestMarker, test_markers
from llm_testgen.delivery.plan import Rules
from llm_testgen.edges.github.client import Access, GitHubRepository
from llm_testgen.edges.github.patience import Patience
from llm_testgen.proposal import InlineRecord, Proposal, read_proposal

NUMBER = 7
BRANCH = "topic"
BOT = "github-actions[bot]"
RIGHTS = {"contents": "write", "pull_requests": "write", "issues": "write", "actions": "read", "metadata": "read"}
RUN = 99
ORIGIN = Origin(str(RUN), f"https://github.example/runs/{RUN}")
RULES = Rules()

TESTS = "tests/test_mod.py"
MOD = "src/pkg/mod.py"
GRADE, AREA = f"{MOD}::grade", f"{MOD}::Box.area"
TOP = '"""Sizes."""\n\nLIMIT = 10\n\n\n'
OF_GRADE = """def grade(x):
    if x < 0:
        raise ValueError(x)
    if x > LIMIT:
        return "large"
    return "small"
"""
OF_BOX = """class Box:
    def __init__(self, side):
        self.side = side

    def area(self):
        if self.side == 1:
            return 1
        return self.side ** 2
"""
HEAD_MOD = f"{TOP}{OF_GRADE}\n\n{OF_BOX}"
BASE_TESTS = "from pkg.mod import grade\n\n\ndef test_all():\n    assert grade(1)\n"
HEAD_TESTS = 'from pkg.mod import grade\n\n\ndef test_small():\n    assert grade(1) == "small"\n'
BASE_FILES = {
    "src/pkg/__init__.py": "",
    MOD: '"""Sizes."""\n\n\ndef grade(x):\n    return "all"\n',
    TESTS: BASE_TESTS,
    "pytest.ini": "[pytest]\npythonpath = src\n",
}
TESTS_OF_GRADE = """import pytest


def test_large():
    assert grade(11) == "large"


def test_negative():
    with pytest.raises(ValueError):
        grade(-1)
"""
TESTS_OF_AREA = """def test_area():
    assert Box(1).area() == 1


def test_square():
    assert Box(3).area() == 9
"""
REPLIES = {GRADE: TESTS_OF_GRADE, AREA: TESTS_OF_AREA}


@dataclass(frozen=True, slots=True)
class Made:
    """A repository whose last commit is the head of a pull request, and what ``propose`` found for it."""

    root: Path
    base: str
    head: str
    proposal: Proposal


def make_proposal(folder: Path) -> Made:
    """Run ``propose`` with recorded replies. It takes seconds."""
    project = GitProject(folder / "project")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "core.autocrlf", "false")
    for path, text in BASE_FILES.items():
        project.write(path, text)
    base = project.commit("base")
    project.git("checkout", "--quiet", "-b", BRANCH)
    project.write(MOD, HEAD_MOD)
    project.write(TESTS, HEAD_TESTS)
    head = project.commit("head")
    replies = folder / "replies.jsonl"
    replies.write_text(
        "".join(json.dumps({"target": target, "reply": reply}) + "\n" for target, reply in REPLIES.items())
    )
    command = ["propose", "--repo", str(project.root), "--python", project_python(), "--base", base]
    result = CliRunner().invoke(main, [*command, "--replay", str(replies)])
    assert result.exit_code == 0, result.output
    proposal = read_proposal((project.root / ".llm-testgen" / "proposal.json").read_bytes())
    shutil.rmtree(project.root / ".llm-testgen")
    assert len(proposal.accepted) == 4, result.output
    small(project)
    return Made(project.root, base, head, proposal)


def small(project: GitProject) -> None:
    """Let a repository be few files, for it is copied for each test."""
    project.git("gc", "--quiet")
    shutil.rmtree(project.root / ".git/hooks", ignore_errors=True)


@dataclass(slots=True)
class Scene:
    """A pull request with the head that the proposal was made for.

    Attributes:
        project: The repository, in which the pull request's head is checked out.
        fake: GitHub in front of it.
        base: Commit of the base branch.
        head: Head of the pull request when the test begins.
        proposal: What was found there: four tests, which inline suggestions may add.
        slept: Seconds that were waited for, each time.
        now: What the clock says.
    """

    project: GitProject
    fake: FakeGitHub
    base: str
    head: str
    proposal: Proposal
    slept: list[float] = field(default_factory=list)
    now: float = 0.0

    @property
    def by_method(self) -> Proposal:
        """The same without inline suggestions: one comment for each method."""
        return self.proposal.model_copy(update={"inline": ()})

    def token(self, **rights: str) -> str:
        return self.fake.token(f"job {rights}", RIGHTS | rights)

    def repository(self, token: str = "", sleep: Callable[[float], object] | None = None) -> GitHubRepository:
        waiting = Patience(sleep or self.slept.append, lambda: self.now)
        return GitHubRepository(Access(self.fake.full_name, token or self.token(), self.fake.url, 0, waiting))

    def publish(
        self,
        proposal: Proposal | None = None,
        rules: Rules = RULES,
        origin: Origin = ORIGIN,
        *,
        repository: GitHubRepository | None = None,
        dry_run: bool = False,
    ) -> Published:
        repository = repository or self.repository()
        try:
            return publish(proposal or self.proposal, repository, NUMBER, rules, origin, dry_run=dry_run)
        finally:
            repository.close()

    def push(self, files: Mapping[str, str], *, force: bool = False) -> str:
        """Move the head to a new commit, on top of the old one or of the base."""
        if force:
            self.project.git("reset", "--quiet", "--hard", self.base)
        for path, text in files.items():
            self.project.write(path, text)
        head = self.project.commit("more")
        self.fake.push(NUMBER, head)
        return head

    def page(self) -> dict:
        return self.fake.page(NUMBER)

    def comments(self) -> list[dict]:
        """The review comments."""
        return self.page()["review_comments"]

    def summary(self) -> str:
        """The one summary comment."""
        (found,) = [entry["body"] for entry in self.page()["comments"] if is_summary(entry)]
        return found

    def ids(self, proposal: Proposal | None = None) -> list[str]:
        return [finding.id for finding in findings(proposal or self.proposal)]

    def shown(self) -> list[str]:
        """Ids of the tests in review comments that are not hidden, sorted; a test that is there twice is here twice."""
        visible = [comment for comment in self.comments() if comment["minimized"] is None]
        return sorted(marker.finding for comment in visible for marker in markers(comment))

    def fail_at(self, number: int, method: str, path: str, kind: Fault) -> None:
        """Let the request of that number, counted from 1, fail."""
        seen: list[int] = []

        def count() -> None:
            seen.append(1)
            if len(seen) == number:
                self.fake.fail(method, path, kind=kind)

        self.fake.before(method, path, count, times=number)

    def wrote(self) -> list[str]:
        """Method and last part of the path of each write."""
        return [f"{request.method} {request.path.rpartition('/')[2]}" for request in self.fake.writes]

    def sent(self) -> str:
        """All that was ever sent, as one text."""
        return "\n".join(request.text.decode() for request in self.fake.requests)

    def is_posted_once(self, proposal: Proposal | None = None) -> bool:
        """Whether everything stands there, and nothing twice."""
        page = self.page()
        summaries = [entry for entry in page["comments"] if is_summary(entry)]
        return self.shown() == sorted(self.ids(proposal)) and len(summaries) == 1 == len(page["comments"])


def is_summary(comment: dict) -> bool:
    return comment["login"] == BOT and comment["body"].startswith("<!-- llm-testgen:summary ")


def findings(proposal: Proposal) -> tuple[Finding, ...]:
    return findings_of(proposal)[0]


def markers(comment: dict) -> tuple[TestMarker, ...]:
    return test_markers(comment["body"])


def about(comments: list[dict], finding: str) -> dict:
    """The one comment that holds a test."""
    (found,) = [comment for comment in comments if finding in {marker.finding for marker in markers(comment)}]
    return found


def with_inline(proposal: Proposal, *places: tuple[int, str]) -> Proposal:
    """The proposal with these inline suggestions: line and text, for one test after the other."""
    inline = [
        InlineRecord(path=TESTS, suggestions=(index,), start=line, line=line, text=text)
        for index, (line, text) in enumerate(places)
    ]
    return proposal.model_copy(update={"inline": tuple(inline)})


def moved(
    proposal: Proposal, head: str, lines: Mapping[str, int], digests: Mapping[str, str] | None = None
) -> Proposal:
    """The same tests found at another head, where methods stand so many lines lower and may have another source."""
    digests = digests or {}

    def lower(numbers: tuple[int, ...], target: str) -> tuple[int, ...]:
        return tuple(number + lines.get(target, 0) for number in numbers)

    targets = [
        target.model_copy(
            update={"lines": lower(target.lines, target.id), "digest": digests.get(target.id, target.digest)}
        )
        for target in proposal.targets
    ]
    verdicts = [
        verdict.model_copy(
            update={"gained": {path: lower(numbers, verdict.target) for path, numbers in verdict.gained.items()}}
        )
        for verdict in proposal.verdicts
    ]
    return proposal.model_copy(update={"head": head, "targets": tuple(targets), "verdicts": tuple(verdicts)})


@contextmanager
def open_scene(made: Made, folder: Path, **pull: object) -> Iterator[Scene]:
    """A copy of the repository with its pull request; ``pull`` are fields of the fake's ``Pull``."""
    root = folder / "project"
    shutil.copytree(made.root, root)
    with FakeGitHub(root) as fake:
        fake.add_pull(NUMBER, made.base, made.head, **{"head_ref": BRANCH} | pull)
        yield Scene(GitProject(root), fake, made.base, made.head, made.proposal)
        assert fake.violations == []
        assert fake.leaked_tokens == []
