"""The ways of indexing, run on a small project."""

import asyncio
import os
import shutil
import sys

import pytest
from click.testing import CliRunner

from llm_testgen.bench.cli import bench
from llm_testgen.bench.indexing.children import GUESTS, Children
from llm_testgen.bench.indexing.libraries import MeasuredLibrary, choose_libraries, manifest, product_files
from llm_testgen.bench.indexing.report import COLD, FLOOR, OURS, STORED
from llm_testgen.bench.indexing.resolution import Tools, look_at
from llm_testgen.bench.indexing.speed import Peers, Subject, measure_speed
from llm_testgen.errors import ProjectError, UsageError

FILES = {
    "lib/__init__.py": "",
    "lib/core.py": "class A:\n    def f(self):\n        return self.g() + len(self)\n\n    def g(self):\n        return 1\n"
    "\n    def __len__(self):\n        return 2\n\n\ndef unused():\n    return A().f()\n",
    "lib/broken.py": "def (:\n",
    "tests/test_core.py": "from lib.core import A\n\n\ndef test_f():\n    assert A().f() == 3\n",
}


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "project"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_every_way_is_measured_and_a_missing_one_says_why(tree, tmp_path):
    subject = Subject.read("tiny 1", tree)
    assert sorted(subject.files) == sorted(FILES)
    peers = Peers(jedi=None, ctags=None, reasons={"jedi": "no jedi", "ctags": "no ctags"}, jedi_seconds=1.0)
    children = Children(tmp_path, os.environ)
    report = asyncio.run(measure_speed(subject, peers, children, 2, lambda _: None))
    rows = {row.key: row for row in report.rows}
    assert {key: len(row.rounds) for key, row in rows.items()} == {
        **dict.fromkeys((FLOOR, COLD, "warm", "warm-new", "unchanged", OURS), 2),
        "ctags": 0,
        "jedi": 0,
    }
    assert rows["jedi"].note == "no jedi"
    assert rows[COLD].definitions == 6
    assert rows["warm-new"].definitions == rows["warm"].definitions + 1 == rows["unchanged"].definitions + 1
    assert rows["warm"].note == "changed: lib/core.py"
    assert rows[COLD].database > 0
    assert report.ratio(rows[COLD], FLOOR) > 0
    assert report.ratio(rows["jedi"], FLOOR) is None


@pytest.mark.skipif(shutil.which("ctags") is None, reason="it is not installed")
def test_ctags_lists_the_same_definitions(tree, tmp_path):
    peers = Peers(jedi=None, ctags=shutil.which("ctags"), reasons={}, jedi_seconds=1.0)
    report = asyncio.run(
        measure_speed(Subject.read("tiny 1", tree), peers, Children(tmp_path, os.environ), 1, lambda _: None)
    )
    (row,) = [row for row in report.rows if row.key == "ctags"]
    assert row.definitions == 6
    assert row.rounds[0].cpu >= 0


def test_a_peer_that_fails_has_its_reason_and_the_rest_goes_on(tree, tmp_path):
    peers = Peers(jedi=sys.executable, ctags=None, reasons={}, jedi_seconds=1.0)
    report = asyncio.run(
        measure_speed(Subject.read("tiny 1", tree), peers, Children(tmp_path, os.environ), 1, lambda _: None)
    )
    (row,) = [row for row in report.rows if row.key == "jedi"]
    assert row.rounds == ()
    assert "No module named 'jedi'" in row.note


def test_a_project_without_functions_cannot_be_changed(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    peers = Peers(jedi=None, ctags=None, reasons={}, jedi_seconds=1.0)
    with pytest.raises(ProjectError, match="has no file that could be changed"):
        asyncio.run(measure_speed(Subject.read("empty", tmp_path), peers, Children(tmp_path, {}), 1, lambda _: None))


def test_a_child_that_fails_is_an_error_with_its_last_words(tmp_path):
    (tmp_path / "fails.py").write_text("raise RuntimeError('not here')\n")
    command = [sys.executable, str(tmp_path / "fails.py")]
    with pytest.raises(ProjectError, match=r"fails.py has failed \(RuntimeError: not here\)"):
        asyncio.run(Children(tmp_path, {}).ask(command, {}))


def test_the_peak_is_that_of_the_command_alone(tmp_path):
    held = bytearray(60 << 20)
    small = asyncio.run(Children(tmp_path, {}).run([sys.executable, "-I", "-S", "-c", "pass"]))
    large = asyncio.run(Children(tmp_path, {}).run([sys.executable, "-I", "-S", "-c", "bytearray(100 << 20)"]))
    assert len(held) > small.peak > 1 << 20
    assert large.peak > small.peak + (90 << 20)
    assert large.cpu > 0


def test_a_librarys_own_suite_says_which_edges_are_true(tree):
    library = MeasuredLibrary.model_validate(
        {"release": {"name": "tiny", "version": "1", "sha256": "0" * 64}, "folder": "lib"}
    )
    tools = Tools(sys.executable, jedi=None, pyan=sys.executable, reasons={"jedi": "no jedi"}, jedi_seconds=1.0)
    report = asyncio.run(look_at(library, tree, tools, os.environ, lambda _: None))
    assert "1 passed" in report.suite
    found = {tool.key: tool for tool in report.tools}
    # A.f calls A.g and, unseen, A.__len__; what unused calls was never run.
    assert (found[OURS].found, found[OURS].observed, found[OURS].right, found[OURS].judged) == (2, 2, 2, 2)
    assert (found[STORED].found, found[STORED].edges) == (1, 2)
    assert found["jedi"].note == "no jedi"
    assert "guest_pyan.py has failed" in found["pyan"].note
    assert (tree / "lib/core.py").read_text() == FILES["lib/core.py"]


def test_the_guests_need_nothing_of_this_package():
    for path in GUESTS.glob("guest_*.py"):
        assert "llm_testgen" not in path.read_text()


def test_everything_is_pinned_and_only_known_libraries_can_be_chosen():
    large, libraries = manifest()
    assert large.name == "django"
    assert choose_libraries(()) == libraries
    assert [library.name for library in choose_libraries(["click", "boltons", "click"])] == ["click", "boltons"]
    with pytest.raises(UsageError, match="there is no library flask to look at: choose among boltons"):
        choose_libraries(["flask"])


def test_tests_and_tools_are_no_product():
    assert product_files(["a.py", "tests/a.py", "test_a.py", "setup.py", "docs/conf.py"]) == ("a.py",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--library", "flask"], "there is no library flask to look at"),
        (["--json", "nowhere/bench.json"], "nowhere/bench.json cannot be written: pass --json a file"),
        (["--markdown", "."], ". cannot be written: pass --markdown a file"),
        (["--python", "no-such-python"], "no Python interpreter at no-such-python"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path / "cache"))
    result = CliRunner().invoke(bench, ["index", *arguments])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "cache").exists()
