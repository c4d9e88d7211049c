"""A suite that is run once for all."""

import asyncio
from dataclasses import dataclass, field

import pytest

from llm_testgen.bench.case_suite import KnownSuite
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import Failure, FileCoverage, SuiteRun
from llm_testgen.runner.base import Preparation

FAILURES = tuple(Failure(kind, "no", 3, "call", ("a.py:1 in f",)) for kind in ("KeyError", "OSError"))
COVERAGE = {"a.py": FileCoverage(frozenset({1, 2}), frozenset({1}))}
WHOLE = SuiteRun(1, 2, 3, COVERAGE, "", 4.5, FAILURES, frozenset({"a"}), frozenset({"b"}))


@dataclass
class Scripted:
    run: SuiteRun = WHOLE
    concession: str = ""
    asked: list = field(default_factory=list)

    async def prepare(self):
        return Preparation({}, self.concession)

    async def run_suite(self, files=None):
        self.asked.append(files)
        return self.run


def run(suite, kept, *, key="key", files=None):
    async def act():
        known = KnownSuite(suite, "tiny-1.0", kept, key)
        await known.prepare()
        return await known.run_suite(files)

    return asyncio.run(act())


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "suite.json"


def test_a_suite_is_run_once_and_told_with_its_first_failure(kept):
    suite = Scripted()
    first, again = run(suite, kept), run(suite, kept)
    assert first == again == SuiteRun(1, 2, 3, COVERAGE, "", 4.5, FAILURES[:1])
    assert suite.asked == [None]


@pytest.mark.parametrize("change", ["key", "concession", "broken"])
def test_what_was_run_otherwise_does_not_count(kept, change):
    suite = Scripted()
    run(suite, kept)
    if change == "broken":
        kept.write_text(kept.read_text()[:30])
    suite.concession = "conftest.py" if change == "concession" else ""
    run(suite, kept, key="other" if change == "key" else "key")
    assert len(suite.asked) == 2


def test_other_files_than_those_at_head_are_run_each_time(kept):
    suite = Scripted()
    for _ in range(2):
        assert run(suite, kept, files={"tests/test_a.py": ""}) == WHOLE
    assert len(suite.asked) == 2
    assert not kept.exists()


def test_a_suite_that_was_cut_short_is_no_measure(kept):
    suite = Scripted(SuiteRun(1, 0, 0, {}, "did not end within 900 s", timed_out=True))
    with pytest.raises(ProjectError, match=r"tests of tiny-1\.0 are no measure: did not end .* less busy"):
        run(suite, kept)
    suite.run = WHOLE
    assert run(suite, kept).passed == 1


def test_only_time_is_a_matter_of_the_machine(kept):
    with pytest.raises(ProjectError, match=r"are no measure: pytest found no tests$"):
        run(Scripted(SuiteRun(0, 0, 0, {}, "pytest found no tests")), kept)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UsageError, match="pass another --work"):
        run(Scripted(), tmp_path / "none" / "suite.json")
