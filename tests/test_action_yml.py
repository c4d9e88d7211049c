"""``action.yml`` and what is said about it elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from llm_testgen.commands.action_inputs import ActionInputs
from llm_testgen.commands.publishing import Status

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "action.yml").read_text(encoding="utf-8")
ACTION = yaml.safe_load(TEXT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = ACTION["runs"]["steps"]
# They are read by the steps themselves, and never by the bot as settings.
FOR_STEPS = {"github-token", "hf-token", "llm-api-key", "bot-python", "test-command"}


def step(name):
    (found,) = [entry for entry in STEPS if entry["name"] == name]
    return found


@pytest.mark.parametrize("name", ACTION["inputs"])
def test_every_input_is_described_and_in_the_readme(name):
    assert ACTION["inputs"][name]["description"]
    assert re.search(rf"^\| `{name}` \|", README, re.MULTILINE)


@pytest.mark.parametrize("name", ACTION["outputs"])
def test_every_output_is_described_and_in_the_readme(name):
    assert ACTION["outputs"][name]["description"]
    assert re.search(rf"^\| `{name}` \|", README, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in ACTION["inputs"] if name not in FOR_STEPS])
def test_every_setting_is_forwarded(name):
    variable = f"INPUT_{name.upper().replace('-', '_')}"
    assert step("Plan")["env"][variable] == f"${{{{ inputs.{name} }}}}"


def test_no_setting_is_forwarded_that_the_bot_does_not_know():
    known = {f"INPUT_{field.upper()}" for field in ActionInputs.model_fields}
    assert {name for name in step("Plan")["env"] if name.startswith("INPUT_")} == known


@pytest.mark.parametrize("name", sorted(FOR_STEPS))
def test_what_the_steps_use_themselves_is_used(name):
    assert f"inputs.{name}" in TEXT.partition("runs:")[2]


@pytest.mark.parametrize("name", [name for name in ACTION["inputs"] if name not in FOR_STEPS])
def test_the_defaults_are_those_of_the_bot(name):
    written = ACTION["inputs"][name]["default"]
    given = {f"INPUT_{name.upper().replace('-', '_')}": written}
    assert ActionInputs.from_environment(given) == ActionInputs()


def test_no_input_is_required_as_the_runner_would_not_enforce_it():
    assert not [name for name, entry in ACTION["inputs"].items() if entry.get("required")]


def test_nothing_of_an_event_is_written_into_a_script():
    for entry in STEPS:
        assert "${{" not in entry.get("run", "")


def test_only_the_steps_that_talk_to_github_hold_its_token():
    holders = {entry["name"] for entry in STEPS if "GITHUB_TOKEN" in entry.get("env", {})}
    assert holders == {"Plan", "Publish"}


def test_the_step_that_runs_the_projects_own_command_holds_no_secret():
    assert set(step("Run the existing tests")["env"]) == {"TEST_COMMAND"}


def test_what_is_found_is_kept_before_it_is_posted():
    names = [entry["name"] for entry in STEPS]
    assert names.index("Keep the proposal") < names.index("Publish")


@pytest.mark.parametrize("entry", [entry for entry in STEPS if "uses" in entry], ids=lambda entry: entry["name"])
def test_what_it_uses_is_pinned(entry):
    assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", entry["uses"])


@pytest.mark.parametrize(
    "entry", [entry for entry in STEPS if "cache/" in entry.get("uses", "")], ids=lambda e: e["name"]
)
def test_no_cache_can_be_poisoned_by_a_fork(entry):
    """The model is hashed again whatever a cache gives; the index stays with its pull request."""
    if "model" in entry["name"]:
        assert "!${{ runner.temp }}/llm-testgen-models/.*" in entry["with"]["path"]
    else:
        assert "github.event_name == 'pull_request'" in entry["if"]
        assert "github.event.pull_request.number" in entry["with"]["key"]


def test_a_stranger_saves_no_model():
    assert "steps.plan.outputs.foreign != 'true'" in step("Save the embedded model")["if"]


def test_every_status_is_described():
    described = ACTION["outputs"]["status"]["description"]
    assert [status.value for status in Status if status is not Status.PLANNED and status.value not in described] == []
