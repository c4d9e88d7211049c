"""A small project, made up, mined for real."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.conftest import GitProject
from tests.project_python import project_python

from llm_testgen.errors import UsageError
from llm_testgen.recipe import DEFAULT_RECIPE
from llm_testgen.stages.prompt import default_templates
from llm_testgen.tuning.cli import tune
from llm_testgen.tuning.data import project_run
from llm_testgen.tuning.data.commands import mine as mine_command
from llm_testgen.tuning.data.examples import read_examples
from llm_testgen.tuning.data.mine_run import MineOptions, run_mine

FILES = {
    "pyproject.toml": '[project]\nname = "sizes"\nversion = "1.0"\nlicense = "MIT"\n',
    "sizes/__init__.py": "from sizes.core import Box, grade\n",
    "sizes/core.py": '''\
"""Sizes."""


def grade(value, limit=10):
    """The grade of a value."""
    if value < 0:
        raise ValueError("negative")
    if value > limit:
        return "large"
    return "small"


class Box:
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2


def untested(value):
    return value + 1


def below(limit):
    """Numbers below a limit, and where they end."""
    if limit > 0:
        found = list(range(limit))
        return found
    return None


SMALL = below(5)
''',
    "tests/test_core.py": '''\
import unittest
from fractions import Fraction

import pytest

import sizes
from sizes.core import below


def test_below_nothing():
    assert below(0) is None


def test_below_some():
    assert below(2) == [0, 1]


@pytest.mark.parametrize("value, expected", [(3, "small"), (11, "large")])
def test_grade(value, expected):
    assert sizes.grade(value) == expected


def test_grade_fails():
    assert sizes.grade(1) == "large"


def test_grade_is_called():
    sizes.grade(1)


class BoxTests(unittest.TestCase):
    def test_area(self):
        """Of a box."""
        box = sizes.Box(Fraction(3, 2))
        self.assertEqual(box.area(), Fraction(9, 4))

    def test_grade_of_nothing(self):
        self.assertRaises(ValueError, sizes.grade, -1)


def test_grade_shown_as_example():
    names = {sizes.grade(value) for value in range(20)}
    assert "large" in names
''',
}


def project(folder: Path) -> GitProject:
    made = GitProject(folder)
    folder.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    for path, text in FILES.items():
        made.write(path, text)
    made.commit()
    return made


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    """The options of a run that was made, and its report."""
    home = tmp_path_factory.mktemp("mining")
    root = project(home / "sizes").root
    options = MineOptions(home / "data", projects=(root,), python=project_python(), work=home / "work")
    (report,) = asyncio.run(run_mine(options, os.environ, Console(quiet=True)))
    return options, report


@pytest.fixture(scope="module")
def by_target(mined):
    """The first example of each method."""
    options, report = mined
    examples = read_examples(options.out / "parts" / f"{report.name}.jsonl")
    return {example.meta.target: example for example in reversed(examples)}


def test_methods_that_have_tests_are_asked_about_with_what_these_reach(by_target):
    assert set(by_target) == {"sizes/core.py::grade", "sizes/core.py::Box.area", "sizes/core.py::below"}
    asked = by_target["sizes/core.py::grade"].prompt
    assert [turn.role for turn in asked] == ["system", "user"]
    assert asked[0].content.startswith("You are an expert Python developer")
    assert (
        """\
Write 3 short test functions for `grade`, one for each of these, under its comment:
# 1: reaches `raise ValueError('negative')`, with value < 0
# 2: reaches `return 'large'`, with value >= 0 and value > limit
# 3: reaches `return 'small'`, with value >= 0 and value <= limit
"""
        in asked[1].content
    )


def test_lines_that_run_at_import_are_no_goal(by_target):
    example = by_target["sizes/core.py::below"]
    asked = example.prompt[-1].content
    assert "# 1: reaches `return None`" in asked
    assert "# 2:" not in asked
    assert "below(0) is None" in example.completion[0].content


def test_the_answer_has_the_form_that_the_prompt_asks_for(by_target):
    assert (
        by_target["sizes/core.py::grade"].answer
        == """\
```python
import pytest

from sizes.core import grade


# 1: reaches `raise ValueError('negative')`, with value < 0
def test_grade_of_nothing():
    with pytest.raises(ValueError):
        grade(-1)


# 2: reaches `return 'large'`, with value >= 0 and value > limit
def test_grade_value_above_limit():
    assert grade(11) == "large"


# 3: reaches `return 'small'`, with value >= 0 and value <= limit
def test_grade_value_at_most_limit():
    assert grade(3) == "small"
```"""
    )


def test_what_our_prompt_begins_the_answer_with_is_told_apart(by_target):
    assert (
        by_target["sizes/core.py::grade"].prefill
        == """\
