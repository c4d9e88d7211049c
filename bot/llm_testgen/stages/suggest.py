"""Accepted verdicts → test files: where each test goes, and what the file looks like with it."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from llm_testgen.paths import is_inside, main_folder
from llm_testgen.records import LONGEST_CODE, LONGEST_FILE, Candidate, Placement, TestFile
from llm_testgen.source import FunctionNode, SourceError, definition_start, parse_tree
from llm_testgen.statements import Piece, pieces_of_module
from llm_testgen.testfiles import Layout, layout_of, render
from llm_testgen.toplevel import Meanings, acts_on_all, binding_statements, bound_by, is_docstring, read_at_import

# What keeps pytest from collecting a class, or may.
_NOT_COLLECTED = frozenset({"__init__", "__new__", "__test__"})


@dataclass(slots=True)
class _Draft:
    """A test file while tests are added to it.

    Attributes:
        path: Where it is.
        layout: The file at head.
        head: What names mean in it at head.
        meanings: What they mean with the tests that were added.
        size: Characters that it may come to have.
        acting: What acts on every test of the file and came with the tests.
        placements: The tests that were added.
        methods: Names of the methods that were added, by class.
    """

    path: str
    layout: Layout
    head: Meanings
    meanings: Meanings
    size: int
    acting: frozenset[str] = frozenset()
    placements: list[Placement] = field(default_factory=list)
    methods: dict[str, set[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in it yet."""
        return not self.layout.lines and not self.placements


@dataclass(frozen=True, slots=True)
class _Parts:
    """A candidate's code: what its test stands on, the test, what the names mean; and whether it goes into no class."""

    support: tuple[Piece, ...]
    test: Piece
    meanings: Meanings
    apart: bool


class _Fitted(NamedTuple):
    """A test as it stands in a file, and under which name."""

    name: str
    text: str
    into: str = ""


def choose_test_path(source_path: str, existing: Sequence[str], test_files: Sequence[str], folder: str | None) -> str:
    """The test file to which tests of a source file belong.

    Args:
        source_path: The source file.
        existing: Test files of that source file, the best first.
        test_files: All test files of the project.
        folder: Where new test files go when the project has none to show it.
    """
    if existing:
        return existing[0]
    pure = PurePosixPath(source_path)
    stem = pure.parent.name if pure.stem == "__init__" else pure.stem
    home = main_folder(test_files) if test_files else folder or "tests"
    suffixed = [path for path in test_files if path.endswith("_test.py")]
    name = f"{stem.strip('_')}_test.py" if 2 * len(suffixed) > len(test_files) else f"test_{stem.strip('_')}.py"
    return str(PurePosixPath(home) / name)


def place(
    candidates: Sequence[Candidate], files: Mapping[str, str], apart: Sequence[Candidate] = ()
) -> tuple[tuple[TestFile, ...], tuple[Placement, ...]]:
    """Put candidates into test files.

    A test goes to the end of its file, or of the class there that it is a method of; its imports go to the file's
    imports. Where a name that it needs means something else in that file, it goes to a new file beside it.

    Args:
        candidates: What to place, in order.
        files: Text of the test files that exist at head, by path; empty for one that must be left alone.
        apart: Those of the candidates that must not be put into a class that is there.

    Returns:
        The files as they were and as they will be, and where each candidate went; what fits nowhere is left out.
    """
    drafts: dict[str, _Draft] = {}
    placed: list[Placement] = []
    for candidate in candidates:
        parts = _parts(candidate, apart=any(candidate is other for other in apart))
        if parts is None:
            continue
        for path in _homes(candidate.reply.prompt.context.test_path):
            draft = drafts.get(path) or _open(path, files.get(path))
            if draft is None:
                continue
            hopeless = draft.is_empty
            placement = _add(draft, candidate, parts)
            if placement is not None:
                drafts[path] = draft
                placed.append(placement)
            if placement is not None or hopeless:
                # What does not fit into an empty file fits nowhere.
                break
    before = {draft.path: draft.layout.text for draft in drafts.values()}
    written = (TestFile(path, text, render(text, drafts[path].placements)) for path, text in before.items())
    return tuple(written), tuple(placed)


