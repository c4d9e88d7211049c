"""Which inline suggestions are left once the files were run as they would be, with a runner that knows the tests by name."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from tests.placing import PATH, candidate_of

from llm_testgen import inline
from llm_testgen.inline import suggest_inline
from llm_testgen.records import Hunk, Inline, Placement, SuiteRun
from llm_testgen.stages.suggest import place

TEXT = "import os\n\n\ndef test_old():\n    assert os\n\n\ndef test_last():\n    assert os\n"
OTHER = "tests/test_other.py"
SHOWN = {PATH: (Hunk(1, 9),), OTHER: (Hunk(1, 9),)}


class Runner:
    """Passes every test that a text defines, but for those that fail, or that fail where others stand."""

    def __init__(self, *failing: str, together: tuple[str, ...] = (), seconds: float = 0.0) -> None:
        self.failing = failing
        self.together = together
        self.seconds = seconds
        self.ran: list[dict[str, list[str]]] = []

    async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
        found = {path: re.findall(r"def (test_\w+)", text) for path, text in files.items()}
        self.ran.append(found)
        await asyncio.sleep(self.seconds)
        new = [name for names in found.values() for name in names if name not in {"test_old", "test_last"}]
        failing = {*self.failing, *(self.together if len(new) > 1 else ())}
        if "breaks" in self.failing and any("breaks" in name for name in new):
            failing.add("test_old")
        tests = {f"{path}::{name}" for path, names in found.items() for name in names}
        failed = frozenset(test for test in tests if test.partition("::")[2] in failing)
        return SuiteRun(1, 0, 0, {}, passed_tests=frozenset(tests) - failed, failed_tests=failed)


def placements(*names: str, path: str = PATH, text: str = TEXT) -> tuple[Placement, ...]:
    own = [candidate_of(f"def {name}():\n    assert True\n", name, path) for name in names]
    return place(own, {path: text} if text else {})[1]


def suggest(runner: Runner, placed: tuple[Placement, ...], hunks=SHOWN, deadline: float | None = None) -> list[str]:
    """Names of the tests that are suggested inline."""
    return [one.name for made in inlines(runner, placed, hunks, deadline) for one in made.placements]


def inlines(
    runner: Runner, placed: tuple[Placement, ...], hunks=SHOWN, deadline: float | None = None
) -> tuple[Inline, ...]:
    texts = {PATH: TEXT, OTHER: TEXT}
    tools = SimpleNamespace(knowledge=SimpleNamespace(test_files=lambda: texts), runner=runner)
    passed = {f"{path}::{name}" for path in texts for name in ("test_old", "test_last")}
    passed |= {f"{one.path}::{one.name}" for one in placed}
    confirmed = SuiteRun(1, 0, 0, {}, passed_tests=frozenset(passed))
    return asyncio.run(suggest_inline(placed, confirmed, hunks, tools, deadline))


def test_they_are_run_together_and_then_each_alone():
    runner = Runner()
    made = inlines(runner, (*placements("test_a", "test_b"), *placements("test_c", path=OTHER)))
    assert [one.name for inline in made for one in inline.placements] == ["test_b", "test_a", "test_c"]
    together, *alone = runner.ran
    assert together == {
        PATH: ["test_old", "test_b", "test_last", "test_a"],
        OTHER: ["test_old", "test_last", "test_c"],
    }
    assert alone == [
        {PATH: ["test_old", "test_b", "test_last"]},
        {PATH: ["test_old", "test_last", "test_a"]},
        {OTHER: ["test_old", "test_last", "test_c"]},
    ]


def test_a_single_one_is_run_once():
    runner = Runner()
    assert suggest(runner, placements("test_a")) == ["test_a"]
    assert len(runner.ran) == 1


def test_those_that_fail_are_dropped_and_the_others_run_again():
    runner = Runner("test_a")
    assert suggest(runner, placements("test_a", "test_b")) == ["test_b"]
    assert [len(ran[PATH]) for ran in runner.ran] == [4, 3]


def test_one_that_fails_alone_is_dropped():
    class Lonely(Runner):
        async def run_files(self, files: Mapping[str, str]) -> SuiteRun:
            self.failing = ("test_a",) if sum(text.count("def test_") for text in files.values()) == 3 else ()
            return await super().run_files(files)

    assert suggest(Lonely(), placements("test_a", "test_b")) == ["test_b"]


def test_one_with_which_another_test_of_its_file_fails_is_dropped():
    placed = (*placements("test_breaks"), *placements("test_c", path=OTHER))
    assert suggest(Runner("breaks"), placed) == []
    assert suggest(Runner("breaks"), placements("test_breaks")) == []
    assert suggest(Runner("breaks"), placements("test_c")) == ["test_c"]


def test_none_is_left_where_none_passes_together():
    assert suggest(Runner("test_a", "test_b"), placements("test_a", "test_b")) == []
    assert suggest(Runner(together=("test_a", "test_b")), placements("test_a", "test_b")) == []


@pytest.mark.parametrize("hunks", [{}, {"tests/test_third.py": (Hunk(1, 9),)}, {PATH: ()}, {PATH: (Hunk(90, 99),)}])
def test_where_the_diff_has_no_place_nothing_is_run(hunks):
    runner = Runner()
    assert suggest(runner, placements("test_a"), hunks) == []
    assert runner.ran == []


def test_a_file_that_is_new_costs_no_run():
    runner = Runner()
    assert (
        suggest(runner, placements("test_a", path="tests/test_new.py", text=""), {"tests/test_new.py": (Hunk(1, 2),)})
        == []
    )
    assert runner.ran == []


def test_what_was_not_run_together_in_time_is_dropped(monkeypatch):
    monkeypatch.setattr(inline, "_SECONDS", 0.05)
    assert suggest(Runner(seconds=5), placements("test_a", "test_b")) == []


def test_what_was_run_together_is_kept_though_the_time_is_over(monkeypatch):
    monkeypatch.setattr(inline, "_SECONDS", 0.3)
    runner = Runner(seconds=0.2)
    assert suggest(runner, placements("test_a", "test_b")) == ["test_b", "test_a"]
    assert len(runner.ran) == 2


def test_after_the_deadline_there_are_none():
    runner = Runner(seconds=0.01)
    assert suggest(runner, placements("test_a"), deadline=time.monotonic() - 1) == []
    assert suggest(runner, placements("test_a"), deadline=time.monotonic() + 60) == ["test_a"]
