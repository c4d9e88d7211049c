"""The search over prompts through its command line: a real project and real test runs, and a server as the model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.conftest import GitProject
from tests.edges.fake_openai import FakeOpenAI, completion, refusal
from tests.project_python import project_python

from llm_testgen.cli import main
from llm_testgen.recipe import read_recipe
from llm_testgen.stages.prompt import default_templates, load_prompts

FILES = 3
GRADE = """def grade{n}(x):
    if x < 0:
        raise ValueError(x)
    if x > 10:
        return "large{n}"
    return "small"


def size{n}(x):
    if x > 5:
        return x * 2
    return x + 1
"""
CASES = {
    "grade": ['    assert grade{n}(11) == "large{n}"', '    assert grade{n}(5) == "small"'],
    "size": ["    assert size{n}(6) == 12", "    assert size{n}(1) == 2"],
}


def answer(request):
    """Covers more where no existing test is shown; what is asked for comments gets none."""
    if request.prefill:
        return refusal(400, "the last message must be the user's")
    asked = request.body["messages"][-1]["content"]
    usage = (len(asked) // 4, 60)
    found = re.search(r"def (grade|size)(\d)\(x\)", asked.partition("The code under test")[2])
    if found is None:
        return completion("I would rather not.", usage=usage)
    name, number = found.groups()
    cases = [case.format(n=number) for case in CASES[name]][: 1 if "already has" in asked else 2]
    tests = "\n\n".join(f"def test_{name}{number}_{position}():\n{case}" for position, case in enumerate(cases))
    return completion(f"```python\nfrom pkg.m{number} import {name}{number}\n\n{tests}\n```", usage=usage)


def make_project(folder: Path) -> GitProject:
    """A repository of a few modules with hardly any tests."""
    project = GitProject(folder)
    folder.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write("src/pkg/__init__.py", "")
    for number in range(FILES):
        project.write(f"src/pkg/m{number}.py", GRADE.format(n=number))
    test = "from pkg.m0 import grade0\n\n\ndef test_small():\n    assert grade0(1) == 'small'\n"
    project.write("tests/test_m0.py", test)
    project.commit("all")
    return project


@dataclass(frozen=True)
class Searched:
    """A project, a server that is up, and what a first search said."""

    project: GitProject
    server: FakeOpenAI
    output: str

    def again(self, *arguments: str | Path) -> tuple[str, int]:
        """The same command with more arguments: what it says, and how many requests it sends."""
        before = len(self.server.requests)
        output = evolve(self.project, self.server, *arguments)
        return output, len(self.server.requests) - before

    @property
    def trials(self) -> list[dict[str, Any]]:
        return trials(self.project)

    @property
    def recipe(self) -> Path:
        return self.project.root / ".llm-testgen" / "recipe.toml"


def evolve(project: GitProject, server: FakeOpenAI | None, *arguments: str | Path, expect: int = 0) -> str:
    """Run ``llm-testgen evolve`` and give what it says."""
    command = ["evolve", "--repo", str(project.root), "--python", project_python()]
    command += ["--endpoint", server.url if server else "http://127.0.0.1:9", "--model", "fake"]
    command += ["--targets", "4", "--population", "3", "--generations", "2"]
    result = CliRunner().invoke(main, [*command, *map(str, arguments)])
    assert result.exit_code == expect, result.output
    return result.output


def trials(project: GitProject) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.root / ".llm-testgen/evolve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Iterator[Searched]:
    project = make_project(tmp_path_factory.mktemp("evolve") / "project")
    with FakeOpenAI(answer) as server:
        yield Searched(project, server, evolve(project, server))


@pytest.fixture
def project(tmp_path) -> GitProject:
    return make_project(tmp_path / "project")


def test_a_recipe_is_found_compared_and_written(searched):
    text = searched.recipe.read_text()
    read_recipe(searched.recipe)
    head = searched.project.git("rev-parse", "HEAD").strip()
    assert f"Model: fake. Project: {head}. Seed: 0." in text
    assert re.search(r"\d methods to search on, \d kept to compare on at the end", searched.output)
    assert re.search(r"generation 2: best \d+\.\d\d lines per 1,000 tokens, mean \d+\.\d\d", searched.output)
    assert "On methods that the search never saw" in text or "no recipe better" in text
    assert searched.project.git("status", "--porcelain") == ""


def test_the_methods_kept_for_the_end_are_tried_at_the_end_and_with_two_recipes(searched):
    recipes: dict[str, set[str]] = {}
    for trial in searched.trials:
        recipes.setdefault(trial["target"], set()).add(trial["recipe"])
    kept = {target for target, tried in recipes.items() if len(tried) <= 2}
    assert kept
    assert not {path_of(target) for target in kept} & {path_of(target) for target in recipes.keys() - kept}
    order = [trial["target"] in kept for trial in searched.trials]
    assert order == sorted(order)


def path_of(target):
    return target.partition("::")[0]


def test_the_same_command_again_asks_nothing_and_finds_the_same(searched):
    text = searched.recipe.read_text()
    output, requests = searched.again()
    assert requests == 0
    assert "trials of earlier searches are known" in output
    assert searched.recipe.read_text() == text
    assert output.splitlines()[-5:] == searched.output.splitlines()[-5:]


def test_a_search_that_was_cut_short_goes_on_where_it_was(searched):
    text, path = searched.recipe.read_text(), searched.project.root / ".llm-testgen" / "evolve.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]) + lines[-3][:20])
    _, requests = searched.again()
    assert requests == 0  # the session still knows the replies: only their tests are run again
    assert path.read_text().splitlines(keepends=True) == lines
    assert searched.recipe.read_text() == text


def test_the_budget_is_kept_and_said(searched):
    spent = sum(trial["tokens_in"] + trial["tokens_out"] for trial in searched.trials)
    output, _ = searched.again("--max-tokens", spent + 500, "--generations", "30")
    assert "the tokens were spent before all generations were tried" in output
    assert sum(trial["tokens_in"] + trial["tokens_out"] for trial in searched.trials) <= spent + 500


def test_a_budget_for_less_than_one_generation_says_how_much_one_takes(searched):
    output = evolve(searched.project, searched.server, "--max-tokens", "500", expect=2)
    assert "the tokens were spent before one generation was tried" in output


def test_it_sets_out_from_the_recipe_that_is_given_and_says_where_its_templates_are(project, tmp_path):
    shutil.copytree(default_templates(), tmp_path / "own")
    start, best = tmp_path / "start.toml", tmp_path / "deep" / "best.toml"
    start.write_text('templates = "own"\ntests = 5\nlesson_tokens = 123\n')
    with FakeOpenAI(answer) as server:
        few = ("--targets", "3", "--population", "2", "--generations", "1")
        output = evolve(project, server, "--prompts", start, "--out", best, *few)
    found = read_recipe(best)
    assert found.templates == "../own"
    assert found.lesson_tokens == 123
    assert "the recipe that it set out from" in output
    assert load_prompts(best).recipe == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--targets", "2"], "2 is not in the range 3<=x<=1000"),
        (["--population", "1"], "1 is not in the range"),
        (["--out", "{root}"], "is a folder: pass --out the file to write"),
        (["--out", "{root}/recipe.json"], "recipes are written as TOML"),
        (["--prompts", "{root}/no.toml"], "no.toml"),
        (["--prompts", "{root}/.llm-testgen/smoke.toml"], "a recipe of kind smoke cannot be bred"),
        (["--kind", "smoke"], "No such option"),
        (["--base", "HEAD"], "no changed method"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(searched, arguments, message):
    (searched.project.root / ".llm-testgen" / "smoke.toml").write_text('kind = "smoke"\n')
    given = [argument.format(root=searched.project.root) for argument in arguments]
    assert message in " ".join(evolve(searched.project, None, *given, expect=2).split())


def test_a_project_that_its_tests_cover_leaves_nothing_to_search_on(project):
    cases = "".join(
        f"from pkg.m{n} import *\n\ndef test_{n}():\n    grade{n}(11), grade{n}(5), size{n}(6), size{n}(1)\n"
        f"    with pytest.raises(ValueError):\n        grade{n}(-1)\n\n"
        for n in range(FILES)
    )
    project.write("tests/test_all.py", f"import pytest\n{cases}")
    project.commit("covered")
    output = evolve(project, None, expect=2)
    assert "3 methods or more that existing tests do not fully cover, and there is no method" in output


def test_a_file_of_trials_that_holds_something_else_is_named(project):
    project.write(".llm-testgen/evolve.jsonl", "something else\n")
    assert "evolve.jsonl:1 is no line of a search" in evolve(project, None, expect=2)


def test_with_a_base_only_what_changed_since_is_searched_on(project):
    for number in range(3, 6):
        project.write(f"src/pkg/m{number}.py", GRADE.format(n=number))
    project.commit("more")
    with FakeOpenAI(answer) as server:
        evolve(project, server, "--base", "HEAD~1", "--targets", "3", "--population", "2", "--generations", "1")
    assert {path_of(trial["target"]) for trial in trials(project)} == {f"src/pkg/m{n}.py" for n in (3, 4, 5)}


def test_an_interrupted_search_says_how_to_go_on_and_nothing_is_lost(project):
    left = [4]

    def until_interrupted(request):
        left[0] -= not request.prefill
        if not left[0] and not request.prefill:
            os.kill(os.getpid(), signal.SIGTERM)
        return answer(request)

    few = ("--targets", "3", "--population", "2", "--generations", "1")
    with FakeOpenAI(until_interrupted) as server:
        output = evolve(project, server, *few, expect=130)
        assert "what was tried is kept: the same command goes on from there" in output
        kept = trials(project)
        evolve(project, server, *few)
    assert kept
    assert trials(project)[: len(kept)] == kept


def test_a_model_that_gives_no_answer_is_an_error_that_says_what_to_do(searched):
    with FakeOpenAI(lambda _: refusal(401, "no")) as server:
        assert "asks for a key" in evolve(searched.project, server, "--seed", "1", expect=2)
