"""From a proposal to a pull request: reads what is there, decides, writes it once, and says what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from llm_testgen.delivery.comments import PatchOf
from llm_testgen.delivery.contracts import Clause, Clauses, assertions, clauses_of
from llm_testgen.delivery.findings import Finding, findings_of, without_secrets
from llm_testgen.delivery.markdown import code, plural
from llm_testgen.delivery.markers import SummaryMarker, review_line
from llm_testgen.delivery.plan import Delivery, Place, Plan, Rules, links, make_plan
from llm_testgen.delivery.report import Report, summary_comment
from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.edges.github.pulls import file_at, read_comments, read_pull, read_standing
from llm_testgen.edges.github.writes import edit_comment, minimize, post_comment, post_review, post_review_comment
from llm_testgen.edges.gitwrite import unified_patch
from llm_testgen.embedding import applied, is_same_code
from llm_testgen.errors import GitHubError, GitHubRefusedError, UsageError
from llm_testgen.proposal import Proposal
from llm_testgen.pulls import Draft, Pull, Standing
from llm_testgen.records import TestFile
from llm_testgen.testfiles import render


class Status(StrEnum):
    """What became of a run: an output of the action."""

    POSTED = "posted"
    NOTHING_NEW = "nothing-new"
    NO_TESTS = "no-tests"
    PROPOSED = "proposed"
    DRY_RUN = "dry-run"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    NOT_POSTED = "not-posted"
    ANSWERED = "answered"
    COMMITTED = "committed"
    PLANNED = "planned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a proposal comes from: the workflow run that holds it as an artifact.

    Attributes:
        run_id: Its id; empty outside a workflow.
        run_url: Its page.
        secrets: Values that the job was given, which nothing posted may hold.
    """

    run_id: str = ""
    run_url: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Published:
    """What was done.

    Attributes:
        status: In a word.
        report: What there is to tell of it.
        reason: Why nothing was posted, if nothing was.
        drafts: The review comments that were made, or would have been in a dry run.
        url: The page to look at: the review, else the summary comment.
    """

    status: Status
    report: Report
    reason: str = ""
    drafts: tuple[Draft, ...] = ()
    url: str = ""


def publish(  # noqa: PLR0913 - each from another source
    proposal: Proposal,
    repository: GitHubRepository,
    number: int,
    rules: Rules,
    origin: Origin,
    *,
    dry_run: bool = False,
) -> Published:
    """Post the accepted tests of a proposal to a pull request, if its head is still what was tested.

    Args:
        proposal: What was found; nothing of it is believed that GitHub can tell better.
        repository: Where the pull request is.
        number: The pull request, from the event or the API and never from the proposal.
        rules: What was chosen.
        origin: Where the proposal comes from.
        dry_run: Decide everything and write nothing.

    Raises:
        UsageError: The proposal is about something else than this pull request.
        GitHubError: What is there cannot be read.
    """
    proposal = without_secrets(proposal, origin.secrets)
    findings, withheld = findings_of(proposal, origin.secrets)
    clauses = clauses_of(proposal, origin.secrets)
    report = Report(proposal, findings, {}, withheld, run=origin.run_url, clauses=clauses)
    pull = read_pull(repository, number)
    if reason := _superseded(pull, proposal):
        return Published(Status.SUPERSEDED, report, reason)
    _check_files(proposal, repository)
    with_tests(proposal, findings)  # a test that is none stops it here, before anything is written
    clauses = _with_patches(clauses, proposal, repository)
    standing = read_standing(repository, pull)
    patch_of = patches(proposal)
    plan = make_plan(proposal, findings, standing, rules, patch_of, clauses=clauses.found)
    report = replace(report, places=plan.places, clauses=clauses)
    if dry_run or rules.delivery is Delivery.NONE:
        return Published(Status.DRY_RUN, report, drafts=plan.drafts)
    # Reading took its time: what is posted is about the head of this moment.
    if reason := _superseded(read_pull(repository, number), proposal):
        return Published(Status.SUPERSEDED, report, reason)
    return _Writer(repository, standing, plan, report, patch_of, origin, rules).write()


