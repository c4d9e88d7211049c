"""Committing suggestions, as a person does on GitHub's page with a button below a review comment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pygit2
from tests.github.anchors import present_place
from tests.github.state import Pull, ReviewComment, State

_OPENING = re.compile(r"(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
_PERSON = pygit2.Signature("A. Reader", "reader@example.org", 1_704_067_200, 0)


class SuggestionError(ValueError):
    """The page has no button to commit that, or refuses when it is pressed."""


@dataclass(frozen=True, slots=True)
class _Edit:
    comment: int
    path: str
    first: int
    last: int
    lines: tuple[str, ...]


def suggestions_in(body: str) -> list[tuple[str, ...]]:
    """The lines of each suggestion block of a text, without their newlines."""
    found, fence, indent, lines = [], None, 0, []
    is_suggestion = False
    for line in body.replace("\r\n", "\n").split("\n"):
        if fence is None:
            opening = _OPENING.fullmatch(line)
            if opening and not (opening["fence"][0] == "`" and "`" in opening["info"]):
                fence, indent, lines = opening["fence"], len(opening["indent"]), []
                is_suggestion = opening["info"].split()[:1] == ["suggestion"]
            continue
        # Only a fence of the same kind that is as long ends a block.
        closing = re.fullmatch(r" {0,3}(`{3,}|~{3,})[ \t]*", line)
        if closing and closing[1].startswith(fence):
            if is_suggestion:
                found.append(tuple(lines))
            fence = None
            continue
        cut = min(indent, len(line) - len(line.lstrip(" ")))
        lines.append(line[cut:])
    if fence is not None and is_suggestion:  # a block that nothing ends goes on to the end of the text
        found.append(tuple(lines))
    return found


def apply_suggestions(state: State, pull: Pull, comments: Iterable[int], *, keep_crlf: bool = True) -> dict[str, str]:
    """Commit the suggestions of some comments at once; the new texts of the files that they are for."""
    _require(pull.state == "open", "the pull request is closed")
    _require(pull.head_repo, "the head's repository was deleted")
    by_path: dict[str, list[_Edit]] = defaultdict(list)
    for number in comments:
        edit = _edit(state, state.review_comments[number])
        by_path[edit.path].append(edit)
    files = {path: _edited(state, pull, edits, keep_crlf=keep_crlf) for path, edits in by_path.items()}
    entries = []
    for path, data in files.items():
        mode = state.git.entry(pull.head_sha, path).filemode
        entries.append({"path": path, "mode": f"{mode:06o}", "sha": state.git.write_blob(data)})
    tree = state.git.write_tree(pull.head_sha, entries)
    message = f"Apply suggestion{'s' if sum(map(len, by_path.values())) > 1 else ''} from code review"
    sha = state.git.write_commit(message, tree, [pull.head_sha], (_PERSON, _PERSON))
    state.move_branch(pull.head_repo, pull.head_ref, sha)
    return {path: data.decode() for path, data in files.items()}


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise SuggestionError(otherwise)


def _edit(state: State, comment: ReviewComment) -> _Edit:
    blocks, place = suggestions_in(comment.body), present_place(state, comment)
    on_new_lines = comment.anchor.line is not None and comment.anchor.side == "RIGHT"
    _require(len(blocks) == 1, f"comment {comment.id} has {len(blocks)} suggestions")
    _require(place, f"comment {comment.id} is outdated")
    _require(on_new_lines, f"comment {comment.id} is not on lines of the new file")
    return _Edit(comment.id, comment.anchor.path, place.start_line or place.line, place.line, blocks[0])


def _edited(state: State, pull: Pull, edits: list[_Edit], *, keep_crlf: bool) -> bytes:
    """The new bytes of one file."""
    edits = sorted(edits, key=lambda edit: edit.first)
    for one, other in pairwise(edits):
        _require(one.last < other.first, f"comments {one.comment} and {other.comment} overlap")
    data = state.git.data(pull.head_sha, edits[0].path)
    carriage = b"\r" if keep_crlf and b"\r\n" in data else b""
    lines = data.split(b"\n")
    is_ended = lines[-1] == b""
    if is_ended:
        lines.pop()
    for edit in reversed(edits):
        old = [line.removesuffix(b"\r").decode() for line in lines[edit.first - 1 : edit.last]]
        _require(old != list(edit.lines), f"comment {edit.comment} changes nothing")
        lines[edit.first - 1 : edit.last] = [line.encode() + carriage for line in edit.lines]
    text = b"\n".join(lines)
    if is_ended:
        return text + b"\n" if lines else b""
    return text.removesuffix(carriage)  # a file that ends without a newline goes on to
