"""What changed between two commits, as GitHub shows it: files, hunks, and the lines that a comment can stand on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pygit2
from pygit2.enums import DeltaStatus, DiffFlag, DiffOption

_STATUS = {
    DeltaStatus.ADDED: "added",
    DeltaStatus.DELETED: "removed",
    DeltaStatus.MODIFIED: "modified",
    DeltaStatus.RENAMED: "renamed",
    DeltaStatus.TYPECHANGE: "changed",
}
_HUNK = re.compile(r"@@ -(?P<old>\d+)(?:,\d+)? \+(?P<new>\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a patch below a hunk's header; ``position`` is its number in the whole patch."""

    text: str
    position: int
    old: int | None
    new: int | None

    def number(self, side: str) -> int | None:
        return self.new if side == "RIGHT" else self.old


@dataclass(frozen=True, slots=True)
class Hunk:
    header: str
    lines: tuple[DiffLine, ...]

    def find(self, side: str, number: int) -> DiffLine | None:
        return next((line for line in self.lines if line.number(side) == number), None)

    def until(self, line: DiffLine) -> str:
        """The hunk's text down to a line, which is what a comment on that line quotes."""
        return "\n".join([self.header, *(other.text for other in self.lines if other.position <= line.position)])


@dataclass(frozen=True, slots=True)
class FileDiff:
    path: str
    old_path: str
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str
    hunks: tuple[Hunk, ...]

    def hunk_with(self, side: str, number: int) -> Hunk | None:
        return next((hunk for hunk in self.hunks if hunk.find(side, number)), None)

    def at_position(self, position: int) -> tuple[Hunk, DiffLine] | None:
        for hunk in self.hunks:
            for line in hunk.lines:
                if line.position == position:
                    return hunk, line
        return None


def tree_diff(old: pygit2.Tree, new: pygit2.Tree) -> tuple[FileDiff, ...]:
    """All files that differ, in path order, with git's own three lines of context and rename detection."""
    diff = old.diff_to_tree(new, flags=DiffOption.INDENT_HEURISTIC, context_lines=3)
    diff.find_similar()
    files = [_file(patch) for patch in diff if patch is not None]
    return tuple(sorted(files, key=lambda file: file.path))


def _file(patch: pygit2.Patch) -> FileDiff:
    delta = patch.delta
    old, new = delta.old_file, delta.new_file
    status = _STATUS[delta.status]
    # A patch of a binary file says so in words; one of a mere rename or of an empty file has no hunk.
    text = "" if delta.flags & DiffFlag.BINARY else _body(patch.data.decode(errors="replace"))
    _, additions, deletions = patch.line_stats
    return FileDiff(
        path=new.path,
        old_path=old.path,
        status=status,
        sha=str(old.id if status == "removed" else new.id),
        additions=additions,
        deletions=deletions,
        patch=text,
        hunks=parse_hunks(text),
    )


def _body(patch: str) -> str:
    """From the first hunk on, and without the newline that ends a patch."""
    start = re.search(r"^@@ ", patch, re.MULTILINE)
    return patch[start.start() :].removesuffix("\n") if start else ""


def parse_hunks(patch: str) -> tuple[Hunk, ...]:
    hunks: list[tuple[str, list[DiffLine]]] = []
    old = new = 0
    for position, text in enumerate(patch.split("\n") if patch else []):
        if header := _HUNK.match(text):
            old, new = int(header["old"]), int(header["new"])
            hunks.append((text, []))
            continue
        kind = text[:1]
        in_old, in_new = kind in {" ", "-"}, kind in {" ", "+"}
        hunks[-1][1].append(DiffLine(text, position, old if in_old else None, new if in_new else None))
        old, new = old + in_old, new + in_new
    return tuple(Hunk(header, tuple(lines)) for header, lines in hunks)


def follow_line(old: bytes, new: bytes, number: int) -> int | None:
    """Where a line of the old text is in the new one; None if it was changed or removed."""
    shift = 0
    for hunk in pygit2.Patch.create_from(old, new, context_lines=0).hunks:
        first, count = hunk.old_start, hunk.old_lines
        if count == 0:  # an insertion, behind the line that it names
            first += 1
        if number < first:
            break
        if number < first + count:
            return None
        shift += hunk.new_lines - count
    return number + shift


def whole_text(files: Iterable[FileDiff]) -> str:
    """A diff of many files in one text."""
    return "".join(
        f"diff --git a/{file.old_path} b/{file.path}\n--- a/{file.old_path}\n+++ b/{file.path}\n{file.patch}\n"
        for file in files
    )
