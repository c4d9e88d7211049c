"""``llm-testgen publish``: post a proposal to its pull request."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from llm_testgen.commands.applying import LONGEST_PROPOSAL
from llm_testgen.commands.publishing import Origin, Published, Status, publish
from llm_testgen.delivery.markdown import plural
from llm_testgen.delivery.plan import Delivery, Rules
from llm_testgen.edges.github.client import DEFAULT_API, Access, GitHubRepository
from llm_testgen.errors import GitHubError, UsageError
from llm_testgen.proposal import Proposal, read_proposal


def load_proposal(path: Path) -> Proposal:
    """A proposal from a file that anybody may have written.

    Raises:
        UsageError: It cannot be read, is too large, or is no proposal.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_PROPOSAL + 1)
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): pass a proposal.json that propose wrote"
        raise UsageError(msg) from error
    if len(data) > LONGEST_PROPOSAL:
        msg = f"{path} is longer than {LONGEST_PROPOSAL:,} bytes: propose writes none like that"
        raise UsageError(msg)
    try:
        return read_proposal(data)
    except UsageError as error:
        msg = f"{path}: {error}"
        raise UsageError(msg) from error


@click.command("publish")
@click.argument("proposal", type=click.Path(path_type=Path))
@click.option("--repository", metavar="OWNER/NAME", help="Where the pull request is.  [default: GITHUB_REPOSITORY]")
@click.option("--pr", "number", metavar="NUMBER", type=click.IntRange(min=1), required=True, help="The pull request.")
@click.option(
    "--delivery",
    type=click.Choice([delivery.value for delivery in Delivery]),
    default=Delivery.REVIEW.value,
    show_default=True,
    help="Review comments and a summary, the summary alone, or nothing.",
)
@click.option(
    "--max-suggestions",
    type=click.IntRange(min=0, max=100),
    default=10,
    show_default=True,
    help="Review comments at most; further tests stand in the summary.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be posted, and post nothing.")
def publish_command(  # noqa: PLR0913 - one parameter for each option
    *, proposal: Path, repository: str | None, number: int, delivery: str, max_suggestions: int, dry_run: bool
) -> None:
    """Post the tests of a PROPOSAL to a pull request, if its head is still what was tested.

    The token is read from GITHUB_TOKEN, the API's address from GITHUB_API_URL.
    """
    name = repository or os.environ.get("GITHUB_REPOSITORY", "")
    if not name:
        msg = "no repository: pass --repository OWNER/NAME"
        raise UsageError(msg)
    token = os.environ.get("GITHUB_TOKEN", "").strip()
    if not token:
        msg = "no token: set GITHUB_TOKEN to one that may write to pull requests"
        raise UsageError(msg)
    loaded = load_proposal(proposal)
    access = Access(name, token, os.environ.get("GITHUB_API_URL") or DEFAULT_API)
    with closing(GitHubRepository(access)) as opened:
        rules = Rules(Delivery(delivery), max_suggestions)
        done = publish(loaded, opened, number, rules, Origin(secrets=(token,)), dry_run=dry_run)
    _print(Console(emoji=False), done)
    if done.status is Status.NOT_POSTED:
        raise GitHubError(done.reason)


def _print(console: Console, done: Published) -> None:
    console.print(f"[bold]{done.status.value}[/] {escape(done.reason)}".rstrip(), highlight=False, soft_wrap=True)
    for draft in done.drafts:
        where = f"{draft.path}:{draft.line}" if draft.line else draft.path
        console.print(f"  {escape(where)}  {', '.join(draft.findings)}", highlight=False, soft_wrap=True)
    for finding in done.report.findings:
        place = done.report.places.get(finding.id)
        console.print(
            f"  {finding.short_id}  {escape(finding.suggestion.name)}: {place.value if place else 'not posted'}",
            highlight=False,
            soft_wrap=True,
        )
    for clause in done.report.clauses.found:
        place = done.report.places.get(clause.id)
        console.print(
            f"  {clause.short_id}  assertions for {escape(clause.qualname)}: {place.value if place else 'not posted'}",
            highlight=False,
            soft_wrap=True,
        )
    if asked := len(done.report.proposal.regressions):
        console.print(f"  {plural(asked, 'possible regression')}, asked about in the summary", highlight=False)
    if done.url:
        console.print(done.url, highlight=False, soft_wrap=True)
