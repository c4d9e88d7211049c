"""A case as other generators get it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from llm_testgen.bench.pulls.peering import peer_case
from llm_testgen.records import ChangedMethod, ChangeStatus, Method, MethodKind, Snapshot, TreeFile

TREE = Snapshot("0" * 40, tuple(TreeFile(path, path) for path in ("pkg/a.py", "tests/test_a.py")), lambda _: b"")


def target(path):
    method = Method(path, "f", MethodKind.FUNCTION, 1, 2, "def f()", "", "def f():\n    pass")
    return ChangedMethod((method,), frozenset({2}), ChangeStatus.MODIFIED)


def ground(*targets, concession=()):
    test_files = {"pkg/a.py": "tests/test_a.py", "pkg/b.py": "tests/test_b.py"}
    return SimpleNamespace(
        targets=targets,
        project=SimpleNamespace(snapshot=TREE, test_folder="tests", source_roots=("",)),
        knowledge=SimpleNamespace(surroundings=lambda wanted: SimpleNamespace(test_path=test_files[wanted.path])),
        runner=SimpleNamespace(concession=concession),
    )


def test_only_test_files_that_are_there_are_named():
    targets = (target("pkg/a.py"), target("pkg/b.py"))
    case = peer_case("one", ground(*targets), SimpleNamespace(path=Path("python")))
    assert (case.name, case.targets, case.test_folder, case.python) == ("one", targets, "tests", Path("python"))
    assert case.test_files == {"pkg/a.py": "tests/test_a.py"}


def test_pytest_does_without_what_our_own_runs_do_without():
    interpreter = SimpleNamespace(path=Path("python"))
    assert peer_case("one", ground(), interpreter).pytest_arguments == ("-o", "filterwarnings=")
    reduced = ground(concession=("--noconftest",))
    assert peer_case("one", reduced, interpreter).pytest_arguments == ("-o", "filterwarnings=", "--noconftest")
