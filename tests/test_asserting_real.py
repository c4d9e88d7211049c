"""Contracts with a scripted model and the real runner, from a change to the files that hold them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conftest import GitProject
from tests.samples import changed_method

from llm_testgen.asserting import Asserted, propose_asserts
from llm_testgen.edges.git import Repository
from llm_testgen.edges.replay import RecordedReply, ReplayModel
from llm_testgen.index import Index
from llm_testgen.knowledge import ProjectKnowledge
from llm_testgen.records import ChangedMethod
from llm_testgen.runner.base import Limits, Project
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner
from llm_testgen.settings import Generation
from llm_testgen.stages.prompt import Templates, default_templates
from llm_testgen.tools import Tools

PATH = "src/pkg/mod.py"
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
SOURCE = '''"""Prices."""

LEAST = 1


def discount(price, percent):
    """The price after a discount, at least LEAST."""
    if percent < 0:
        raise ValueError(percent)
    # rounded down
    reduced = price - price * percent // 100
    return max(reduced, LEAST)


class Basket:
    def __init__(self):
        self.prices = []

    def add(self, price):
        self.prices.append(price)
'''
TESTS = '''import pytest
from pkg.mod import Basket, discount


def test_free():
    assert discount(10, 100) == 1


def test_negative():
    with pytest.raises(ValueError):
        discount(10, -1)


def test_basket():
    basket = Basket()
    basket.add(3)
    assert basket.prices
'''
ASSERTS = '''```python
def discount(price, percent):
    """The price after a discount, at least LEAST."""
    assert percent >= 0
    assert isinstance(price, int)
    if percent < 0:
        raise ValueError(percent)
    # rounded down
    reduced = price - price * percent // 100
    assert reduced <= price
    assert log(reduced) or reduced >= 0
    result = max(reduced, LEAST)
    assert result >= LEAST
    assert result <= price, "no discount"
    return result
```'''
SMOKE = '''```python
from pkg.mod import discount


def test_half():
    discount(10, 50)


def test_none():
    discount(7, 0)


def test_wrong():
    discount("x", 1)
```'''


class Quiet:
    def asked(self, target, attempt):
        pass

    replied = judged = confirming = lambda *_: None


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    git_project.write("src/pkg/__init__.py", "")
    git_project.write(PATH, SOURCE)
    git_project.write("tests/test_mod.py", TESTS)
    git_project.commit("head")
    return git_project


def run(project: GitProject, replies: Mapping[str, list[str]], *targets: ChangedMethod, **settings) -> Asserted:
    snapshot = Repository.open(project.root).snapshot("HEAD")
    model = ReplayModel(
        tuple(RecordedReply(target=f"{PATH}::{name}", reply=text) for name, texts in replies.items() for text in texts)
    )

    async def go() -> Asserted:
        interpreter = inspect(Path(sys.executable), ENVIRON)
        described = Project(snapshot, {}, ("src",), (PATH,), "tests", {PATH: "pkg.mod"})
        cold = ColdRunner(described, interpreter, detect(interpreter, ENVIRON).confinement, Limits(), ENVIRON)
        runner = WarmRunner(cold, workers=2)
        try:
            ready = await runner.prepare()
            assert (ready.problem, ready.cold) == ("", "")
            with Index.open(project.root.parent / "index.sqlite") as index:
                index.update(snapshot)
                knowledge = ProjectKnowledge(index, snapshot, None)
                tools = Tools(knowledge, model, runner, Templates(default_templates()), Quiet())
                return await propose_asserts(targets, tools, Generation(**settings))
        finally:
            await runner.close()

    return asyncio.run(go())


def test_contracts_that_hold_and_notice_a_fault_are_put_into_the_file_and_the_others_are_not(project):
    found = run(project, {"discount": [ASSERTS, SMOKE]}, changed_method(SOURCE, "discount", PATH))
    statements = {one.contract.statement: one for one in found.upheld}
    for one in found.upheld:
        print(one.contract.statement, [m.after for m in one.killed], [m.after for m in one.earlier], [m.after for m in one.survived])
    print(found)
    print(found.files[0].after)
    raise SystemExit
