"""Where a review comment may stand, and where one that was made for an older commit stands now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.github.diff import DiffLine, FileDiff, Hunk
from tests.github.state import Anchor, Pull, ReviewComment, State

SIDES = frozenset({"LEFT", "RIGHT"})

NO_PATH = "Path could not be resolved"
NO_LINE = "Line could not be resolved"
NO_POSITION = "Position could not be resolved"
NO_RANGE = (
    "Pull request review thread line must be part of the diff, Pull request review thread start line must be part of "
    "the same hunk as the line., and Pull request review thread diff hunk can't be blank"
)
OTHER_HUNK = "Pull request review thread start line must be part of the same hunk as the line."
NO_ORDER = "Pull request review thread start line must precede the end line."
NO_SIDE = "Side could not be resolved"


class AnchorError(Exception):
    """A comment cannot stand there; GitHub does not say which of several."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comment stands at the present head."""

    line: int | None
    start_line: int | None
    position: int | None


def find_anchor(state: State, pull: Pull, commit: str, wanted: Mapping[str, Any]) -> Anchor:
    """The anchor that a client wants, checked against what the pull request changes at that commit."""
    side, start_side = wanted.get("side", "RIGHT"), wanted.get("start_side", wanted.get("side", "RIGHT"))
    if not {side, start_side} <= SIDES:
        raise AnchorError(NO_SIDE)
    file = state.git.file_changes(pull.base_sha, commit, wanted["path"])
    if file is None:
        raise AnchorError(NO_PATH)
    if wanted.get("line") is None:
        hunk, end = _at_position(file, wanted.get("position"))
        return Anchor(file.path, commit, side, end.number(side), position=end.position, hunk=hunk.until(end))
    line, start = wanted["line"], wanted.get("start_line")
    if start is not None and start_side == side and start >= line:
        raise AnchorError(NO_ORDER)
    hunk = file.hunk_with(side, line)
    if hunk is None:
        raise AnchorError(NO_LINE if start is None else NO_RANGE)
    if start is not None and not hunk.find(start_side, start):
        raise AnchorError(OTHER_HUNK)
    end = hunk.find(side, line)
    start_side = None if start is None else start_side
    return Anchor(file.path, commit, side, line, start, start_side, end.position, hunk.until(end))


def _at_position(file: FileDiff, position: int | None) -> tuple[Hunk, DiffLine]:
    if position is None:
        raise AnchorError(NO_LINE)
    found = file.at_position(position)
    if found is None:
        raise AnchorError(NO_POSITION)
    return found


def whole_file(state: State, pull: Pull, commit: str, path: str) -> Anchor:
    if state.git.file_changes(pull.base_sha, commit, path) is None:
        raise AnchorError(NO_PATH)
    return Anchor(path, commit)


def present_place(state: State, comment: ReviewComment) -> Place | None:
    """Where a comment stands now; None if it is outdated, for its lines or their place in the diff are gone."""
    anchor, pull = comment.anchor, state.pulls[comment.number]
    file = state.git.file_changes(pull.base_sha, pull.head_sha, anchor.path)
    if file is None:
        return None
    if anchor.line is None:
        return Place(None, None, 1)
    if anchor.commit == pull.head_sha:
        return Place(anchor.line, anchor.start_line, anchor.position)
    if anchor.side == "LEFT":  # the old file is the same as long as the base is
        line, start = anchor.line, anchor.start_line
    else:
        first = anchor.start_line or anchor.line
        moved = [
            state.git.follow(anchor.commit, pull.head_sha, anchor.path, number)
            for number in range(first, anchor.line + 1)
        ]
        # Nothing inside may have changed, and nothing may have come between.
        if None in moved or moved[-1] - moved[0] != len(moved) - 1:
            return None
        line, start = moved[-1], moved[0] if anchor.start_line else None
    hunk = file.hunk_with(anchor.side, line)
    found = hunk and hunk.find(anchor.side, line)
    return Place(line, start, found.position) if found else None


def is_outdated(state: State, comment: ReviewComment) -> bool:
    return present_place(state, comment) is None
