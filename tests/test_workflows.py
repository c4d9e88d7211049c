"""The workflows, the action and the README's examples of workflows: what the linters say, and that they are pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = [
    textwrap.dedent(text) for _, text in re.findall(r"^( *)```ya?ml\n(.*?)^\1```", README, re.MULTILINE | re.DOTALL)
]
EXAMPLES = {
    f"readme-{number}.yml": text
    for number, text in enumerate(FENCED, 1)
    if re.search(r"""^(on|"on"|'on'):""", text, re.MULTILINE)
}
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*sorted((ROOT / ".github" / "workflows").glob("*.yml")), ROOT / "action.yml")
    if path.exists()
}
OURS = "org/llm-testgen@v1"
PINNED = re.compile(r"(?P<action>[\w.-]+/[\w./-]+)@(?P<sha>[0-9a-f]{40}) # (?P<version>v\d+(\.\d+)*)")

UNSAFE = """name: Unsafe
on: pull_request
permissions: {}
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
"""


def uses(text):
    """What follows each ``uses:``, comments included."""
    return [line.strip() for line in re.findall(r"^ *(?:- )?uses: *(.*)$", text, re.MULTILINE)]


def loose(text):
    """Uses of actions that are not pinned; ours, and those of the same repository, need not be."""
    return [use for use in uses(text) if not (use == OURS or use.startswith("./") or PINNED.fullmatch(use))]


def steps(document):
    """The steps of a workflow's jobs, or of a composite action."""
    parts = [*document.get("jobs", {}).values(), document.get("runs", {})]
    return [step for part in parts for step in part.get("steps", ())]


def run(*command, stdin=None):
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def complaints(name, text, folder):
    """What the three linters say of a workflow, by their names; nothing if it is all right."""
    path = folder / ".github" / "workflows" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    answers = {
        "check-jsonschema": run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path),
        "actionlint": run("actionlint", "-no-color", "-", stdin=text),
        "zizmor": run("zizmor", "--offline", "--no-progress", "--config", ROOT / ".github" / "zizmor.yml", folder),
    }
    return {linter: said for linter, (code, said) in answers.items() if code != 0}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_readme_passes_the_linters(name, tmp_path):
    assert complaints(name, EXAMPLES[name], tmp_path) == {}


def test_the_linters_see_what_is_wrong(tmp_path):
    assert set(complaints("unsafe.yml", UNSAFE, tmp_path / "unsafe")) == {"actionlint", "zizmor"}
    misspelt = UNSAFE.replace("runs-on", "run-on")
    assert "check-jsonschema" in complaints("misspelt.yml", misspelt, tmp_path / "misspelt")


@pytest.mark.parametrize(
    ("use", "is_loose"),
    [
        ("actions/checkout@v7", True),
        ("actions/checkout@" + "a" * 40, True),
        ("org/other@v1", True),
        ("actions/checkout@" + "a" * 40 + " # v7.0.1", False),
        ("actions/cache/restore@" + "a" * 40 + " # v4", False),
        (OURS, False),
        ("./", False),
    ],
)
def test_the_linters_let_our_own_action_alone_be_loose(use, is_loose, tmp_path):
    step = f"      - uses: {use}\n"
    assert loose(step) == ([use] if is_loose else [])
    workflow = UNSAFE.replace('      - run: echo "${{ github.event.pull_request.title }}"\n', step)
    said = complaints("uses.yml", workflow, tmp_path).get("zizmor", "")
    assert ("unpinned-uses" in said) == (is_loose and "a" * 40 not in use)


def test_a_readme_that_shows_yaml_shows_a_workflow():
    assert bool(EXAMPLES) == bool(FENCED)


@pytest.mark.parametrize("name", [*FILES, *EXAMPLES])
def test_every_action_is_pinned_by_its_commit_and_says_its_version(name):
    assert loose((FILES | EXAMPLES)[name]) == []


def test_an_action_is_everywhere_the_same():
    pins = {}
    for text in (*FILES.values(), *EXAMPLES.values()):
        for pin in filter(None, map(PINNED.fullmatch, uses(text))):
            pins.setdefault(pin["action"], set()).add((pin["sha"], pin["version"]))
    assert "actions/checkout" in pins
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", [name for name in (*FILES, *EXAMPLES) if name != "action.yml"])
def test_every_workflow_names_its_permissions(name):
    text = (FILES | EXAMPLES)[name]
    assert re.search(r"^permissions:", text, re.MULTILINE)
    assert "write-all" not in text


@pytest.mark.parametrize("name", [*FILES, *EXAMPLES])
def test_no_checkout_leaves_its_token_behind(name):
    for step in steps(yaml.safe_load((FILES | EXAMPLES)[name])):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step.get("with", {}).get("persist-credentials") is False, step
