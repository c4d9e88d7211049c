"""The git edge: a repository's revisions, its trees and what lies between two of them, all of it read-only.

The only module that imports pygit2. Paths are relative to the repository's root, with forward slashes; a name
that is not UTF-8, or that would lead out of the tree, is passed over.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import AttrCheck, DeltaStatus, DiffFind, DiffOption, FileMode
from pygit2.enums import FileStatus as WorkStatus

from llm_testgen.edges.gitrules import common_tail, is_binary, is_rename, is_safe, safe_path
from llm_testgen.edges.workfiles import importable_files, read_file, regular_files
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import FileChange, FileStatus, FileType, Lines, Snapshot, TreeFile

_DEFAULT_BRANCHES = ("refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master")
_FETCH_HISTORY = "fetch the history (actions/checkout: `fetch-depth: 0`; elsewhere: `git fetch --unshallow`)"

_DIFF = DiffOption.INDENT_HEURISTIC
_DIFF_WORKTREE = _DIFF | DiffOption.INCLUDE_UNTRACKED | DiffOption.RECURSE_UNTRACKED_DIRS
_FIND = DiffFind.FIND_RENAMES | DiffFind.FIND_DONT_IGNORE_WHITESPACE | DiffFind.FIND_FOR_UNTRACKED
# libgit2 measures similarity in its own way: it proposes generously, and git's rule decides.
_PROPOSED_RENAME = 30
_NEW_ONLY = frozenset({DeltaStatus.ADDED, DeltaStatus.UNTRACKED})
_BOTH = frozenset({DeltaStatus.MODIFIED, DeltaStatus.RENAMED, DeltaStatus.CONFLICTED})
_TYPES = {
    FileMode.BLOB: FileType.REGULAR,
    FileMode.BLOB_EXECUTABLE: FileType.REGULAR,
    FileMode.LINK: FileType.SYMLINK,
    FileMode.COMMIT: FileType.SUBMODULE,
}

_PYTHON_SUFFIXES = (".py", ".pyi")

# pygit2 reports what does not exist, or is no name, as a GitError or by the builtin that fits.
_LOOKUP_ERRORS = (pygit2.GitError, KeyError, ValueError)


class Revisions(NamedTuple):
    """The two ends of a change, as full commit ids."""

    base: str
    head: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of one entry of a diff: what stands at a path."""

    path: str
    type: FileType
    data: bytes


