from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from llm_testgen.runner.guest import landlock

BOT = Path(__file__).parents[3] / "bot"

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


def confined(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own, with `restrict` at hand."""
    start = "import os, signal, socket, sys\nfrom llm_testgen.runner.guest.landlock import restrict\n"
    return subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(code), *map(str, arguments)],
        env={"PYTHONPATH": str(BOT)},
        text=True,
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_only_what_is_writable_can_be_written(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    result = confined(
        """
        restrict(writable=[sys.argv[1]])
        open(sys.argv[1] + "/a", "w").close()
        os.rename(sys.argv[1] + "/a", sys.argv[1] + "/b")
        try:
            open(sys.argv[2] + "/a", "w")
        except PermissionError:
            print("refused")
        """,
        inside,
        outside,
    )
    assert (result.stdout, result.stderr) == ("refused\n", "")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


def test_what_exists_can_be_neither_truncated_nor_removed(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("text")
    confined("restrict(writable=[])\ntry:\n    os.truncate(sys.argv[1], 0)\nfinally:\n    os.unlink(sys.argv[1])", kept)
    assert kept.read_text() == "text"


def test_only_what_is_readable_can_be_read(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "open").write_text("x")
    result = confined(
        """
        restrict(readable=["/usr", "/lib", "/lib64", sys.argv[2]])
        print(open(sys.argv[2]).read())
        print(open(sys.argv[1]).read())
        """,
        tmp_path / "secret",
        tmp_path / "open",
    )
    assert result.stdout == "x\n"
    assert "PermissionError" in result.stderr


@pytest.mark.skipif(landlock.abi() < landlock.TCP_SINCE, reason="this kernel's Landlock does not know of TCP")
def test_no_connection_by_tcp():
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "restrict({})\nsocket.create_connection(('127.0.0.1', int(sys.argv[1])))"
        assert confined(code.format(""), server.getsockname()[1]).returncode == 0
        refused = confined(code.format("tcp=False"), server.getsockname()[1])
    assert "PermissionError" in refused.stderr


@pytest.mark.skipif(landlock.abi() < landlock.SCOPES_SINCE, reason="this kernel's Landlock does not know of signals")
def test_no_signal_to_a_process_outside_but_to_a_child():
    code = """
        restrict(outside=False)
        child = os.fork()
        if not child:
            signal.pause()
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.kill(int(sys.argv[1]), 0)
    """
    result = confined(code, os.getpid())
    assert result.stdout == "-9\n"
    assert "PermissionError" in result.stderr


def test_nothing_to_take_away_is_no_error():
    assert confined("restrict()").stderr == ""


def test_what_is_not_there_needs_no_right(tmp_path):
    assert confined("restrict(writable=[sys.argv[1]])", tmp_path / "none").stderr == ""
