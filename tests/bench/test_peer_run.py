"""Runs of stand-ins for other test generators: scripts that ask the model and write what it says into a test file."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.bench.test_proxy import Scripted, completion

from llm_testgen.bench.cover_agent import find_cover_agent
from llm_testgen.bench.exchanges import Exchanges
from llm_testgen.bench.peer_run import PeerMachine, PeerRun, require_confined, run_peer
from llm_testgen.bench.peers import PeerCase
from llm_testgen.bench.proxy import Budget, Proxy, Rules
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import ChangedMethod, ChangeStatus, Method, MethodKind, Snapshot, TreeFile
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.launcher import Confinement, Entry
from llm_testgen.runner.sandbox import detect

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

FILES = {"tiny.py": b"def f():\n    return 1\n", "tests/test_tiny.py": b"def test_f():\n    pass\n"}
METHOD = Method("tiny.py", "f", MethodKind.FUNCTION, 1, 2, "def f()", "", "def f():\n    return 1")
TARGET = ChangedMethod((METHOD,), frozenset({2}), ChangeStatus.MODIFIED)
CASE = PeerCase(
    "tiny",
    Snapshot("", tuple(TreeFile(path, path, executable=False) for path in FILES), lambda file: FILES[file.path]),
    (TARGET,),
    "tests",
    ("",),
    Path(sys.executable),
)
# Asks until it is refused, and writes each reply into a file of its own.
ASKS = """
import http.client, json, os, urllib.parse
where = urllib.parse.urlsplit(os.environ["OPENAI_BASE_URL"])
for number in range(9):
    connection = http.client.HTTPConnection(where.hostname, where.port)
    body = json.dumps({"model": "any", "messages": [{"role": "user", "content": str(number)}]})
    key = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    connection.request("POST", where.path + "/chat/completions", body, key)
    answer = json.loads(connection.getresponse().read())
    if "error" in answer:
        print("Error: " + answer["error"]["message"])
        break
    open(f"tests/test_new_{number}.py", "w").write(answer["choices"][0]["message"]["content"])
"""


# Has the command line of cover-agent, runs the tests as it does, and adds what the model says to the test file.
COVER_AGENT = f"""#!{sys.executable}
import argparse, http.client, json, os, subprocess, urllib.parse
parser = argparse.ArgumentParser()
for name in ("source-file-path", "test-file-path", "project-root", "code-coverage-report-path", "test-command",
             "test-command-dir", "coverage-type", "desired-coverage", "model", "api-base"):
    parser.add_argument("--" + name, required=True)