@dataclass(frozen=True, slots=True)
class _Head:
    """How the newer end of a diff is read.

    Attributes:
        read: Gives the bytes of one of its files.
        to_git: Gives a file's bytes, by its path, as git would store them: on these it counts lines.
        attribute: Gives a path's attribute by ``.gitattributes``.
    """

    read: Callable[[pygit2.DiffFile], bytes]
    to_git: Callable[[str, bytes], bytes]
    attribute: Callable[[str, str], str | bool | None]


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository with a working tree and at least one commit.

    Attributes:
        root: The top folder of its working tree, with no symlinks on the way.
    """

    root: Path
    _git: pygit2.Repository = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> Repository:
        """The repository around a folder.

        Raises:
            UsageError: There is none, it has no working tree or no commit, or it cannot be opened.
        """
        try:
            found = pygit2.discover_repository(str(path))
            git = pygit2.Repository(found) if found else None
        except pygit2.GitError as error:
            raise _refusal(path, error) from error
        if git is None:
            msg = f"{path} is not inside a git repository: pass the path of a clone"
            raise UsageError(msg)
        if git.is_bare or git.workdir is None:
            msg = f"{path} is a bare repository: pass the path of a clone with a working tree"
            raise UsageError(msg)
        if git.head_is_unborn:
            msg = f"the repository at {git.workdir} has no commit yet: commit the project first"
            raise UsageError(msg)
        return cls(Path(git.workdir).resolve(), git)

    def merge_base(self, base: str | None, head: str, *, worktree: bool = False) -> Revisions:
        """The two ends of what ``git diff base...head`` shows: where head left base, and head itself.

        Args:
            base: Any name of a commit; None stands for the repository's default branch.
            head: Any name of a commit.
            worktree: The working tree on top of head is meant, so that head may be its own base.

        Raises:
            UsageError: One of them is unknown or no commit, they share no history, or base is None and head has
                nothing that the default branch lacks.
            ProjectError: What is needed lies beyond the end of a shallow clone.
        """
        tip = self._commit(head)
        against = self._default_branch() if base is None else base
        start = self._common_ancestor(self._commit(against), tip)
        if start is None:
            if self._git.is_shallow:
                msg = f"the clone is too shallow to show where {head!r} left {_short(against)!r}: {_FETCH_HISTORY}"
                raise ProjectError(msg)
            msg = f"{head!r} and {_short(against)!r} have no common history: pass another --base"
            raise UsageError(msg)
        if base is None and start == tip.id and not worktree:
            msg = f"{head!r} has nothing that {_short(against)!r} lacks: pass --base, such as --base {head}~1"
            raise UsageError(msg)
        return Revisions(str(start), str(tip.id))

    def changes(self, base: str, head: str) -> tuple[FileChange, ...]:
        """The Python files and the submodules that differ between the trees of two commits, in path order.

        Where a symlink took the place of a file, or the reverse, there are two records, as in git: a deletion
        and an addition.

        Raises:
            UsageError: One of them is unknown or no commit.
            ProjectError: The clone lacks an object of theirs.
        """
        old, new = self._commit(base), self._commit(head)
        sources = AttrCheck.INDEX_ONLY | AttrCheck.INCLUDE_COMMIT
        side = _Head(
            read=lambda file: self._blob(str(file.id)),
            to_git=lambda _, data: data,
            attribute=lambda path, name: self._git.get_attr(path, name, sources, new.id),
        )
        try:
            diff = old.tree.diff_to_tree(new.tree, flags=_DIFF, context_lines=0, interhunk_lines=0)
            diff.find_similar(flags=_FIND, rename_threshold=_PROPOSED_RENAME)
        except _LOOKUP_ERRORS as error:
            raise _missing(base, head) from error
        return tuple(sorted(self._changes(diff, side), key=_change_order))

    def changes_to_worktree(self, base: str) -> tuple[FileChange, ...]:
        """The same between a commit and the working tree, as if all that is not ignored were committed.

        Raises:
            UsageError: The commit is unknown.
            ProjectError: A file cannot be read, or the clone lacks an object.
        """
        old = self._commit(base)
        side = _Head(
            read=lambda file: read_file(self.root, file.path),
            to_git=self._to_git,
            attribute=self._git.get_attr,
        )
        try:
            diff = old.tree.diff_to_workdir(flags=_DIFF_WORKTREE, context_lines=0, interhunk_lines=0)
            diff.find_similar(flags=_FIND, rename_threshold=_PROPOSED_RENAME)
        except _LOOKUP_ERRORS as error:
            raise _missing(base) from error
        changes = list(self._changes(diff, side))
        # Against a tree libgit2 passes over what is ignored, even where the index tracks it all the same.
        known = {change.path for change in changes}
        forced = [path for path in self._work_paths() - known if path.endswith(_PYTHON_SUFFIXES)]
        new = [_Side(path, FileType.REGULAR, read_file(self.root, path)) for path in forced if path not in old.tree]
        changes += [_file_change(None, file, side) for file in new]
        return tuple(sorted(changes, key=_change_order))

    def snapshot(self, head: str) -> Snapshot:
        """Every regular file of a commit.

        Raises:
            UsageError: The commit is unknown.
            ProjectError: The clone lacks a tree, or, when ``read`` is called, a file.
        """
        commit = self._commit(head)
        try:
            files = sorted(_tree_files(commit.tree, b""), key=lambda file: file.path)
        except _LOOKUP_ERRORS as error:
            raise _missing(head) from error
        return Snapshot(str(commit.id), tuple(files), lambda file: self._blob(file.blob))

    def worktree_snapshot(self) -> Snapshot:
        """Every regular file of the working tree that is tracked or could be, with the bytes that are on the disk.

        Raises:
            ProjectError: A file cannot be read; also later, when ``read`` is called.
        """
        files = tuple(
            TreeFile(
                path=path,
                blob=str(pygit2.hash(read_file(self.root, path))),
                executable=bool((self.root / path).stat().st_mode & stat.S_IXUSR),
            )
            for path in sorted(self._work_paths())
        )
        return Snapshot(str(self._commit("HEAD").id), files, lambda file: read_file(self.root, file.path))

    def ignored_files(self) -> tuple[str, ...]:
        """Paths of ignored files of the working tree that an import may need, such as a generated ``_version.py``.

        Virtual environments, caches, other repositories, and build outputs that hold nothing tracked are not entered.
        """
        tracked = frozenset(entry.path for entry in self._git.index)
        untracked = regular_files(self.root, filter(is_safe, importable_files(self.root, tracked)))
        return tuple(sorted(path for path in untracked if self._git.path_is_ignored(path)))

    def _commit(self, revision: str) -> pygit2.Commit:
        try:
            found = self._git.revparse_single(revision)
        except _LOOKUP_ERRORS as error:
            if self._git.is_shallow:
                msg = f"the shallow clone does not hold {revision!r}: {_FETCH_HISTORY}"
                raise ProjectError(msg) from error
            msg = f"unknown revision {revision!r}: {self._advice(revision)}"
            raise UsageError(msg) from error
        try:
            return found.peel(pygit2.Commit)
        except _LOOKUP_ERRORS as error:
            msg = f"{revision!r} is no commit: pass a branch, a tag or a commit"
            raise UsageError(msg) from error

    def _common_ancestor(self, base: pygit2.Commit, head: pygit2.Commit) -> pygit2.Oid | None:
        return self._git.merge_base(base.id, head.id)

    def _advice(self, revision: str) -> str:
        """What to do about a revision that does not exist here."""
        remote = f"origin/{revision}"
        if f"refs/remotes/{remote}" in self._git.listall_references():
            return f"pass {remote!r}"
        return "fetch it first, or pass a branch, a tag or a commit of this clone"

    def _default_branch(self) -> str:
        """Full name of the default branch's reference."""
        known = frozenset(self._git.listall_references())
        remote_head = "refs/remotes/origin/HEAD"
        target = str(self._git.lookup_reference(remote_head).target) if remote_head in known else ""
        for name in (target, *_DEFAULT_BRANCHES):
            if name in known:
                return name
        if self._git.is_shallow:
            msg = f"the shallow clone does not hold the default branch: {_FETCH_HISTORY}, or pass --base"
            raise ProjectError(msg)
        msg = "the default branch is not known: pass --base"
        raise UsageError(msg)

    def _changes(self, diff: pygit2.Diff, head: _Head) -> Iterator[FileChange]:
        for delta in diff.deltas:
            old = self._side(delta.old_file, self._read_old) if delta.status not in _NEW_ONLY else None
            new = self._side(delta.new_file, head.read) if delta.status in _NEW_ONLY | _BOTH else None
            if old and new and old.path != new.path and not is_rename(old.data, head.to_git(new.path, new.data)):
                yield _file_change(old, None, head)
                yield _file_change(None, new, head)
            elif old or new:
                yield _file_change(old, new, head)

    def _side(self, file: pygit2.DiffFile, read: Callable[[pygit2.DiffFile], bytes]) -> _Side | None:
        """What stands at one end of an entry; None for what is neither a Python file nor a submodule."""
        path, kind = safe_path(file.raw_path), _TYPES.get(file.mode)
        if path is None or kind is None:
            return None
        if kind is FileType.SUBMODULE:
            return _Side(path, kind, b"")
        return _Side(path, kind, read(file)) if path.endswith(_PYTHON_SUFFIXES) else None

    def _read_old(self, file: pygit2.DiffFile) -> bytes:
        return self._blob(str(file.id))

    def _blob(self, blob: str) -> bytes:
        try:
            return self._git[blob].peel(pygit2.Blob).data
        except _LOOKUP_ERRORS as error:
            raise _missing(blob) from error

    def _work_paths(self) -> frozenset[str]:
        """Regular files of the working tree that are tracked, or untracked and not ignored."""
        untracked = {path for path, status in self._git.status().items() if status & WorkStatus.WT_NEW}
        paths = untracked.union(entry.path for entry in self._git.index)
        return regular_files(self.root, filter(is_safe, paths))

    def _to_git(self, path: str, data: bytes) -> bytes:
        """A file's bytes as git would store them, line ends by ``core.autocrlf`` and ``.gitattributes``."""
        filters = self._git.load_filter_list(path)
        # pygit2 takes what a filter gives as a C string, which a zero byte would end.
        if filters is None or not data or b"\0" in data:
            return data
        return filters.apply_to_buffer(data)


