from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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


def faults(*arguments):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc does")
def test_memory_that_was_freed_is_used_again():
    assert faults("keep") < faults() / 3
