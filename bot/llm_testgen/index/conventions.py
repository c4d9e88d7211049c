"""What the name of a test file says about the module that it is for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

_EXACT, _FOLDER, _PREFIX, _NONE = 3, 2, 1, 0
_TEST_FOLDERS = frozenset({"test", "tests"})


def module_stem(path: str) -> str:
    """The name that test files of a module carry: its own, or its package's for an ``__init__.py``."""
    pure = PurePosixPath(path)
    stem = pure.parent.name if pure.stem == "__init__" else pure.stem
    return stem.strip("_")


def name_match(path: str, test_path: str, stems: Collection[str] = ()) -> int:
    """How well a test file's name fits a module: from 0, not at all, to 3, ``test_mod.py`` or ``test_pkg_mod.py``.

    Args:
        path: The module's file.
        test_path: The test file.
        stems: The `module_stem` of every module: ``test_mod_more.py`` is for ``mod_more``, where there is one.
    """
    stem, test = module_stem(path), _tested(PurePosixPath(test_path).stem)
    folders = [folder.strip("_") for folder in PurePosixPath(path).parts[:-1]]
    names = {"_".join([*folders[start:], stem]) for start in range(len(folders) + 1)}
    if not stem:
        return _NONE
    if test in names:
        return _EXACT
    if stem in {_tested(folder) for folder in PurePosixPath(test_path).parts[:-1]} - set(folders[:-1]):
        return _FOLDER if test not in stems else _NONE
    return _PREFIX if test.startswith(f"{stem}_") and test not in stems else _NONE


def mirrored(path: str, test_path: str) -> int:
    """How many of the folders around a module, from the innermost, a test file has around it too."""
    folders = list(reversed(PurePosixPath(path).parts[:-1]))
    others = [_tested(part) for part in reversed(PurePosixPath(test_path).parts[:-1]) if part not in _TEST_FOLDERS]
    count = 0
    for folder, other in zip(folders, others, strict=False):
        if folder.strip("_") != other:
            break
        count += 1
    return count


def _tested(stem: str) -> str:
    return stem.removeprefix("tests_").removeprefix("test_").removesuffix("_tests").removesuffix("_test").strip("_")
