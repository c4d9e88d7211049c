from __future__ import annotations

import pytest

from llm_testgen.edges.session import Session
from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.parts import run_sessions


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", '[project]\nname = "Flask"\n'),
        ("pyproject.toml", '[tool.poetry]\nname = "flask"\n'),
        ("setup.cfg", "[metadata]\nname = flask\n"),
        ("setup.py", "from setuptools import setup\n\nsetup(name='Flask')\n"),
        ("src/flask/__init__.py", ""),
    ],
)
def test_a_session_in_a_checkout_of_what_is_measured_on_is_refused_under_any_name(git_project, tmp_path, path, text):
    git_project.write(path, text)
    git_project.commit()
    Session(git_project.root / "session.sqlite")
    with pytest.raises(UsageError, match="is what the benchmark measures on"):
        run_sessions(tmp_path / "data", [git_project.root], "web", "MIT")


def test_sessions_of_one_project_are_parts_of_their_own(git_project, tmp_path):
    git_project.commit()
    paths = [git_project.root / name / "session.sqlite" for name in ("one", "other")]
    for path in paths:
        path.parent.mkdir()
        Session(path)
    reports = run_sessions(tmp_path / "data", paths, "web", "MIT")
    assert len({report.name for report in reports}) == len(paths)
