"""Many candidates in a row, a tenth of them hostile: all are judged, and nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.runner.scene import processes
from tests.runner.test_attacks import ENVIRON, SOURCE, best, candidate, interpreter

from llm_testgen.edges.git import Repository
from llm_testgen.records import Ending
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.guest import kernel
from llm_testgen.runner.warm import WarmRunner

pytestmark = pytest.mark.skipif(not kernel.IS_LINUX, reason="the sandbox needs Linux")
# ruff: noqa: T201 - its figures are what the test is for

FEW = 200
MANY = 1000
LIMITS = Limits(seconds=3)
PAGE = os.sysconf("SC_PAGE_SIZE")

_HONEST = {
    "from pkg.mod import area\n\ndef test_it():\n    assert area(1) > 3\n": Ending.PASSED,
    "from pkg.mod import area\n\ndef test_it(tmp_path):\n    (tmp_path / 'x').write_text('x')\n    assert area(2) > 12\n": Ending.PASSED,
    "from pkg.mod import area\n\ndef test_it():\n    assert area(0) == 5\n": Ending.FAILED,
    "from pkg.mod import no_such_name\n\ndef test_it():\n    pass\n": Ending.NOT_COLLECTED,
}
_BODIES = {
    "while True: time.sleep(9)": Ending.TIMEOUT,
    "os._exit(0)": Ending.CRASHED,
    "os.kill(os.getpid(), 9)": Ending.CRASHED,
    "os.kill(os.getppid(), 9)": Ending.FAILED,
    "while True: os.fork() or time.sleep(600)": Ending.FAILED,
    "bytearray(3 << 30)": Ending.FAILED,
    "for _ in range(100): os.write(1, b'x' * (1 << 20))": Ending.PASSED,
    "os.fork() or (os.setsid(), os.fork() or time.sleep(600), os._exit(0))": Ending.PASSED,
    "while True: os.open('/dev/null', 0)": Ending.FAILED,
    "sys.setrecursionlimit(1 << 30); deeper = lambda _: sorted([1], key=deeper); deeper(1)": Ending.CRASHED,
}
_HOSTILE = {f"import os, sys, time\n\ndef test_it():\n    {body}\n": ending for body, ending in _BODIES.items()}


@dataclass(frozen=True, slots=True)
class Figures:
    """What the bot and its zygotes hold at a moment."""

    processes: int
    descriptors: int
    bot_bytes: int
    zygote_bytes: int
    disk_bytes: int

    @classmethod
    def now(cls, home: Path) -> Figures:
        gc.collect()
        ours = processes(str(home))
        files = (path.lstat().st_size for path in home.rglob("*") if path.is_file())
        return cls(len(ours), _descriptors(), _resident(os.getpid()), max(map(_resident, ours)), sum(files))


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE


@dataclass(frozen=True, slots=True)
class Soaked:
    """What became of all candidates."""

    endings: Counter[str]
    wrong: list[str]
    cpu: float
    before: Figures
    after: Figures


async def _soak(runner: WarmRunner, home: Path, count: int) -> Soaked:
    honest, hostile = itertools.cycle(_HONEST.items()), itertools.cycle(_HOSTILE.items())
    wrong: list[str] = []
    endings: Counter[str] = Counter()
    cpu: list[float] = []

    async def judge(number: int) -> None:
        code, expected = next(hostile if number % 10 == 5 else honest)
        run = await runner.run_candidate(candidate(code), hash_seed=0)
        endings[run.ending.value] += 1
        cpu.append(run.cpu)
        if run.ending is not expected:
            wrong.append(f"{run.ending} instead of {expected}, {run.failure}: {code}")
        if run.ending is Ending.PASSED and code in _HONEST and run.covered != {"src/pkg/mod.py": {1, 4, 5, 7}}:
            wrong.append(f"covers {run.covered}: {code}")

    await asyncio.gather(*map(judge, range(40)))
    before = Figures.now(home)
    for start in range(40, count, 40):
        await asyncio.gather(*map(judge, range(start, min(count, start + 40))))
    return Soaked(endings, wrong, sum(cpu), before, Figures.now(home))


@pytest.fixture
def project(git_project) -> GitProject:
    git_project.write("src/pkg/__init__.py", "")
    git_project.write("src/pkg/mod.py", SOURCE)
    git_project.write("tests/test_mod.py", "from pkg.mod import area\n\n\ndef test_zero():\n    assert area(0) == 0\n")
    git_project.commit()
    return git_project


@pytest.mark.parametrize(
    "count",
    [
        FEW,
        pytest.param(
            MANY,
            marks=pytest.mark.soak,
        ),
    ],
)
def test_candidates_in_a_row_a_tenth_of_them_hostile_are_all_judged_and_nothing_leaks(project, count):
    files = Project(
        Repository.open(project.root).snapshot("HEAD"),
        {},
        ("src",),
        ("src/pkg/mod.py",),
        "tests",
        {"src/pkg/mod.py": "pkg.mod"},
    )
    confinement = best()
    descriptors = _descriptors()

    async def act():
        cold = ColdRunner(files, interpreter(), confinement, LIMITS, ENVIRON)
        runner = WarmRunner(cold, workers=2)
        try:
            assert (await runner.prepare()).cold == ""
            return cold.home, await _soak(runner, cold.home, count)
        finally:
            await runner.close()

    started = time.monotonic()
    home, soaked = asyncio.run(act())
    before, after = soaked.before, soaked.after
    print(
        f"{count} candidates: {time.monotonic() - started:.1f} s, their CPU {soaked.cpu:.1f} s, {dict(soaked.endings)}"
    )
    print(f"before: {before}\nafter:  {after}")
    assert not soaked.wrong
    assert sum(soaked.endings.values()) == count
    assert after.processes == before.processes
    assert after.descriptors == before.descriptors
    assert after.bot_bytes - before.bot_bytes < 32 << 20
    assert after.zygote_bytes - before.zygote_bytes < 16 << 20
    assert after.disk_bytes - before.disk_bytes < 1 << 20
    assert not home.exists()
    assert not processes(str(home))
    assert _descriptors() == descriptors
