"""The real git repository behind the fake: it is read for every answer, and what is posted is written into it.

A repository on GitHub and the checkout that a test works in are two things: the branches of the former are references of
their own here (``refs/github/OWNER/NAME/heads/BRANCH``), so that a branch that moves there moves under nobody's feet.
"""

from __future__ import annotations

import re
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, ObjectType, SortMode
from tests.github.diff import FileDiff, follow_line, tree_diff

_SHA = re.compile(r"[0-9a-f]{7,40}")
_PULL = re.compile(r"(?:refs/)?(pull/\d+/head)")
_MOST_LINKS = 5
Refs = dict[str, str]


class GitStore:
    def __init__(self, path: Path) -> None:
        found = pygit2.discover_repository(str(path))
        if found is None:
            message = f"{path} is no git repository"
            raise ValueError(message)
        self.repository = pygit2.Repository(found)
        self._diffs: dict[tuple[str, str], tuple[FileDiff, ...]] = {}
        self._places: dict[tuple[str, str, str, int], int | None] = {}

    def branches(self) -> Refs:
        """The branches of the checkout."""
        git = self.repository
        return {name: str(git.references[f"refs/heads/{name}"].peel(pygit2.Commit).id) for name in git.branches.local}

    # References

    def set_ref(self, repository: str, ref: str, sha: str) -> None:
        """``ref`` begins with ``refs/``."""
        self.repository.references.create(self._own(repository, ref), sha, force=True)

    def get_ref(self, repository: str, ref: str) -> str | None:
        reference = self.repository.references.get(self._own(repository, ref))
        return None if reference is None else str(reference.peel().id)

    def _own(self, repository: str, ref: str) -> str:
        if _PULL.fullmatch(ref):
            return ref
        return f"refs/github/{repository}/{ref.removeprefix('refs/')}"

    def resolve(self, repository: str, name: str) -> pygit2.Commit | None:
        """The commit that a name means to that repository: a branch, a tag, a reference or a commit's id."""
        if name.startswith(("refs/", "pull/")):
            refs = [name if name.startswith("refs/") else f"refs/{name}"]
        else:
            refs = [f"refs/heads/{name}", f"refs/tags/{name}"]
        for ref in refs:
            if sha := self.get_ref(repository, ref):
                return self.commit(sha)
        return self.commit(name)

    def commit(self, sha: str) -> pygit2.Commit | None:
        if not _SHA.fullmatch(sha):
            return None
        try:
            return self.repository[sha].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    # Histories

    def merge_base(self, one: str, other: str) -> str:
        base = self.repository.merge_base(one, other)
        return str(base) if base else one

    def is_ancestor(self, old: str, new: str) -> bool:
        return old == new or self.repository.descendant_of(new, old)

    def commits_between(self, base: str, head: str) -> list[pygit2.Commit]:
        """What head has and base has not, oldest first."""
        walker = self.repository.walk(head, SortMode.TOPOLOGICAL | SortMode.REVERSE)
        walker.hide(base)
        return list(walker)

    def changes(self, base: str, head: str) -> tuple[FileDiff, ...]:
        """What a pull request shows: from where head left base, to head."""
        old = self.merge_base(base, head)
        if (old, head) not in self._diffs:
            self._diffs[old, head] = tree_diff(self.repository[old].tree, self.repository[head].tree)
        return self._diffs[old, head]

    def file_changes(self, base: str, head: str, path: str) -> FileDiff | None:
        return next((file for file in self.changes(base, head) if file.path == path), None)

    def follow(self, old: str, new: str, path: str, number: int) -> int | None:
        """Where a line of a file at one commit is at another."""
        key = (old, new, path, number)
        if key not in self._places:
            before, after = self.data(old, path), self.data(new, path)
            lost = before is None or after is None
            self._places[key] = None if lost else follow_line(before, after, number)
        return self._places[key]

    # Files

    def entry(self, sha: str, path: str) -> pygit2.Object | None:
        """What is at a path in a commit's tree: the tree itself for the empty path."""
        tree = self.repository[sha].tree
        try:
            return tree[path] if path else tree
        except KeyError:
            return None

    def data(self, sha: str, path: str) -> bytes | None:
        found = self.entry(sha, path)
        return found.data if isinstance(found, pygit2.Blob) else None

    def follow_link(self, sha: str, path: str) -> str | None:
        """The path of the regular file that a symbolic link leads to, if it stays inside."""
        for _ in range(_MOST_LINKS):
            found = self.entry(sha, path)
            if not isinstance(found, pygit2.Blob):
                return None
            if found.filemode != FileMode.LINK:
                return path
            steps = path.split("/")[:-1]
            for step in found.data.decode(errors="replace").split("/"):
                if step == ".." and not steps:
                    return None
                steps = steps[:-1] if step == ".." else steps if step in {"", "."} else [*steps, step]
            path = "/".join(steps)
        return None

    # Writing

    def write_blob(self, data: bytes) -> str:
        return str(self.repository.create_blob(data))

    def kind(self, sha: str) -> str | None:
        """The type of an object, or None if there is none of that id."""
        try:
            return ObjectType(self.repository[sha].type).name.lower()
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def write_tree(self, base: str | None, entries: list[dict]) -> str:
        """A tree with some files set, or removed where the id is None; ``base`` is a tree or a commit."""
        index = pygit2.Index()
        if base:
            index.read_tree(self.repository[base].peel(pygit2.Tree))
        for entry in entries:
            if entry.get("content") is None and entry.get("sha") is None:
                index.remove(entry["path"])
                continue
            sha = entry.get("sha") or self.write_blob(entry["content"].encode())
            index.add(pygit2.IndexEntry(entry["path"], pygit2.Oid(hex=sha), FileMode(int(entry["mode"], 8))))
        return str(index.write_tree(self.repository))

    def write_commit(self, message: str, tree: str, parents: list[str], people: tuple[pygit2.Signature, ...]) -> str:
        author, committer = people
        return str(self.repository.create_commit(None, author, committer, message, tree, parents))