def _file_change(old: _Side | None, new: _Side | None, head: _Head) -> FileChange:
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
        added_lines=_added_lines(old, new, head),
        generated=_is_set(head.attribute(here.path, "linguist-generated")),
        vendored=_is_set(head.attribute(here.path, "linguist-vendored")),
    )


def _status(old: _Side | None, new: _Side | None) -> FileStatus:
    if old is None:
        return FileStatus.ADDED
    if new is None:
        return FileStatus.DELETED
    return FileStatus.MODIFIED if old.path == new.path else FileStatus.RENAMED


def _added_lines(old: _Side | None, new: _Side | None, head: _Head) -> Lines:
    """Lines of a regular file that ``git diff -U0`` marks with ``+``."""
    if new is None or new.type is not FileType.REGULAR:
        return frozenset()
    before, after = old.data if old else b"", head.to_git(new.path, new.data)
    shown = head.attribute(new.path, "diff")
    if shown is False or (shown is None and (is_binary(before) or is_binary(after))):
        return frozenset()
    kept = common_tail(before, after)
    patch = pygit2.Patch.create_from(
        before[: len(before) - kept],
        after[: len(after) - kept],
        flag=_DIFF | DiffOption.FORCE_TEXT,
        context_lines=0,
        interhunk_lines=0,
    )
    # With no context the new side of a hunk is nothing but added lines.
    hunks = (range(hunk.new_start, hunk.new_start + hunk.new_lines) for hunk in patch.hunks)
    return frozenset(line for hunk in hunks for line in hunk)


