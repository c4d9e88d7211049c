"""The lines that differ between two trees, and those that git shows around them: diffs of libgit2 as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pygit2
from pygit2.enums import DeltaStatus, DiffFind, DiffOption, FileMode

from llm_testgen.edges.gitrules import common_tail, is_binary, is_rename, safe_path
from llm_testgen.records import FileChange, FileStatus, FileType, Hunk, Lines

DIFF = DiffOption.INDENT_HEURISTIC
DIFF_WORKTREE = DIFF | DiffOption.INCLUDE_UNTRACKED | DiffOption.RECURSE_UNTRACKED_DIRS
TYPES = {
    FileMode.BLOB: FileType.REGULAR,
    FileMode.BLOB_EXECUTABLE: FileType.REGULAR,
    FileMode.LINK: FileType.SYMLINK,
    FileMode.COMMIT: FileType.SUBMODULE,
}
PYTHON_SUFFIXES = (".py", ".pyi")

_FIND = DiffFind.FIND_RENAMES | DiffFind.FIND_DONT_IGNORE_WHITESPACE | DiffFind.FIND_FOR_UNTRACKED
# libgit2 measures similarity in its own way: it proposes generously, and git's rule decides.
_PROPOSED_RENAME = 30
_NEW_ONLY = frozenset({DeltaStatus.ADDED, DeltaStatus.UNTRACKED})
_BOTH = frozenset({DeltaStatus.MODIFIED, DeltaStatus.RENAMED, DeltaStatus.CONFLICTED})
_CONTEXT = 3  # lines that git, and a review, show before and after a change

_Read = Callable[[pygit2.DiffFile], bytes]


@dataclass(frozen=True, slots=True)
class Ends:
    """How the two ends of a diff are read.

    Attributes:
        read_old: Gives the bytes of a file of the older end.
        read_new: Gives the bytes of a file of the newer end.
        to_git: Gives a file's bytes, by its path, as git would store them: on these it counts lines.
        attribute: Gives a path's attribute by ``.gitattributes``.
    """

    read_old: _Read
    read_new: _Read
    to_git: Callable[[str, bytes], bytes]
    attribute: Callable[[str, str], str | bool | None]


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of one entry of a diff: what stands at a path."""

    path: str
    type: FileType
    data: bytes


def find_renames(diff: pygit2.Diff) -> None:
    """Pair files that may have been renamed, as the functions below expect it."""
    diff.find_similar(flags=_FIND, rename_threshold=_PROPOSED_RENAME)


def file_changes(diff: pygit2.Diff, ends: Ends) -> Iterator[FileChange]:
    """The Python files and the submodules of a diff."""
    for old, new in _pairs(diff, ends, lambda file, _: _side(file, ends.read_old)):
        if old or new:
            yield _file_change(old, new, ends)


def added_file(path: str, data: bytes, ends: Ends) -> FileChange:
    """The record of a regular file that only the newer end has."""
    return _file_change(None, _Side(path, FileType.REGULAR, data), ends)


def shown_hunks(diff: pygit2.Diff, ends: Ends) -> Iterator[tuple[str, tuple[Hunk, ...]]]:
    """What ``git diff -M`` shows of each Python file that is a regular one at the newer end, if it shows anything."""
    for old, new in _pairs(diff, ends, lambda file, new: _any_side(file, ends.read_old) if new else None):
        if new and new.type is FileType.REGULAR:
            hunks = tuple(Hunk(lines.start, lines.stop - 1) for lines in _new_lines(old, new, ends, _CONTEXT))
            if hunks:
                yield new.path, hunks


def change_order(change: FileChange) -> tuple[str, bool]:
    """By path; where a symlink took the place of a file, the deletion first."""
    return change.path, change.status is not FileStatus.DELETED


def _pairs(
    diff: pygit2.Diff, ends: Ends, old_side: Callable[[pygit2.DiffFile, _Side | None], _Side | None]
) -> Iterator[tuple[_Side | None, _Side | None]]:
    """Both sides of each entry; those of a rename that git would not see as one come separately."""
    for delta in diff.deltas:
        new = _side(delta.new_file, ends.read_new) if delta.status in _NEW_ONLY | _BOTH else None
        old = old_side(delta.old_file, new) if delta.status not in _NEW_ONLY else None
        if old and new and old.path != new.path and not is_rename(old.data, ends.to_git(new.path, new.data)):
            yield old, None
            yield None, new
        else:
            yield old, new


def _side(file: pygit2.DiffFile, read: _Read) -> _Side | None:
    """What stands at one end of an entry; None for what is neither a Python file nor a submodule."""
    path, kind = safe_path(file.raw_path), TYPES.get(file.mode)
    if path is None or kind is None:
        return None
    if kind is FileType.SUBMODULE:
        return _Side(path, kind, b"")
    return _Side(path, kind, read(file)) if path.endswith(PYTHON_SUFFIXES) else None


def _any_side(file: pygit2.DiffFile, read: _Read) -> _Side | None:
    """A regular file at one end of an entry, whatever it holds."""
    path = safe_path(file.raw_path)
    return _Side(path, FileType.REGULAR, read(file)) if path and TYPES.get(file.mode) is FileType.REGULAR else None


def _file_change(old: _Side | None, new: _Side | None, ends: Ends) -> FileChange:
    """The record of a change; one of its sides may be missing."""
    here = new or old
    if here is None:
        msg = "a change has at least one side"
        raise ValueError(msg)
    return FileChange(
        path=here.path,
        old_path=old.path if old else "",
        status=_status(old, new),
        type=here.type,
        old=old.data if old else b"",
        new=new.data if new else b"",
        added_lines=_added_lines(old, new, ends),
        generated=_is_set(ends.attribute(here.path, "linguist-generated")),
        vendored=_is_set(ends.attribute(here.path, "linguist-vendored")),
    )


def _status(old: _Side | None, new: _Side | None) -> FileStatus:
    if old is None:
        return FileStatus.ADDED
    if new is None:
        return FileStatus.DELETED
    return FileStatus.MODIFIED if old.path == new.path else FileStatus.RENAMED


def _added_lines(old: _Side | None, new: _Side | None, ends: Ends) -> Lines:
    """Lines of a regular file that ``git diff -U0`` marks with ``+``."""
    if new is None or new.type is not FileType.REGULAR:
        return frozenset()
    # With no context the new side of a hunk is nothing but added lines.
    return frozenset(line for lines in _new_lines(old, new, ends, 0) for line in lines)


def _new_lines(old: _Side | None, new: _Side, ends: Ends, context: int) -> Iterator[range]:
    """The lines of the newer side in each hunk that git shows with so much context; none of a binary file."""
    before, after = old.data if old else b"", ends.to_git(new.path, new.data)
    shown = ends.attribute(new.path, "diff")
    if shown is False or (shown is None and (is_binary(before) or is_binary(after))):
        return
    kept = 0 if context else common_tail(before, after)
    patch = pygit2.Patch.create_from(
        before[: len(before) - kept],
        after[: len(after) - kept],
        flag=DIFF | DiffOption.FORCE_TEXT,
        context_lines=context,
        interhunk_lines=0,
    )
    for hunk in patch.hunks:
        if hunk.new_lines:
            yield range(hunk.new_start, hunk.new_start + hunk.new_lines)


def _is_set(attribute: str | bool | None) -> bool:  # noqa: FBT001 - an attribute's value, no switch
    return attribute.lower() != "false" if isinstance(attribute, str) else bool(attribute)
