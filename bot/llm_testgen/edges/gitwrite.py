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
    return b"".join(map(_file_patch, files))


def _file_patch(file: TestFile) -> bytes:
    # A libgit2 patch points into the bytes that it was made from and pygit2 does not keep them: names here do.
    before = file.before.encode() if file.before else None
    after = file.after.encode()
    patch = pygit2.Patch.create_from(before, after, old_as_path=file.path, new_as_path=file.path)
    return patch.data


def create_repository(folder: Path, commits: Mapping[str, Mapping[str, bytes]]) -> None:
    """Make a repository whose branch ``main`` has one commit after the other, checked out.

    Args:
        folder: Where; made if need be.
        commits: Message → all files of that commit, as path → bytes.
    """
    repository = pygit2.init_repository(folder, initial_head=_BRANCH)
    repository.config["core.autocrlf"] = False  # what is checked out are the bytes that were given
    parents: list[pygit2.Oid] = []
    for message, files in commits.items():
        parents = [_commit(repository, _BRANCH, message, files, parents)]
    repository.checkout_tree(repository[parents[0]], strategy=CheckoutStrategy.FORCE)  # type: ignore[no-untyped-call]


def add_branch(folder: Path, branch: str, message: str, files: Mapping[str, bytes]) -> None:
    """Add a branch with one commit on top of ``main``, which stays checked out.

    Args:
        folder: A repository that `create_repository` has made.
        branch: The branch's name.
        message: The commit's message.
        files: All files of the commit, as path → bytes.
    """
    repository = pygit2.Repository(folder)
    tip = repository.references[f"refs/heads/{_BRANCH}"].peel(pygit2.Commit).id
    _commit(repository, branch, message, files, [tip])


def _commit(
    repository: pygit2.Repository,
    branch: str,
    message: str,
    files: Mapping[str, bytes],
    parents: list[pygit2.Oid],
) -> pygit2.Oid:
    """Put a commit of these files on a branch, which is made if need be."""
    index = pygit2.Index()
    for path, data in files.items():
        index.add(pygit2.IndexEntry(path, repository.create_blob(data), FileMode.BLOB))
    tree = index.write_tree(repository)
    return repository.create_commit(f"refs/heads/{branch}", _AUTHOR, _AUTHOR, message, tree, parents)