def _is_set(attribute: str | bool | None) -> bool:  # noqa: FBT001 - an attribute's value, no switch
    return attribute.lower() != "false" if isinstance(attribute, str) else bool(attribute)


def _tree_files(tree: pygit2.Tree, folder: bytes) -> Iterator[TreeFile]:
    for entry in tree:
        raw = folder + (entry.raw_name or b"")
        path = safe_path(raw)
        if path is None:
            continue
        if isinstance(entry, pygit2.Tree):
            yield from _tree_files(entry, raw + b"/")
        elif _TYPES.get(entry.filemode) is FileType.REGULAR:
            yield TreeFile(path, str(entry.id), executable=entry.filemode == FileMode.BLOB_EXECUTABLE)


def _change_order(change: FileChange) -> tuple[str, bool]:
    """By path; where a symlink took the place of a file, the deletion first."""
    return change.path, change.status is not FileStatus.DELETED


def _short(reference: str) -> str:
    return reference.removeprefix("refs/remotes/").removeprefix("refs/heads/")


def _missing(*wanted: str) -> ProjectError:
    names = " and ".join(wanted)
    return ProjectError(f"the clone lacks objects of {names}: fetch it whole, without --filter and --depth")


def _refusal(path: Path, error: pygit2.GitError) -> UsageError:
    """Why libgit2 would not open a repository."""
    reason = " ".join(str(error).split())
    if "not owned by" in reason:
        command = f"git config --global --add safe.directory {path.resolve()}"
        return UsageError(f"{path} belongs to another user: run `{command}` if you trust it")
    return UsageError(f"the repository at {path} cannot be opened: {reason}")
