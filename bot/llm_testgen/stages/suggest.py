"""Accepted verdicts → test files: where each test goes, and what the file looks like with it."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from llm_testgen.paths import main_folder
from llm_testgen.records import Candidate, TestFile
from llm_testgen.source import FunctionNode, SourceError, parse_tree
from llm_testgen.statements import Piece, grouped_imports, pieces_of_module


@dataclass(frozen=True, slots=True)
class Placed:
    """A candidate in the file that it was put into.

    Attributes:
        candidate: What was placed.
        path: The file.
        name: Its name there, ``Class::name`` in a class; another one than the candidate's where that was taken.
    """

    candidate: Candidate
    path: str
    name: str


@dataclass(slots=True)
class _Draft:
    """A test file while tests are added to it."""

    path: str
    before: str
    names: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)


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


def place(candidates: Sequence[Candidate], files: Mapping[str, str]) -> tuple[tuple[TestFile, ...], tuple[Placed, ...]]:
    """Put candidates into test files.

    A test goes to the end of its file, its imports to the file's imports. Where a name that it needs means
    something else in that file, it goes to a new file beside it.

    Args:
        candidates: What to place, in order.
        files: Text of the test files that exist at head, by path; empty for one that must be left alone.

    Returns:
        The files as they were and as they will be, and where each candidate went.
    """
    drafts: dict[str, _Draft] = {}
    placed: list[Placed] = []
    for candidate in candidates:
        for path in _homes(candidate.reply.prompt.context.test_path):
            draft = drafts.get(path) or _open(path, files.get(path))
            if draft is None:
                continue
            name = _add(draft, candidate)
            if name is not None:
                drafts[path] = draft
                placed.append(Placed(candidate, path, name))
            if name is not None or not draft.names:
                # What does not fit into an empty file fits nowhere.
                break
    written = (TestFile(draft.path, draft.before, _render(draft)) for draft in drafts.values())
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
        return _Draft(path, "")
    if not text or 0 < text.count("\r\n") < text.count("\n"):
        return None
    try:
        tree = parse_tree(text.replace("\r\n", "\n"))
    except SourceError:
        return None
    draft = _Draft(path, text)
    for node in tree.body:
        for name, meaning in _bindings(node).items():
            draft.names[name] = meaning
    return draft


def _bindings(node: ast.stmt) -> dict[str, str]:
    """Names that a top-level statement binds, and what each then means."""
    if isinstance(node, ast.Import):
        # Without an alias `import a.b` binds `a`, as `import a.c` does: they go together.
        plain = {alias.name.partition(".")[0] for alias in node.names if not alias.asname}
        aliased = {alias.asname: f"import {alias.name}" for alias in node.names if alias.asname}
        return {name: f"import {name}" for name in plain} | aliased
    if isinstance(node, ast.ImportFrom):
        return {
            alias.asname or alias.name: ast.unparse(ast.ImportFrom(node.module, [alias], node.level))
            for alias in node.names
        }
    if isinstance(node, FunctionNode | ast.ClassDef):
        return {node.name: ast.dump(node)}
    stored = [child for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)]
    return {name.id: ast.dump(node) for name in stored}


def _add(draft: _Draft, candidate: Candidate) -> str | None:
    """Add a candidate to a draft; its name there, or None when a name that it binds means something else."""
    *support, test = pieces_of_module(candidate.code)
    bound = {name: meaning for piece in support for name, meaning in _bindings(piece.node).items()}
    if any(draft.names.get(name, meaning) != meaning for name, meaning in bound.items()):
        return None
    own = candidate.name.partition("::")[0]
    if own in bound:
        return None
    free = _free_name(own, draft.names)
    for piece in support:
        new = {name: meaning for name, meaning in _bindings(piece.node).items() if name not in draft.names}
        if isinstance(piece.node, ast.Import | ast.ImportFrom):
            if new or _is_dotted(piece.node):
                draft.imports.append(piece.text)
        elif new:
            draft.bodies.append(piece.text)
        draft.names.update(new)
    draft.names[free] = ast.dump(test.node)
    draft.bodies.append(_renamed(test, own, free))
    return candidate.name.replace(own, free, 1)


def _is_dotted(node: ast.stmt) -> bool:
    """``import a.b`` does something even where ``a`` is bound already."""
    return isinstance(node, ast.Import) and any("." in alias.name and not alias.asname for alias in node.names)


def _free_name(name: str, taken: Mapping[str, str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _renamed(test: Piece, old: str, new: str) -> str:
    if old == new:
        return test.text
    header = re.compile(rf"^((?:async\s+)?(?:def|class)\s+){re.escape(old)}\b", re.MULTILINE)
    return header.sub(rf"\g<1>{new}", test.text, count=1)


def _render(draft: _Draft) -> str:
    newline = "\r\n" if "\r\n" in draft.before else "\n"
    text = _with_imports(draft.before.replace("\r\n", "\n"), draft.imports)
    head, tail = _before_main(text)
    bodies = "\n\n\n".join(draft.bodies)
    parts = [part for part in (head.rstrip("\n"), bodies, tail.strip("\n")) if part]
    return ("\n\n\n".join(parts) + "\n").replace("\n", newline)


def _before_main(text: str) -> tuple[str, str]:
    """A file's text up to a last ``if __name__ == "__main__":``, and from there on."""
    body = parse_tree(text).body
    if body and isinstance(body[-1], ast.If) and "__name__" in ast.unparse(body[-1].test):
        lines = text.split("\n")
        return "\n".join(lines[: body[-1].lineno - 1]), "\n".join(lines[body[-1].lineno - 1 :])
    return text, ""


def _with_imports(text: str, imports: Sequence[str]) -> str:
    """A file with more imports: after those that it begins with, else after its docstring, else at its top."""
    at, after_imports = _import_position(text)
    lines = text.split("\n")
    imports = [statement for statement in dict.fromkeys(imports) if statement not in lines]
    if not imports:
        return text
    below_docstring = [""] if at else []
    added = imports if after_imports else [*below_docstring, *grouped_imports(imports), "", ""]
    return "\n".join([*lines[:at], *added, *lines[at:]])


def _import_position(text: str) -> tuple[int, bool]:
    """How many lines stand before the place for more imports, and whether imports stand right before it."""
    at, after_imports = 0, False
    for number, node in enumerate(parse_tree(text).body):
        is_docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if isinstance(node, FunctionNode | ast.ClassDef):
            break
        if is_docstring or is_import:
            at, after_imports = node.end_lineno or node.lineno, is_import
    return at, after_imports
