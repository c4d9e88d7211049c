"""A case as other generators get it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.bench.pulls.made import result

from llm_testgen.bench.pulls.arms import COVERUP
from llm_testgen.bench.pulls.peering import UNRECORDED, PeerResult, peer_case
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


FOUND = PeerResult(
    figures=result(COVERUP).figures,
    gained={},
    unrecorded=0,
    failed=0,
    rejected="",
    timed_out=False,
    said="",
    seconds=1.0,
)
SILENT = FOUND.figures.model_copy(update={"replies": 0})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unrecorded": 1}, UNRECORDED),
        ({"failed": 1}, "the model did not answer another generator; run this again"),
        ({"rejected": "no tools", "figures": SILENT}, "the model's server takes no prompt of CoverUp: no tools"),
        ({"timed_out": True}, "CoverUp did not come to its end in time"),
        ({"said": "it fell", "figures": SILENT}, "CoverUp asked nothing: it fell"),
        ({"figures": SILENT}, "CoverUp asked nothing"),
    ],
)
def test_what_a_generator_could_not_do_is_no_result_of_nothing(change, reason):
    assert replace(FOUND, **change).why_none("CoverUp", replayed=True) == reason


def test_what_is_asked_of_a_model_and_not_recorded_is_no_lack():
    assert not replace(FOUND, unrecorded=1).why_none("CoverUp", replayed=False)
    assert not replace(FOUND, said="it fell later").why_none("CoverUp", replayed=True)