def patches(proposal: Proposal) -> PatchOf:
    """What makes the patch of some of a proposal's tests."""

    def patch(tests: Sequence[Finding]) -> str:
        texts = with_tests(proposal, tests)
        files = (TestFile(file.path, file.before, texts[file.path]) for file in proposal.files if file.path in texts)
        return unified_patch(files).decode()

    return patch


def with_tests(proposal: Proposal, tests: Iterable[Finding]) -> dict[str, str]:
    """The test files, by path, with some of a proposal's tests in them.

    Raises:
        UsageError: A test of the proposal is none that can be put there.
    """
    by_path: dict[str, list[Finding]] = {}
    for test in tests:
        by_path.setdefault(test.suggestion.path, []).append(test)
    before = {file.path: file.before for file in proposal.files}
    try:
        return {path: render(before[path], [test.suggestion for test in group]) for path, group in by_path.items()}
    except (SyntaxError, ValueError, RecursionError) as error:
        msg = f"the proposal's tests cannot be put into their files ({error}): make it anew"
        raise UsageError(msg) from error


def _superseded(pull: Pull, proposal: Proposal) -> str:
    """Why a proposal is too late for a pull request; empty when it is not."""
    if not pull.is_open:
        return f"pull request {pull.number} is closed"
    if proposal.worktree:
        return "the proposal is about an uncommitted working tree, not about a pull request's head"
    if pull.head != proposal.head:
        return f"pull request {pull.number} is at {pull.head[:10]} now, and {proposal.head[:10]} was tested"
    return ""


def _check_files(proposal: Proposal, repository: GitHubRepository) -> None:
    """See that the test files are at head what the proposal says, so that what it adds is all that it changes."""
    for file in proposal.files:
        found = file_at(repository, file.path, proposal.head)
        if (found or "") != file.before:
            msg = f"{file.path} is not at {proposal.head[:10]} what the proposal says: it is not posted; make it anew"
            raise UsageError(msg)


def _with_patches(clauses: Clauses, proposal: Proposal, repository: GitHubRepository) -> Clauses:
    """The contracts with what makes their patches, if their lines are at head what the proposal says.

    Raises:
        UsageError: They are not, or with the contracts the file would be other code.
    """
    texts: dict[str, str] = {}
    for path in dict.fromkeys(clause.record.path for clause in clauses.found):
        texts[path] = file_at(repository, path, proposal.head) or ""
        lines = texts[path].replace("\r\n", "\n").split("\n")
        records = [clause.record for clause in clauses.found if clause.record.path == path]
        stand = all(lines[one.start - 1 : one.line] == one.before.split("\n") for one in records)
        if not stand or not is_same_code(texts[path], applied(texts[path], records)):
            msg = f"{path} is not at {proposal.head[:10]} what the proposal says: it is not posted; make it anew"
            raise UsageError(msg)

    def patch(chosen: Sequence[Clause]) -> str:
        by_path = {path: [one.record for one in chosen if one.record.path == path] for path in texts}
        files = (TestFile(path, texts[path], applied(texts[path], own)) for path, own in by_path.items() if own)
        return unified_patch(files).decode()

    return replace(clauses, patch_of=patch)


class _SupersededError(Exception):
    """The head moved while it was being posted; the message says from where to where."""


