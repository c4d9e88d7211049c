"""What a run is about: the change of a checkout, or code that a person named, and the tree that it is in."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from llm_testgen.commands.options import ProposeOptions
from llm_testgen.commands.output import OUTPUT_FOLDER, SESSION, output_folder
from llm_testgen.edges.git import Repository
from llm_testgen.errors import UsageError
from llm_testgen.index import Index
from llm_testgen.paths import is_test
from llm_testgen.records import Change, ChangedMethod, Method, MethodKind, Snapshot
from llm_testgen.stages.diff import changed_methods
from llm_testgen.stages.named import Definitions, as_if_changed, find_named

_MOST_NAMED = 10


class NothingToTestError(UsageError):
    """There is nothing that tests could be made for: for a person a mistake, for a pull request ordinary."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """What to work on.

    Attributes:
        repository: Where it is.
        change: What tests are made for.
        snapshot: The tree at its head.
        subject: What was named, as ``path::qualname``, if it did not really change; else empty.
        notes: What a person should know of it.
    """

    repository: Repository
    change: Change
    snapshot: Snapshot
    subject: str = ""
    notes: tuple[str, ...] = ()


class Asked(NamedTuple):
    """Code that a person named: how, and whether as a class or as a method."""

    name: str
    kind: MethodKind


def results_folder(repository: Repository, options: ProposeOptions) -> Path:
    """Where the results of a run go."""
    return options.out or repository.root / OUTPUT_FOLDER


def open_change(options: ProposeOptions) -> Checkout:
    """The change between two revisions, or up to the working tree.

    Raises:
        UsageError: A revision is unknown and the like.
        NothingToTestError: The change holds nothing to test, or not what is wanted of it.
    """
    repository = Repository.open(options.repo)
    revisions = repository.merge_base(options.base, options.head, worktree=options.worktree)
    if options.worktree:
        files = repository.changes_to_worktree(revisions.base)
        snapshot = repository.worktree_snapshot()
    else:
        files = repository.changes(revisions.base, revisions.head)
        snapshot = repository.snapshot(revisions.head)
    change = changed_methods(revisions.base, revisions.head, files)
    if not change.targets:
        first = f" ({len(change.skipped)} left out; the first: {change.skipped[0].reason})" if change.skipped else ""
        msg = (
            f"no changed method between {revisions.base[:12]} and {revisions.head[:12]}{first}:"
            f" pass another --base or --head, or --worktree for what is uncommitted"
        )
        raise NothingToTestError(msg)
    return Checkout(repository, replace(change, targets=_wanted(change, options.targets)), snapshot)


def open_named(options: ProposeOptions, asked: Asked) -> Checkout:
    """Code that a person named, as if it had just changed. The index of the project says where it is.

    Raises:
        UsageError: The name is not known, means several things, or means what no tests are made for.
        NothingToTestError: Nothing of it can be executed.
    """
    repository = Repository.open(options.repo)
    snapshot = repository.worktree_snapshot() if options.worktree else repository.snapshot(options.head)
    with Index.open(output_folder(results_folder(repository, options), keep=True) / SESSION) as index:
        index.update(snapshot)
        whole = functools.cache(functools.partial(_whole, repository, snapshot, worktree=options.worktree))
        definitions = Definitions(
            all=index.methods(),
            module=index.module_name,
            bases=lambda method: index.bases(method.path, method.qualname),
            left_out=lambda path: _left_out(path, whole(path)),
            unread={failure.path: failure.reason for failure in index.failures()},
            advice="" if options.worktree else "; --worktree finds what is not committed",
        )
        found = find_named(asked.name.removeprefix(f"{repository.root}/"), asked.kind, definitions)
        named = found.method
        change = as_if_changed(named, whole(named.path), index.methods(named.path))
        if not change.targets:
            raise NothingToTestError(_nothing(named, definitions.bases(named)))
    notes = [found.note] if found.note else []
    if not options.worktree and repository.is_uncommitted(named.path):
        notes.append(f"{named.path} has changes that are not committed and not tested: --worktree takes it as it is")
    return Checkout(repository, change, snapshot, named.id, tuple(notes))


def _wanted(change: Change, wanted: Sequence[str]) -> tuple[ChangedMethod, ...]:
    """The changed methods that were named, by themselves, by their class or by their file; all when none was."""
    found = tuple(target for target in change.targets if not wanted or any(_is_named(target, name) for name in wanted))
    unchanged = [name for name in wanted if not any(_is_named(target, name) for target in found)]
    if unchanged:
        known = ", ".join(target.id for target in change.targets[:_MOST_NAMED])
        msg = f"the change does not touch {', '.join(unchanged)}; among what it does touch: {known}"
        raise NothingToTestError(msg)
    return found


def _is_named(target: ChangedMethod, name: str) -> bool:
    return name in {target.path, target.id} or target.id.startswith(f"{name}.")


def _whole(repository: Repository, snapshot: Snapshot, path: str, *, worktree: bool) -> Change:
    """A file as if a change had added all of it."""
    files = repository.whole_files(snapshot, {path}, worktree=worktree)
    return changed_methods(snapshot.commit, snapshot.commit, files)


def _left_out(path: str, whole: Change) -> str:
    """Why no tests are made for what a file holds; empty where they are."""
    if is_test(path):
        return "it is test code"
    return next((skip.reason for skip in whole.skipped if not skip.qualname), "")


def _nothing(named: Method, bases: Sequence[Method]) -> str:
    inherited = f"; what it can do comes from {', '.join(base.id for base in bases[:_MOST_NAMED])}" if bases else ""
    return f"{named.id} holds nothing that a test could execute{inherited}"