```python
import pytest

from sizes.core import grade


# 1: reaches `raise ValueError('negative')`, with value < 0
def test_grade_"""
    )
    assert all(one.prefill and one.answer.startswith(one.prefill) for one in by_target.values())


def test_answers_have_as_many_tests_as_prompts_ask_for():
    assert MineOptions(Path()).tests == DEFAULT_RECIPE.tests
    (option,) = [one for one in mine_command.params if one.name == "tests"]
    assert option.default == DEFAULT_RECIPE.tests


def test_what_a_test_needs_is_imported_in_it_and_the_target_goes_by_its_own_name(by_target):
    example = by_target["sizes/core.py::Box.area"]
    assert "from sizes.core import Box\n" in example.answer
    assert (
        """
def test_box_area_works():
    from fractions import Fraction
    box = Box(Fraction(3, 2))
    assert box.area() == Fraction(9, 4)
"""
        in example.answer
    )
    ast.parse(example.answer.removeprefix("```python").removesuffix("```"))


def test_the_prompt_shows_no_test_that_is_in_the_answer(by_target):
    said = by_target["sizes/core.py::grade"].prompt[1].content
    shown = said.partition("A test that the project already has:")[2].partition("The code under test")[0]
    assert "def test_" in shown
    assert "parametrize" not in shown
    assert "assertRaises" not in shown


def test_what_is_left_out_is_counted_by_reason(mined):
    _, report = mined
    assert (report.project, report.version, report.licence) == ("sizes", "1.0", "MIT")
    assert report.counts["tests"] == 8
    assert report.counts["test left out: it is long, or asserts nothing by itself"] == 1
    assert report.counts["plain test failed"] == 1
    assert report.counts["methods"] == 5
    assert report.counts["methods with tests"] == 3
    assert report.counts["answer accepted"] == 6
    assert report.examples == 4


def test_what_was_mined_is_not_mined_again(mined, monkeypatch):
    options, report = mined

    def refuse(*_given):
        pytest.fail("it was mined again")

    monkeypatch.setattr(project_run, "open_mine", refuse)
    assert asyncio.run(run_mine(options, os.environ, Console(quiet=True))) == (report,)


def test_the_parts_are_joined_to_a_data_set_with_a_card(mined, tmp_path):
    options, _ = mined
    arguments = ["data", "join", "--out", str(options.out), "--work", str(tmp_path), "--allow-uncompared"]
    done = CliRunner().invoke(tune, arguments)
    assert done.exit_code == 0, done.output
    assert "4 examples to train on, 0 to validate on" in done.output
    assert re.search(r"not compared with .*\bclick, .*: join again, without --allow-uncompared", done.output)
    rows = [json.loads(line) for line in (options.out / "train.jsonl").read_text().splitlines()]
    assert {row["meta"]["project"] for row in rows} == {"sizes"}
    assert all(row["completion"][0]["content"].startswith(row["prefill"]) and row["prefill"] for row in rows)
    assert (options.out / "validation.jsonl").read_text() == ""
    assert "| sizes 1.0 | 4 |" in (options.out / "README.md").read_text()


def test_a_project_of_unknown_licence_is_left_out(tmp_path):
    made = project(tmp_path / "sizes")
    made.write("pyproject.toml", '[project]\nname = "sizes"\n')
    made.commit()
    options = MineOptions(tmp_path / "data", projects=(made.root,), python=project_python(), work=tmp_path / "work")
    console = Console(record=True, width=200, file=io.StringIO())
    assert asyncio.run(run_mine(options, os.environ, console)) == ()
    assert "sizes: left out: its licence is not known: pass --licence" in console.export_text()


def test_a_checkout_of_what_is_measured_on_is_refused(tmp_path):
    made = project(tmp_path / "sizes")
    options = MineOptions(tmp_path / "data", projects=(made.root,), python=project_python(), work=tmp_path / "work")
    made.write("src/flask/__init__.py", "")
    made.commit()
    with pytest.raises(UsageError, match="the code in flask/ is what the benchmark measures on"):
        asyncio.run(run_mine(options, os.environ, Console(quiet=True)))
    made.write("pyproject.toml", '[project]\nname = "Flask"\n')
    made.commit()
    with pytest.raises(UsageError, match="Flask is what the benchmark measures on"):
        asyncio.run(run_mine(options, os.environ, Console(quiet=True)))


def test_a_recipe_for_other_tests_is_refused(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('kind = "smoke"\n')
    with pytest.raises(UsageError, match="tests of kind smoke are not what projects have"):
        asyncio.run(run_mine(MineOptions(tmp_path / "data", prompts=recipe), os.environ, Console(quiet=True)))
    assert default_templates().is_dir()


def test_there_must_be_something_to_join(tmp_path):
    done = CliRunner().invoke(tune, ["data", "join", "--out", str(tmp_path / "data"), "--work", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "holds no examples yet" in str(done.exception)