options = parser.parse_args()
subprocess.run(options.test_command, shell=True, check=True, cwd=options.test_command_dir)
assert options.source_file_path in open(options.code_coverage_report_path).read()
where = urllib.parse.urlsplit(options.api_base)
connection = http.client.HTTPConnection(where.hostname, where.port)
body = {{"model": options.model, "messages": [{{"role": "user", "content": "?"}}]}}
key = {{"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}}
connection.request("POST", where.path + "/chat/completions", json.dumps(body), key)
said = json.loads(connection.getresponse().read())["choices"][0]["message"]["content"]
open(options.test_file_path, "a").write(said)
"""


@dataclass(frozen=True)
class Stand:
    """A generator whose commands are scripts."""

    scripts: tuple[tuple[str, ...], ...]
    folders: tuple[Path, ...] = ()
    patterns: tuple[str, ...] = ("tests/test_*.py",)
    extra: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    name: str = "stand-in"
    version: str = "1"

    def added(self, case):
        return self.extra

    def tools(self):
        return ()

    def collected(self, case):
        return self.patterns

    def sequences(self, case, tools):
        return [[[sys.executable, "-c", script] for script in sequence] for sequence in self.scripts]


def run(peer, upstream=None, *, confinement=None, exchanges=None, **more):
    proxy = Proxy(Rules("real"), Exchanges() if exchanges is None else exchanges, upstream)
    purse = proxy.open_purse("key", Budget(25))
    machine = PeerMachine(confinement or Confinement(), os.environ, more.get("seconds", 60.0))
    return asyncio.run(run_peer(peer, more.get("case", CASE), proxy, purse, machine)), purse


@pytest.fixture(scope="module")
def here():
    found = inspect(Path(sys.executable), os.environ)
    confinement = detect(found, os.environ).confinement
    if not confinement.isolated:
        pytest.skip("this machine has no namespaces")
    return confinement


@pytest.mark.parametrize("confined", [False, True], ids=["unconfined", "in the sandbox"])
def test_a_generator_asks_until_its_budget_is_spent_and_its_tests_are_collected(confined, request):
    confinement = request.getfixturevalue("here") if confined else None
    upstream = Scripted(*[completion(f"def test_{number}(): pass\n") for number in range(3)])
    found, purse = run(Stand(((ASKS,),)), upstream, confinement=confinement)
    assert found.files == {f"tests/test_new_{number}.py": f"def test_{number}(): pass\n" for number in range(3)}
    assert (found.statuses, found.timed_out, found.failed) == (((0,),), False, False)
    assert found.said == "Error: the budget of 25 tokens is spent"
    # The last reply may be longer than what was left: that is the server's fault, and is counted.
    assert (purse.usage.tokens_out, purse.refused) == (30, 1)
    assert PeerRun.model_validate_json(found.model_dump_json()) == found


def test_a_run_is_replayed_without_a_model(tmp_path):
    path = tmp_path / "r.jsonl"
    first, purse = run(Stand(((ASKS,),)), Scripted(*[completion("x = 1\n")] * 3), exchanges=Exchanges.open(path))
    again, account = run(Stand(((ASKS,),)), exchanges=Exchanges.from_file(path))
    assert again.files == first.files
    assert (account.usage, account.unrecorded) == (purse.usage, 0)


def test_only_what_is_new_or_changed_is_collected():
    script = "open('tests/test_new.py', 'w').write('1'); open('tests/test_stub.py', 'a').write('more')"
    peer = Stand(((script,),), extra={"tests/test_stub.py": "stub ", "tests/test_same.py": "same"})
    found, _ = run(peer)
    assert found.files == {"tests/test_new.py": "1", "tests/test_stub.py": "stub more"}


def test_a_sequence_ends_where_a_command_fails_and_the_next_one_is_run():
    wrong, right = "raise SystemExit(3)", "open('tests/test_new.py', 'w').write('1')"
    found, _ = run(Stand(((wrong, right), (right,))))
    assert (found.statuses, found.failed, list(found.files)) == (((3,), (0,)), True, ["tests/test_new.py"])


def test_a_hanging_generator_is_ended_with_its_children_and_keeps_what_it_has_written(tmp_path):
    beat = tmp_path / "beat"
    child = f"import time\nwhile True: time.sleep(0.05); open({str(beat)!r}, 'w').write('x')"
    script = (
        "import subprocess, sys, time\nopen('tests/test_new.py', 'w').write('1')\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(600)"
    )
    started = time.monotonic()
    found, _ = run(Stand(((script, "pass"),)), seconds=2.0)
    assert time.monotonic() - started < 30
    assert (found.timed_out, found.statuses, found.files) == (True, ((-9,),), {"tests/test_new.py": "1"})
    beat.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not beat.exists()


def test_a_generator_sees_no_secret_and_a_home_of_its_own(monkeypatch):
    monkeypatch.setenv("LLM_API_KEY", "secret")
    script = "import os, json; open('tests/test_new.py', 'w').write(json.dumps(dict(os.environ)))"
    found, _ = run(Stand(((script,),)))
    seen = found.files["tests/test_new.py"]
    assert "secret" not in seen
    assert str(Path.home()) + '"' not in seen
    assert '"OPENAI_BASE_URL": "http://127.0.0.1:' in seen


def test_a_confined_generator_reaches_nothing_but_the_model(here, tmp_path):
    (tmp_path / "private").write_text("secret")
    script = (
        "import socket\n"
        "def tried(function, *arguments):\n"
        "    try: return 'yes' if function(*arguments) else 'no'\n"
        "    except OSError as error: return 'no'\n"
        f"told = [tried(open, {str(tmp_path / 'private')!r}), tried(socket.create_connection, ('1.1.1.1', 53), 1)]\n"
        "open('tests/test_new.py', 'w').write(' '.join(told))"
    )
    found, _ = run(Stand(((script,),)), confinement=here)
    assert found.files == {"tests/test_new.py": "no no"}


def test_a_generator_that_cannot_be_started_is_an_error(tmp_path):
    with pytest.raises(ProjectError, match="stand-in cannot be run"):
        run(Stand((("pass",),), python=tmp_path / "python"))


def test_a_command_that_is_not_there_is_a_failed_run():
    class Missing(Stand):
        def sequences(self, case, tools):
            return [[["/no/such/program"]]]

    found, _ = run(Missing(()))
    assert found.statuses == ((127,),)
    assert "/no/such/program cannot be started" in found.said


def test_cover_agent_extends_the_test_file_that_there_is(tmp_path):
    program = tmp_path / "cover-agent"
    # pytest-cov is the project's; what stands for it here writes the report where it was told to.
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'for given in "$@"; do case "$given" in --cov-report=xml:*) echo tiny.py > "${given#*xml:}";; esac; done\n'
    )
    program.write_text(COVER_AGENT)
    for path in (program, python):
        path.chmod(0o755)
    case = replace(CASE, python=python, test_files={"tiny.py": "tests/test_tiny.py"})
    upstream = Scripted(completion("def test_new(): pass\n"))
    found, purse = run(find_cover_agent(program, Path(sys.executable), ()), upstream, case=case)
    assert (found.statuses, found.peer) == (((0,),), "cover-agent")
    assert found.files == {"tests/test_tiny.py": FILES["tests/test_tiny.py"].decode() + "def test_new(): pass\n"}
    assert purse.replies == 1


def test_without_namespaces_generators_run_only_when_that_is_allowed():
    isolated, partly = Confinement(entry=Entry.UNSHARE, seccomp=True), Confinement(landlock=True, seccomp=True)
    assert require_confined(isolated, allowed=False) is isolated
    with pytest.raises(UsageError, match="--allow-unconfined-peers"):
        require_confined(partly, allowed=False)
    assert require_confined(partly, allowed=True) == Confinement()