@dataclass(slots=True)
class _Writer:
    """Carries a plan out, write by write; what fails is told and kept, and the rest goes on."""

    repository: GitHubRepository
    standing: Standing
    plan: Plan
    report: Report
    patch_of: PatchOf
    origin: Origin
    rules: Rules
    notes: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    posted: list[Draft] = field(default_factory=list)
    review: str = ""

    def write(self) -> Published:
        self.places = dict(self.plan.places)
        self.links = links(self.standing)
        try:
            self._comments()
            if self.posted:
                comments = read_comments(self.repository, self.standing.pull.number)
                self.links = links(replace(self.standing, comments=comments))
            self._hide()
            summary = self._summary()
        except _SupersededError as error:
            return self._stopped(Status.SUPERSEDED, str(error))
        except GitHubError as error:
            return self._stopped(Status.NOT_POSTED, f"what was found could not all be posted: {error}")
        status = Status.POSTED if self.posted else Status.NOTHING_NEW
        if not self.report.findings and not self.report.clauses.found:
            status = Status.NO_TESTS
        return Published(status, self._told(), "", tuple(self.posted), self.review or summary)

    def _stopped(self, status: Status, reason: str) -> Published:
        for draft in self.plan.drafts:
            if draft not in self.posted:
                self.places |= dict.fromkeys(draft.findings, Place.SUMMARY)
        self.notes.append(code(reason, longest=500))
        return Published(status, self._told(), reason, tuple(self.posted), self.review)

    def _told(self) -> Report:
        return replace(self.report, places=self.places, links=self.links, notes=tuple(self.notes))

    def _comments(self) -> None:
        on_lines = [draft for draft in self.plan.drafts if draft.line]
        singly = [draft for draft in self.plan.drafts if not draft.line]
        if on_lines:
            try:
                self.review = self._post_review(on_lines)
                self.posted += on_lines
            except GitHubRefusedError:
                self._check_head()
                # One anchor that GitHub does not take fails them all, and it does not say which.
                singly = [*on_lines, *singly]
        for draft in singly:
            self._post_one(draft)

    def _check_head(self) -> None:
        """See whether something is refused since its commit is no longer in the pull request."""
        if reason := _superseded(read_pull(self.repository, self.standing.pull.number), self.report.proposal):
            raise _SupersededError(reason)

    def _post_review(self, drafts: Sequence[Draft]) -> str:
        pull, login = self.standing.pull, self.standing.login
        ids = [finding for draft in drafts for finding in draft.findings]
        asserting = [clause for clause in self.report.clauses.found if clause.id in ids]
        tests = len(ids) - len(asserting)
        counts = [plural(tests, "test")] * bool(tests) + [assertions(asserting)] * bool(asserting)
        verb = "was" if len(counts) == 1 and counts[0].startswith("1 ") else "were"
        told = f"{' and '.join(counts)} for what this pull request changes {verb} run and kept."
        body = f"{review_line(pull.head, ids)}\n{told}"
        return post_review(self.repository, pull, drafts, body=body, login=login)

    def _post_one(self, draft: Draft) -> None:
        """Post one comment by itself; where GitHub does not take it, its tests stand in the summary."""
        try:
            url = post_review_comment(self.repository, self.standing.pull, draft, login=self.standing.login)
        except GitHubRefusedError as error:
            self._check_head()
            self.places |= dict.fromkeys(draft.findings, Place.SUMMARY)
            self.notes.append(code(f"a comment on {draft.path} was not taken: {error}", longest=500))
        else:
            self.posted.append(draft)
            self.review = self.review or url

    def _hide(self) -> None:
        if failed := minimize(self.repository, self.plan.outdated):
            self.notes.append(f"{plural(len(failed), 'outdated comment')} could not be hidden.")

    def _summary(self) -> str:
        """Write the summary comment where there is something to say; its page."""
        before = self.plan.summary
        found = self.report.findings or self.report.proposal.regressions or self.report.clauses.found
        if before is None and not found and not self.rules.asked:
            return ""
        ids = [*self.plan.posted, *(finding for draft in self.posted for finding in draft.findings)]
        marker = SummaryMarker(self.standing.pull.head, self.origin.run_id, tuple(ids))
        body = summary_comment(self._told(), marker.line(), self.patch_of)
        if before is None:
            return post_comment(self.repository, self.standing.pull.number, body, login=self.standing.login)
        if before.body.strip() != body.strip():
            edit_comment(self.repository, before.id, body)
        return before.url
