from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from llm_testgen.bench.accounting import Cost, execute, require_accounting, tree_cpu

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
# A child that burns as much as its parent, and that is waited for.
BURN_TWICE = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}], check=True)\n{BURN}"
STAY = "\nimport sys\nprint('done', flush=True)\nsys.stdin.read()\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")


def executed(code, tmp_path, seconds=60.0):
    command = [sys.executable, "-c", code]
    return asyncio.run(execute(command, tmp_path, {}, tmp_path / "output.txt", seconds))


def test_costs_add_up():
    assert Cost(1.0, 2.0) + Cost(0.5, 0.25) == Cost(1.5, 2.25)


def test_a_command_costs_what_it_burns(tmp_path):
    finished = executed(BURN, tmp_path)
    assert finished.status == 0
    assert 0.29 < finished.cost.cpu < 0.6
    assert finished.cost.seconds >= 0.29


def test_a_command_costs_what_its_children_burn_too(tmp_path):
    assert 0.59 < executed(BURN_TWICE, tmp_path).cost.cpu < 1.2


def test_waiting_costs_time_and_no_cpu(tmp_path):
    cost = executed("import time; time.sleep(0.5)", tmp_path).cost
    assert cost.seconds >= 0.5
    assert cost.cpu < 0.3


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path):
    code = "import os, time\nos.fork()\nwhile True: time.sleep(0.05); open(f'{os.getpid()}', 'w').write('x')"
    finished = executed(code, tmp_path, seconds=1.0)
    assert finished.timed_out
    assert finished.status == -9
    assert finished.cost.seconds < 10
    left = {path: path.unlink() for path in tmp_path.glob("[0-9]*")}
    time.sleep(0.3)
    assert len(left) == 2
    assert not list(tmp_path.glob("[0-9]*"))


def test_what_a_command_prints_is_kept(tmp_path):
    executed("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (tmp_path / "output.txt").read_text().split() == ["err", "out"]


def test_the_tree_holds_this_process():
    before, own = tree_cpu(), time.process_time()
    while time.process_time() < own + 0.2:
        pass
    assert tree_cpu() - before == pytest.approx(time.process_time() - own, abs=0.05)


@pytest.mark.parametrize(("code", "burnt"), [(BURN, 0.3), (BURN_TWICE, 0.6)])
def test_the_tree_holds_children_that_live_and_what_they_waited_for(code, burnt):
    before = tree_cpu()
    with subprocess.Popen([sys.executable, "-c", code + STAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"done\n"
        living = tree_cpu() - before
        child.stdin.close()
    ended = tree_cpu() - before
    assert burnt - 0.05 < living < 2 * burnt
    # Nothing is counted twice, and nothing is lost, when it ends.
    assert ended == pytest.approx(living, abs=0.1)


def test_linux_has_what_is_needed():
    require_accounting()
