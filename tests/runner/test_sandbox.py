from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_testgen.cli import main
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.runner import sandbox
from llm_testgen.runner.cgroup import ControlGroup
from llm_testgen.runner.guest import kernel, landlock
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.launcher import Confinement, Entry
from llm_testgen.runner.sandbox import Policy, Sandbox, detect, open_sandbox

ENVIRON = {"PATH": os.environ["PATH"]}

linux = pytest.mark.skipif(not kernel.IS_LINUX, reason="layers are Linux's")


@pytest.fixture(scope="module")
def interpreter():
    return inspect(Path(sys.executable), ENVIRON)


@pytest.fixture(scope="module")
def found(interpreter) -> Sandbox:
    return detect(interpreter, ENVIRON)


def layer(found: Sandbox, name: str):
    (one,) = (layer for layer in found.layers if layer.name == name)
    return one


@linux
def test_layers_that_are_missing_come_with_advice(found):
    assert [layer.name for layer in found.layers if not layer.holds and not layer.advice] == []


@linux
def test_landlock_counts_only_when_it_refuses(interpreter, found, monkeypatch):
    if not found.confinement.landlock:
        pytest.skip("this kernel has no Landlock")
    assert layer(found, "Landlock").holds
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    without = detect(interpreter, ENVIRON)
    assert not layer(without, "Landlock").holds
    assert layer(without, "seccomp").holds == layer(found, "seccomp").holds


@linux
def test_where_namespaces_are_refused_the_other_layers_are_left_and_the_reason_is_kept(interpreter, monkeypatch):
    tried = sandbox._try

    def refused(confinement, *rest):
        if confinement.isolated:
            msg = "unshare: Operation not permitted"
            raise ProjectError(msg)
        return tried(confinement, *rest)

    monkeypatch.setattr(sandbox, "_try", refused)
    left = detect(interpreter, ENVIRON)
    assert left.confinement.entry is Entry.NONE
    assert left.confinement.landlock == (landlock.abi() > 0)
    assert left.problem == "unshare: Operation not permitted"
    names = {layer.name for layer in left.missing}
    assert {"user namespace", "network namespace", "fresh copy of the tree"} <= names
    if left.confinement.landlock:
        assert layer(left, "Landlock").holds
        assert "doctor" in left.notes[0]


def test_strict_refuses_where_a_layer_is_missing(interpreter, monkeypatch):
    lacking = Sandbox(Confinement(landlock=True), (sandbox.Layer("seccomp", "calls", holds=False, advice="get one"),))
    monkeypatch.setattr(sandbox, "detect", lambda *_: lacking)
    with pytest.raises(UsageError, match="lacks: seccomp; 'llm-testgen doctor'"):
        open_sandbox(Policy.STRICT, interpreter, ENVIRON)
    assert open_sandbox(Policy.AUTO, interpreter, ENVIRON) is lacking


def test_auto_refuses_where_there_is_nothing_worth_the_name(interpreter, monkeypatch):
    monkeypatch.setattr(sandbox, "detect", lambda *_: Sandbox(Confinement(), ()))
    with pytest.raises(UsageError, match="--sandbox off"):
        open_sandbox(Policy.AUTO, interpreter, ENVIRON)


def test_off_says_so(interpreter):
    off = open_sandbox(Policy.OFF, interpreter, ENVIRON)
    assert off.confinement == Confinement()
    assert off.notes[0].startswith("tests ran without a sandbox")


def test_where_all_layers_hold_there_is_nothing_to_say():
    whole = Sandbox(
        Confinement(landlock=True),
        (sandbox.Layer("a", "b", holds=True), sandbox.Layer("c", "d", holds=False, optional=True)),
    )
    assert (whole.missing, whole.notes) == ((), ())


@linux
def test_bubblewrap_is_a_way_in(interpreter):
    """An ordinary user's way, shown with the program that its package brings."""
    program = sandbox._bubblewrap()
    if program is None:
        pytest.skip("there is no bubblewrap here")
    plain = next(iter(sandbox._ways(interpreter)))
    confinement = replace(plain, entry=Entry.BUBBLEWRAP, bubblewrap=program, user=None)
    facts = sandbox._try(confinement, interpreter, ENVIRON)
    assert not facts.reads_forbidden
    assert not facts.writes_forbidden
    assert all(sandbox._differs(name, link) for name, link in facts.namespaces.items())


@linux
def test_doctor_names_each_layer(found):
    result = CliRunner().invoke(main, ["doctor", "--python", sys.executable])
    assert result.exit_code == 0, result.output
    for one in found.layers:
        assert re.search(rf"^{re.escape(one.name)} +{'holds' if one.holds else 'missing'}", result.output, re.MULTILINE)


def test_doctor_fails_where_nothing_confines(monkeypatch):
    monkeypatch.setattr("llm_testgen.commands.doctor.detect", lambda *_: Sandbox(Confinement(), ()))
    result = CliRunner().invoke(main, ["doctor", "--python", sys.executable])
    assert result.exit_code == 2
    assert "--sandbox off" in result.stderr


@linux
def test_a_control_group_bounds_memory_and_is_removed():
    group = ControlGroup.make(256 << 20, 50)
    if group is None:
        pytest.skip("no control groups can be made here")
    join = "".join(f"open({path!r}, 'w').write('0');" for path in group.entrances)
    code = f"{join}x = bytearray(400 << 20); print('had them')"
    try:
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    finally:
        group.delete()
    assert ended.stdout == ""
    assert ended.returncode != 0
    assert not any(folder.exists() for folder in group.folders)


@linux
def test_groups_that_a_killed_run_left_behind_are_removed():
    group = ControlGroup.make(256 << 20, 50)
    if group is None:
        pytest.skip("no control groups can be made here")
    left = [folder.with_name("llm-testgen-999999999-1") for folder in group.folders]
    for folder in left:
        folder.mkdir()
    another = ControlGroup.make(256 << 20, 50)
    assert not any(folder.exists() for folder in left)
    assert all(folder.exists() for folder in group.folders)
    for made in (group, another):
        made.delete()


@linux
def test_the_bot_hides_its_memory():
    code = "from llm_testgen.runner.sandbox import hide_memory; hide_memory(); import os; print(os.stat('/proc/self/environ').st_uid)"
    if os.geteuid() == 0:
        code = code.replace("import os;", "import os; os.setgid(65534); os.setuid(65534); hide_memory();")
    bot = str(Path(__file__).parents[2] / "bot")
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": bot}, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == "0\n", ended.stderr
