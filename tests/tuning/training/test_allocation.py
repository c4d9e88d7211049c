from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from llm_testgen.tuning.training import allocation

# Pages that the kernel fills while as much is freed as is needed next, many times over.
PROGRAM = """
import resource, sys
from llm_testgen.tuning.training.allocation import keep_memory
if "keep" in sys.argv:
    keep_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    [b"x" * 16_000_000 for _ in range(8)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# What is held after much was freed that lies between what was not, before and after it goes back.
HOLES = """
import sys
from llm_testgen.tuning.training import allocation
allocation.keep_memory()
before = allocation.held()
kept = [b"x" * size for _ in range(400) for size in (500_000, 50_000)]
most = allocation.held() - before
del kept[::2]
allocation.give_back(float(sys.argv[1]) * (before + most))
print((allocation.held() - before) / most)
"""


def share_held(*arguments):
    command = [sys.executable, "-c", HOLES, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def faults(*arguments):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc does")
def test_memory_that_was_freed_is_used_again():
    assert faults("keep") < faults() / 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc does")
def test_what_is_free_goes_back_where_too_much_is_held():
    assert share_held(2) > 0.8
    assert share_held(0.5) < 0.3


def test_where_the_system_does_not_tell_what_is_held_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(allocation, "_STATM", tmp_path / "none")
    assert allocation.held() == 0
    monkeypatch.setattr(allocation, "_glibc", lambda: pytest.fail("it was asked to give memory back"))
    allocation.give_back(0)
