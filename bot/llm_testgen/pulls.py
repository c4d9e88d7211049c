"""A pull request on GitHub and what stands there about it: records that the edge reads and `delivery` plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as it is now.

    Attributes:
        number: Its number.
        head: Commit id of its head.
        head_branch: The branch that it comes from.
        head_repository: ``owner/name`` that this branch is in; empty when that was deleted.
        base: Commit id of the base branch that GitHub compares with.
        base_branch: The branch that it is to be merged into.
        is_open: Neither closed nor merged.
        draft: Not ready for review.
        url: Its page.
    """

    number: int
    head: str
    head_branch: str
    head_repository: str
    base: str
    base_branch: str
    is_open: bool
    draft: bool
    url: str


@dataclass(frozen=True, slots=True)
class ReviewComment:
    """A comment on a line, or on a file, of the pull request's diff.

    Attributes:
        id: Its number.
        node_id: Its name in the GraphQL API.
        author: Login of who wrote it.
        body: Its Markdown.
        url: Its page.
        outdated: Its lines are no longer part of the diff.
        thumbs_down: How many people reacted with a thumb down.
        resolved: Its conversation was resolved.
        minimized: It is hidden.
        hidden_as_outdated: It is, with the reason for which the bot itself hides.
    """

    id: int
    node_id: str
    author: str
    body: str
    url: str
    outdated: bool
    thumbs_down: int = 0
    resolved: bool = False
    minimized: bool = False
    hidden_as_outdated: bool = False


@dataclass(frozen=True, slots=True)
class IssueComment:
    """A comment in the pull request's conversation."""

    id: int
    author: str
    body: str
    url: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All that matters of a pull request for what is to be posted.

    Attributes:
        pull: The pull request.
        login: Who the bot writes as.
        patches: Each changed file's patch as GitHub shows it; None where it shows none: large, or binary.
        comments: The review comments, of all pages and by whomever.
        conversation: The comments of the conversation.
    """

    pull: Pull
    login: str
    patches: Mapping[str, str | None]
    comments: tuple[ReviewComment, ...] = ()
    conversation: tuple[IssueComment, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A review comment to be made.

    Attributes:
        path: The file.
        start: First line at head that it is about; equal to ``line`` for a single one.
        line: Last line; 0 for a comment on the file as a whole.
        body: Its Markdown, markers first.
        findings: Ids of the tests that it holds.
    """

    path: str
    start: int
    line: int
    body: str
    findings: tuple[str, ...] = ()
