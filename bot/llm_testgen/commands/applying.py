"""``/gen-tests apply``: proposed tests, committed to the pull request's branch if that is still where they passed."""

from __future__ import annotations

from collections.abc import Sequence

from llm_testgen.commands.output import PROPOSAL
from llm_testgen.commands.publishing import Origin, with_tests
from llm_testgen.delivery.findings import Finding, findings_of
from llm_testgen.delivery.markdown import code, plural
from llm_testgen.delivery.plan import summary_of
from llm_testgen.delivery.tasks import ApplyTask
from llm_testgen.edges.github.client import GitHubRepository
from llm_testgen.edges.github.commits import commit_files
from llm_testgen.edges.github.pulls import file_at, read_pull, read_standing
from llm_testgen.edges.github.runs import read_artifact
from llm_testgen.errors import GitHubForbiddenError, GitHubRefusedError, UsageError
from llm_testgen.proposal import Proposal, read_proposal
from llm_testgen.pulls import Pull

ARTIFACT = "llm-testgen-proposal"
LONGEST_PROPOSAL = 32 << 20


def proposal_of_run(repository: GitHubRepository, run: int) -> Proposal | None:
    """What a workflow run proposed; None when it left nothing, or what it left has expired.

    Raises:
        UsageError: What it left is no proposal, or may not be read.
    """
    try:
        data = read_artifact(repository, run, ARTIFACT, PROPOSAL, LONGEST_PROPOSAL)
    except GitHubForbiddenError as error:
        msg = f"what run {run} left cannot be read; the workflow needs the permission `actions: read`: {error}"
        raise UsageError(msg) from error
    return None if data is None else read_proposal(data)


def apply_tests(task: ApplyTask, repository: GitHubRepository, origin: Origin) -> str:
    """Commit the chosen tests, and say what was done, in Markdown.

    Raises:
        UsageError: They cannot be committed, for a reason that the person who asked can do something about.
        GitHubError: GitHub fails.
    """
    pull = read_pull(repository, task.number)
    if not pull.is_open:
        msg = f"pull request {pull.number} is closed: nothing is committed to its branch"
        raise UsageError(msg)
    if pull.head_repository.casefold() != repository.name.casefold():
        msg = "the branch is in a fork, to which this workflow cannot write: take the suggestions, or apply the patch"
        raise UsageError(msg)
    proposal = _proposal(repository, pull)
    tests = _chosen(proposal, task.ids, origin)
    files = with_tests(proposal, tests)
    before = {file.path: file.before for file in proposal.files}
    for path in files:
        if (file_at(repository, path, pull.head) or "") != before[path]:
            msg = f"{path} is not what the proposal says: ask for new tests with /gen-tests"
            raise UsageError(msg)
    message = f"Add {plural(len(tests), 'test')} proved by llm-testgen\n\nAsked for by {task.asker.author}."
    try:
        commit = commit_files(repository, pull, files, message)
    except GitHubRefusedError as error:
        msg = f"the branch was not changed, since it moved meanwhile or is protected: {error}"
        raise UsageError(msg) from error
    except GitHubForbiddenError as error:
        msg = f"the branch was not changed; the workflow needs the permission `contents: write`: {error}"
        raise UsageError(msg) from error
    names = ", ".join(code(test.suggestion.name) for test in tests)
    return (
        f"Committed {plural(len(tests), 'test')} as {commit}: {names}.\n\n"
        "<small>Checks do not start by themselves for a commit that a workflow made with its own token.</small>"
    )


def _proposal(repository: GitHubRepository, pull: Pull) -> Proposal:
    marker = summary_of(read_standing(repository, pull))
    if marker is None or not marker.run.isdigit():
        msg = "no tests were proposed on this pull request yet: ask for some with /gen-tests"
        raise UsageError(msg)
    proposal = proposal_of_run(repository, int(marker.run))
    if proposal is None:
        msg = "what was proposed is no longer kept: ask for new tests with /gen-tests"
        raise UsageError(msg)
    if proposal.head != pull.head:
        msg = (
            f"the tests were proved at {proposal.head[:10]}, and the branch is at {pull.head[:10]} now:"
            " ask for new ones with /gen-tests"
        )
        raise UsageError(msg)
    return proposal


def _chosen(proposal: Proposal, ids: Sequence[str], origin: Origin) -> list[Finding]:
    findings, _ = findings_of(proposal, origin.secrets)
    if not findings:
        msg = "the last run proposed no test: ask again with /gen-tests"
        raise UsageError(msg)
    unknown = [wanted for wanted in ids if not any(finding.id.startswith(wanted) for finding in findings)]
    if unknown:
        known = ", ".join(finding.short_id for finding in findings)
        msg = f"no test has the id {', '.join(unknown)}; there are: {known}"
        raise UsageError(msg)
    return [finding for finding in findings if not ids or any(finding.id.startswith(wanted) for wanted in ids)]
