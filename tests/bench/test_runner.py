from __future__ import annotations

import os
import re

import pytest
from click.testing import CliRunner

from llm_testgen.bench.cli import bench
from llm_testgen.errors import LlmTestgenError, ProjectError, UsageError


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_TESTGEN_CACHE", str(tmp_path / "cache"))
    return lambda *arguments: CliRunner().invoke(bench, ["runner", *arguments])


def test_the_group_lists_what_can_be_measured():
    shown = CliRunner().invoke(bench, ["--help"])
    assert shown.exit_code == 0
    assert re.search(r"^  runner +Run the same candidates", shown.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--project", "flask"], "there is no project flask to measure on: choose among"),
        (["--json", "nowhere/bench.json"], "nowhere/bench.json cannot be written: pass --json a file"),
        (["--json", "."], ". cannot be written: pass --json a file"),
        (["--python", "no-such-python"], "no Python interpreter at no-such-python"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(invoke, tmp_path, arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "0 is not in the range 1<=x<=99"),
        (["--candidates", "0"], "0 is not in the range x>=1"),
        (["--suite-seconds", "0"], "0.0 is not in the range"),
        (["--sandbox", "perhaps"], "'perhaps' is not one of 'auto', 'strict', 'off'"),
    ],
)
def test_values_out_of_range_are_usage_errors(invoke, arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a script stands for the interpreter")
def test_an_environment_that_cannot_be_made_is_an_error_that_says_what_to_do(invoke, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Error: no module named venv' >&2\nexit 1\n")
    python.chmod(0o755)
    result = invoke("--python", str(python), "--work", str(tmp_path / "work"))
    assert isinstance(result.exception, ProjectError)
    assert isinstance(result.exception, LlmTestgenError)
    assert "no virtual environment from" in str(result.exception)
    assert "no module named venv" in str(result.exception)
