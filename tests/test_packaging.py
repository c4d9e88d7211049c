"""What is shipped: a wheel built for real, from the checkout as it is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import llm_testgen

ROOT = Path(__file__).parents[1]


def hatchling(*arguments):
    """Run the build backend itself, which needs no network."""
    command = [sys.executable, "-m", "hatchling", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_below(folder):
    """Paths of the files below a folder that belong to the project."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    hatchling("build", "--target", "wheel", "--directory", str(folder))
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = {f"llm_testgen/{path}" for path in files_below(ROOT / "bot" / "llm_testgen")}
    assert {"llm_testgen/cli.py", "llm_testgen/py.typed", "llm_testgen/index/schema.sql"} <= package
    assert package <= set(wheel.namelist())


def test_the_wheel_holds_every_prompt(wheel):
    prompts = files_below(ROOT / "prompts")
    assert any(prompt.endswith(".jinja") for prompt in prompts)
    assert {f"llm_testgen/prompts/{prompt}" for prompt in prompts} <= set(wheel.namelist())


def test_the_wheel_holds_nothing_else(wheel):
    others = {name for name in wheel.namelist() if not re.match(r"llm_testgen(-[^/]+\.dist-info)?/", name)}
    assert others == set()


def test_the_wheel_names_its_command_and_its_licence(wheel, metadata):
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    assert "llm-testgen = llm_testgen.cli:main" in wheel.read(entry_points).decode()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_the_version_has_one_place(metadata):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert metadata["Version"] == hatchling("version").strip() == llm_testgen.__version__


@pytest.mark.parametrize("name", ["base", "local", "bench", "evolve", "tune", "dev"])
def test_every_locked_requirement_has_its_hash_and_no_address(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    requirements = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert len(requirements) > 20
    assert [entry for entry in requirements if not re.match(r"[\w.-]+==\S+ .*\\\n    --hash=sha256:", entry)] == []
    assert "://" not in text


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("base", "local"), ("local", "dev"), ("base", "bench"), ("base", "evolve"), ("base", "tune")],
)
def test_the_locks_agree(smaller, larger):
    def pins(name):
        return set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))

    assert pins(smaller) < pins(larger)


def test_the_locks_hold_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {
        "base": project["project"]["dependencies"] + project["dependency-groups"]["build"],
        **project["project"]["optional-dependencies"],
        "dev": [entry for entry in project["dependency-groups"]["dev"] if isinstance(entry, str)],
    }
    for name, requirements in asked.items():
        locked = set(re.findall(r"^(\S+)==", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        wanted = {re.match(r"[\w-]+", requirement)[0].lower().replace("_", "-") for requirement in requirements}
        assert wanted <= locked
