import json

import pytest
from click.testing import CliRunner

from llm_testgen.cli import main


@pytest.fixture
def project(git_project):
    git_project.write("src/shop/__init__.py", "")
    git_project.write(
        "src/shop/cart.py",
        "class Cart:\n    def add(self):\n        return self.total()\n\n    def total(self):\n        return 0\n",
    )
    git_project.write(
        "tests/test_cart.py", "from shop.cart import Cart\n\n\ndef test_add():\n    assert Cart().add() == 0\n"
    )
    git_project.commit()
    return git_project


def run(*arguments):
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


def test_it_prints_what_the_index_holds(project):
    result = run(project.root)
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0].strip(): line for line in result.stdout.splitlines()}
    assert "3 parsed, 0 reused" in lines["files"]
    assert "100 % of 3" in lines["calls resolved"]
    assert lines["import roots"].split()[-1] == "src"


def test_a_second_run_parses_only_what_changed(project):
    run(project.root)
    project.write("src/shop/cart.py", "class Cart:\n    pass\n")
    figures = json.loads(run(project.root, "--json").stdout)
    assert (figures["files"], figures["parsed"], figures["reused"]) == (3, 1, 2)


def test_the_session_lies_in_a_folder_that_git_does_not_see(project):
    run(project.root / "src")
    assert (project.root / ".llm-testgen" / "session.sqlite").is_file()
    assert project.git("status", "--porcelain") == ""


def test_the_session_lies_where_out_says(project, tmp_path):
    assert run(project.root, "--out", tmp_path / "a" / "b").exit_code == 0
    assert (tmp_path / "a" / "b" / "session.sqlite").is_file()
    assert not (project.root / ".llm-testgen").exists()


def test_the_results_of_a_run_stay_where_they_are(project):
    results = project.root / ".llm-testgen"
    results.mkdir()
    (results / "proposal.json").write_text("{}")
    assert run(project.root).exit_code == 0
    assert (results / "proposal.json").is_file()


def test_a_file_that_cannot_be_parsed_is_named_with_the_reason(project):
    project.write("src/shop/odd.py", "def [broken\n")
    result = run(project.root)
    assert result.exit_code == 0
    assert "1 not indexed:" in result.stdout
    assert "src/shop/odd.py: not valid Python" in result.stdout
    (failure,) = json.loads(run(project.root, "--json").stdout)["failures"]
    assert failure["path"] == "src/shop/odd.py"


def test_an_empty_repository_has_an_empty_index(git_project):
    git_project.commit()
    figures = json.loads(run(git_project.root, "--json").stdout)
    assert (figures["files"], figures["calls"], figures["source_roots"]) == (0, 0, [""])
    assert run(git_project.root).exit_code == 0


def test_a_folder_outside_a_repository_is_refused_in_one_line(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_session_that_is_no_database_is_refused_in_one_line(project, tmp_path):
    (tmp_path / "session.sqlite").write_text("not a database, but long enough to be read as one" * 20)
    result = run(project.root, "--out", tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "delete it or name another place" in result.stderr
