"""The git edge: a repository's revisions, its trees and what lies between two of them, all of it read-only.

Only this module and the git modules beside it import pygit2. Paths are relative to the repository's root, with forward
slashes; a name that is not UTF-8, or that would lead out of the tree, is passed over.
"""

from __future__ import annotations

import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import AttrCheck, FileMode
from pygit2.enums import FileStatus as WorkStatus

from llm_testgen.edges.gitdiff import (
    DIFF,
    DIFF_WORKTREE,
    PYTHON_SUFFIXES,
    TYPES,
    Ends,
    added_file,
    change_order,
    file_changes,
    find_renames,
    shown_hunks,
)
from llm_testgen.edges.gitrules import is_safe, safe_path
from llm_testgen.edges.workfiles import importable_files, read_file, regular_files
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import FileChange, FileType, HunksByPath, Snapshot, TreeFile

_DEFAULT_BRANCHES = ("refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master")
_FETCH_HISTORY = "fetch the history (actions/checkout: `fetch-depth: 0`; elsewhere: `git fetch --unshallow`)"

# pygit2 reports what does not exist, or is no name, as a GitError or by the builtin that fits.
_LOOKUP_ERRORS = (pygit2.GitError, KeyError, ValueError)


class Revisions(NamedTuple):
    """The two ends of a change, as full commit ids."""

    base: str
    head: str


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
        return tuple(sorted(file_changes(*self._diff(base, head)), key=change_order))

    def hunks(self, base: str, head: str) -> HunksByPath:
        """The lines at head of the Python files that ``git diff -M`` between two commits shows, hunk by hunk.

        A review can be anchored to these, if base is the merge base. Files of which it shows no line are left out.

        Raises:
            UsageError: One of them is unknown or no commit.
            ProjectError: The clone lacks an object of theirs.
        """
        return dict(shown_hunks(*self._diff(base, head)))

    def changes_to_worktree(self, base: str) -> tuple[FileChange, ...]:
        """The same between a commit and the working tree, as if all that is not ignored were committed.

        Raises:
            UsageError: The commit is unknown.
            ProjectError: A file cannot be read, or the clone lacks an object.
        """
        old = self._commit(base)
        ends = self._worktree_ends()
        try:
            diff = old.tree.diff_to_workdir(flags=DIFF_WORKTREE, context_lines=0, interhunk_lines=0)
            find_renames(diff)
        except _LOOKUP_ERRORS as error:
            raise _missing(base) from error
        changes = list(file_changes(diff, ends))
        # Against a tree libgit2 passes over what is ignored, even where the index tracks it all the same.
        known = {change.path for change in changes}
        forced = [path for path in self._work_paths() - known if path.endswith(PYTHON_SUFFIXES)]
        changes += [added_file(path, read_file(self.root, path), ends) for path in forced if path not in old.tree]
        return tuple(sorted(changes, key=change_order))

    def whole_files(
        self, snapshot: Snapshot, paths: Container[str], *, worktree: bool = False
    ) -> tuple[FileChange, ...]:
        """Files of a snapshot as if each had just been added, in path order.

        Args:
            snapshot: Of a commit, or of the working tree.
            paths: Which of its files.
            worktree: It is of the working tree, whose ``.gitattributes`` count.

        Raises:
            ProjectError: A file cannot be read, or the clone lacks an object.
        """
        ends = self._worktree_ends() if worktree else self._commit_ends(self._commit(snapshot.commit))
        files = (file for file in snapshot.files if file.path in paths)
        return tuple(added_file(file.path, snapshot.read(file), ends) for file in files)

    def is_uncommitted(self, path: str) -> bool:
        """Whether a file of HEAD is another one in the index or in the working tree."""
        return self._git.status_file(path) != WorkStatus.CURRENT

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

    def is_checked_out(self, commit: str) -> bool:
        """Whether HEAD is at a commit, by its full id."""
        return str(self._git.head.target) == commit

    def _diff(self, base: str, head: str) -> tuple[pygit2.Diff, Ends]:
        """What lies between the trees of two commits, and how to read it."""
        old, new = self._commit(base), self._commit(head)
        try:
            diff = old.tree.diff_to_tree(new.tree, flags=DIFF, context_lines=0, interhunk_lines=0)
            find_renames(diff)
        except _LOOKUP_ERRORS as error:
            raise _missing(base, head) from error
        return diff, self._commit_ends(new)

    def _commit_ends(self, new: pygit2.Commit) -> Ends:
        sources = AttrCheck.INDEX_ONLY | AttrCheck.INCLUDE_COMMIT
        return Ends(
            read_old=self._read_blob,
            read_new=self._read_blob,
            to_git=lambda _, data: data,
            attribute=lambda path, name: self._git.get_attr(path, name, sources, new.id),
        )

    def _worktree_ends(self) -> Ends:
        return Ends(self._read_blob, lambda file: read_file(self.root, file.path), self._to_git, self._git.get_attr)

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

    def _read_blob(self, file: pygit2.DiffFile) -> bytes:
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


def _tree_files(tree: pygit2.Tree, folder: bytes) -> Iterator[TreeFile]:
    for entry in tree:
        raw = folder + (entry.raw_name or b"")
        path = safe_path(raw)
        if path is None:
            continue
        if isinstance(entry, pygit2.Tree):
            yield from _tree_files(entry, raw + b"/")
        elif TYPES.get(entry.filemode) is FileType.REGULAR:
            yield TreeFile(path, str(entry.id), executable=entry.filemode == FileMode.BLOB_EXECUTABLE)


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
