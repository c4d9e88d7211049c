"""The folders from which a project's modules are imported, found from its layout and its pyproject.toml."""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from llm_testgen.paths import is_python, is_test, is_tooling

_SOURCE_FOLDERS = frozenset({"", "src", "lib", "python"})
_INIT = "__init__.py"


def source_roots(paths: Iterable[str], imported: Iterable[str], pyproject: str = "") -> tuple[str, ...]:
    """Folders to put on ``sys.path``, ``""`` for the repository's root, the one with most product files first.

    Args:
        paths: Every file of the tree.
        imported: Every dotted module that an absolute import of the project names, repetitions included.
        pyproject: Text of the pyproject.toml at the repository's root; what it cannot say is taken from the layout.
    """
    known = frozenset(paths)
    hints = _hints(pyproject)
    uses = Counter(prefix for module in imported for prefix in _prefixes(module))
    product = [path for path in known if is_python(path) and not is_test(path) and not is_tooling(path)]
    counts = Counter(_root(path, known, hints, uses) for path in product)
    python_folders = {folder for path in known if is_python(path) for folder in _parents(path)}
    for hint in hints & python_folders:
        counts.setdefault(hint, 0)
    return tuple(sorted(counts, key=lambda root: (-counts[root], root))) or ("",)


def package_base(path: str, known: frozenset[str]) -> str:
    """The folder from which a file is imported by the ``__init__.py`` files around it."""
    folder = _parent(path)
    while folder and f"{folder}/{_INIT}" in known:
        folder = _parent(folder)
    return folder


def dotted(path: str, root: str) -> str:
    """A file's dotted module name below a root that contains it."""
    relative = path.removeprefix(f"{root}/") if root else path
    parts = relative.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def contains(root: str, path: str) -> bool:
    """Whether a file lies below a root."""
    return not root or path.startswith(f"{root}/")


def _root(path: str, known: frozenset[str], hints: frozenset[str], uses: Counter[str]) -> str:
    """The root of one product file: above its packages, and above a namespace by which it is imported."""
    base = package_base(path, known)
    if base in hints or not base:
        return base
    top = f"{base}/{path.removeprefix(f'{base}/').partition('/')[0]}"
    root = base
    while root and root not in hints and uses[dotted(top, _parent(root))] > uses[dotted(top, root)]:
        root = _parent(root)
    in_package = f"{_parent(path)}/{_INIT}" in known
    if root != base or in_package or base in _SOURCE_FOLDERS or uses[dotted(top, base)]:
        return root
    return max((hint for hint in hints if contains(hint, path)), key=len, default="")


def _prefixes(module: str) -> Iterator[str]:
    parts = module.split(".")
    own = parts[0] not in sys.stdlib_module_names
    return (".".join(parts[: length + 1]) for length in range(len(parts)) if own)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(path: str) -> Iterator[str]:
    while path:
        path = _parent(path)
        yield path


def _hints(pyproject: str) -> frozenset[str]:
    """Folders that the build backend or pytest puts on the path."""
    try:
        tool = _Toml(tomllib.loads(pyproject)).table("tool")
    except tomllib.TOMLDecodeError:
        return frozenset()
    setuptools = tool.table("setuptools")
    wheel = tool.table("hatch").table("build").table("targets").table("wheel")
    folders = [
        *setuptools.table("packages").table("find").strings("where"),
        *_renamed(setuptools.table("package-dir").items()),
        *map(_parent, map(_clean, wheel.strings("packages"))),
        *(_clean(source) for source in wheel.strings("sources")),
        *(source for source, prefix in wheel.table("sources").items() if not prefix),
        *(package.string("from") for package in tool.table("poetry").tables("packages") if package.string("include")),
        *tool.table("pytest").table("ini_options").strings("pythonpath"),
    ]
    return frozenset(_clean(folder) for folder in folders)


def _renamed(folders: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of ``package-dir``, the roots: a package that lies in a folder of its own name has its parent as root."""
    for package, folder in folders:
        if not package:
            yield folder
        elif PurePosixPath(folder).name == package.rpartition(".")[2]:
            yield "/".join(PurePosixPath(folder).parts[: -package.count(".") - 1])


def _clean(folder: str) -> str:
    text = PurePosixPath(folder).as_posix()
    return "" if text == "." else text


class _Toml:
    """A table of a TOML document that answers empty where something else stands than what was expected."""

    def __init__(self, value: object) -> None:
        self._table: dict[str, object] = value if isinstance(value, dict) else {}

    def table(self, key: str) -> _Toml:
        return _Toml(self._table.get(key))

    def tables(self, key: str) -> list[_Toml]:
        value = self._table.get(key)
        return [_Toml(item) for item in value] if isinstance(value, list) else []

    def string(self, key: str) -> str:
        value = self._table.get(key)
        return value if isinstance(value, str) else ""

    def strings(self, key: str) -> list[str]:
        value = self._table.get(key)
        values = value if isinstance(value, list) else [value]
        return [item for item in values if isinstance(item, str)]

    def items(self) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self._table.items() if isinstance(value, str)]
