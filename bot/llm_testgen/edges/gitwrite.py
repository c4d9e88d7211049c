"""What is written in git's formats: patches, and new repositories. The user's own repository is only ever read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pygit2
from pygit2.enums import CheckoutStrategy, FileMode

from llm_testgen.records import TestFile

_BRANCH = "main"
_AUTHOR = pygit2.Signature("llm-testgen", "llm-testgen@users.noreply.github.com")


def unified_patch(files: Iterable[TestFile]) -> bytes:
    """The patch, as ``git apply`` takes it, that makes the files what they will be."""
    patches = (
        pygit2.Patch.create_from(
            file.before.encode() if file.before else None,
            file.after.encode(),
            old_as_path=file.path,
            new_as_path=file.path,
        )
        for file in files
    )
    return b"".join(patch.data for patch in patches)


def create_repository(folder: Path, commits: Mapping[str, Mapping[str, bytes]]) -> None:
    """Make a repository whose branch ``main`` has one commit after the other, checked out.

    Args:
        folder: Where; made if need be.
        commits: Message → all files of that commit, as path → bytes.
    """
    repository = pygit2.init_repository(folder, initial_head=_BRANCH)
    parents: list[pygit2.Oid] = []
    for message, files in commits.items():
        index = pygit2.Index()
        for path, data in files.items():
            index.add(pygit2.IndexEntry(path, repository.create_blob(data), FileMode.BLOB))
        tree = index.write_tree(repository)
        parents = [repository.create_commit(f"refs/heads/{_BRANCH}", _AUTHOR, _AUTHOR, message, tree, parents)]
    repository.checkout_tree(repository[parents[0]], strategy=CheckoutStrategy.FORCE)  # type: ignore[no-untyped-call]
