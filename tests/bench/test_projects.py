from __future__ import annotations

import ast
import re

import pytest

from llm_testgen.bench.environments import COVERUP, DEVELOPERS
from llm_testgen.bench.projects import BenchProject, candidates, choose, known_projects, requirements
from llm_testgen.bench.report import candidate_name
from llm_testgen.errors import UsageError

PROJECTS = known_projects()
CANDIDATES = [(project, text) for project in PROJECTS for text in candidates(project)]
NAMES = [candidate_name(text) for _, text in CANDIDATES]


def test_there_are_four_projects():
    assert [project.name for project in PROJECTS] == ["more-itertools", "sqlparse", "boltons", "networkx"]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_there_are_enough_candidates_and_no_two_have_the_same_name(project):
    names = [candidate_name(text) for text in candidates(project)]
    assert len(names) >= (12 if project.name == "networkx" else 24)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("project", "text"), CANDIDATES, ids=NAMES)
def test_each_candidate_is_imports_and_one_test_that_anything_can_call(project, text):
    *imports, test = ast.parse(text).body
    assert imports
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in imports)
    assert isinstance(test, ast.FunctionDef)
    assert test.name.startswith("test_")
    assert not test.decorator_list
    assert ast.unparse(test.args) == ""
    assert any(isinstance(node, ast.Assert | ast.With) for node in ast.walk(test))
    assert re.search(rf"^(from|import) {project.package}\b", text, re.MULTILINE)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_measured_files_lie_in_the_package_and_have_a_name_to_import(project):
    for path, module in project.modules.items():
        assert path.startswith(f"{project.package}/")
        assert module.replace(".", "/") + ".py" == path


def test_all_are_chosen_by_default_and_each_once_by_name():
    assert choose(()) == PROJECTS
    assert [project.name for project in choose(("boltons", "sqlparse", "boltons"))] == ["boltons", "sqlparse"]


def test_an_unknown_project_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no project flask to measure on: choose among more-itertools, sqlparse"):
        choose(("flask",))


def test_a_release_needs_a_whole_digest():
    known = PROJECTS[0].model_dump()
    with pytest.raises(ValueError, match="sha256"):
        BenchProject(**{**known, "sha256": "abc"})


@pytest.mark.parametrize("name", [DEVELOPERS, COVERUP])
def test_requirements_are_pinned(name):
    lines = [line for line in requirements(name).splitlines() if not line.startswith("#")]
    assert any(line.startswith("pytest==") for line in lines)
    assert [line for line in lines if not re.match(r"[\w-]+==[\w.]+(; python_version < \"3\.\d+\")?$", line)] == []