def _homes(path: str) -> Iterator[str]:
    """The file itself, then as many new ones beside it as it takes."""
    pure = PurePosixPath(path)
    yield path
    yield str(pure.with_name(f"{pure.stem}_generated.py"))
    yield from (str(pure.with_name(f"{pure.stem}_generated_{number}.py")) for number in itertools.count(2))


def _open(path: str, text: str | None) -> _Draft | None:
    """A draft of a new file, or of one with a text; None when that file cannot be extended."""
    if text is None:
        text = ""
    elif not text or len(text) > LONGEST_FILE:
        return None
    try:
        layout = layout_of(text)
        head = Meanings.of(layout.body, "\n".join(layout.lines))
    except SourceError:
        return None
    return _Draft(path, layout, head, head.copy(), len(text))


def _parts(candidate: Candidate, *, apart: bool) -> _Parts | None:
    """A candidate taken apart; None where that cannot be done line by line, or its file's name cannot be told."""
    path = candidate.reply.prompt.context.test_path
    if "\r" in candidate.code or len(candidate.code) > LONGEST_CODE or not is_inside(path):
        return None
    *support, test = pieces_of_module(candidate.code)
    return _Parts(tuple(support), test, Meanings.of((piece.node for piece in support), candidate.code), apart)


def _add(draft: _Draft, candidate: Candidate, parts: _Parts) -> Placement | None:
    """Add a candidate to a draft; None when names mean something else there, or when other tests would be changed."""
    missing = [(piece, node) for piece in parts.support if (node := draft.head.lacking(piece.node))]
    acting = frozenset(ast.dump(node) for _, node in missing if acts_on_all(node))
    size = draft.size + 2 * len(candidate.code)
    if (
        size > LONGEST_FILE
        or candidate.name.partition("::")[0] in parts.meanings.known
        or draft.meanings.contradicts(parts.meanings)
        or (acting != draft.acting and not draft.is_empty)
        or (draft.layout.lines and any(_is_future(node) for _, node in missing))
    ):
        return None
    helpers = [piece for piece, node in missing if not isinstance(node, ast.Import | ast.ImportFrom)]
    fitted = None if parts.apart else _as_method(draft, candidate, parts.test, helpers)
    fitted = fitted or _as_definition(draft, candidate, parts.test)
    placement = Placement(
        candidate=candidate,
        path=draft.path,
        name=fitted.name,
        imports=tuple(dict.fromkeys(statement for _, node in missing for statement in _single_imports(node))),
        pieces=(*(piece.text for piece in helpers), fitted.text),
        into=fitted.into,
    )
    draft.placements.append(placement)
    draft.acting, draft.size = acting, size
    for name, meanings in parts.meanings.known.items():
        draft.meanings.known.setdefault(name, meanings)
    if fitted.into:
        draft.methods.setdefault(fitted.into, set()).add(fitted.name.partition("::")[2])
    else:
        draft.meanings.add(parse_tree(fitted.text).body[0])
    return placement


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _single_imports(node: ast.stmt) -> Iterator[str]:
    """One statement for each name that an import binds."""
    if isinstance(node, ast.Import):
        yield from (ast.unparse(ast.Import([alias])) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (ast.unparse(ast.ImportFrom(node.module, [alias], node.level)) for alias in node.names)


def _as_definition(draft: _Draft, candidate: Candidate, test: Piece) -> _Fitted:
    """The test at the top level, under a name that is free."""
    own = candidate.name.partition("::")[0]
    free = _free_name(own, draft.meanings.known)
    return _Fitted(candidate.name.replace(own, free, 1), _renamed(test.text, test.node, own, free))


def _as_method(draft: _Draft, candidate: Candidate, test: Piece, helpers: Sequence[Piece]) -> _Fitted | None:
    """The test as a method of the class of the same name that the file has; None where it might not mean the same."""
    own, _, name = candidate.name.partition("::")
    method = _only_method(test.node)
    home = _home_class(draft.layout, own)
    if not name or method is None or home is None or not _same_header(test.node, home):
        return None
    found = draft.layout.class_gap(home)
    taken = frozenset[str]().union(*map(bound_by, home.body))
    needed = read_at_import(method)
    late = [node for node in binding_statements(draft.layout.body, needed) if node.lineno >= home.lineno]
    own_helpers = frozenset[str]().union(*(bound_by(piece.node) for piece in helpers))
    if found is None or late or needed & (taken | own_helpers) or taken & _NOT_COLLECTED:
        return None
    free = _free_name(name, taken | draft.methods.get(own, set()))
    text = _method_text(test, method, free, found[1])
    return _Fitted(f"{own}::{free}", text, own) if text else None


def _only_method(node: ast.stmt) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The one method that a class has, beside its docstring; None where it has anything else."""
    body = [child for child in node.body if not is_docstring(child)] if isinstance(node, ast.ClassDef) else []
    return body[0] if len(body) == 1 and isinstance(body[0], FunctionNode) else None


def _home_class(layout: Layout, name: str) -> ast.ClassDef | None:
    """The class that a name always means in a file."""
    binding = [node for node in layout.body if name in bound_by(node)]
    return binding[0] if len(binding) == 1 and isinstance(binding[0], ast.ClassDef) else None


def _same_header(one: ast.stmt, other: ast.ClassDef) -> bool:
    """Whether two classes have the same bases, keywords and decorators."""

    def header(node: ast.ClassDef) -> list[str]:
        return [ast.dump(part) for part in (*node.bases, *node.keywords, *node.decorator_list)]

    return isinstance(one, ast.ClassDef) and header(one) == header(other)


def _method_text(test: Piece, method: ast.FunctionDef | ast.AsyncFunctionDef, name: str, indent: str) -> str | None:
    """A method's lines under another name and with another indentation; None where that would change what it does."""
    lines = test.text.split("\n")
    start = definition_start(method)
    renamed = _renamed(test.text, method, method.name, name).split("\n")[start - 1 : method.end_lineno]
    unit = lines[start - 1][: len(lines[start - 1]) - len(lines[start - 1].lstrip())]
    text = "\n".join(_reindented(renamed, unit, indent))
    expected = ast.dump(method).replace(f"name={method.name!r}", f"name={name!r}", 1)
    try:
        (made,) = parse_tree(f"class _:\n{text}\n").body
    except SourceError:
        return None
    return text if isinstance(made, ast.ClassDef) and [ast.dump(node) for node in made.body] == [expected] else None


def _reindented(lines: Iterable[str], old: str, new: str) -> Iterator[str]:
    """Lines whose indentation is a multiple of one thing, with the same multiple of another."""
    for line in lines:
        depth = 0
        while old and line.startswith(old, depth * len(old)):
            depth += 1
        yield new * depth + line[depth * len(old) :] if line.strip() else line


def _free_name(name: str, taken: Iterable[str]) -> str:
    known = frozenset(taken)
    if name not in known:
        return name
    number = 2
    while f"{name}_{number}" in known:
        number += 1
    return f"{name}_{number}"


def _renamed(text: str, node: ast.stmt, old: str, new: str) -> str:
    """A text with another name in the header of one of its definitions."""
    lines = text.split("\n")
    header = re.compile(rf"((?:def|class)\s+){re.escape(old)}\b")
    lines[node.lineno - 1] = header.sub(rf"\g<1>{new}", lines[node.lineno - 1], count=1)
    return "\n".join(lines)
