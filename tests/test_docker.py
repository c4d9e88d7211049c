"""The images: what the Dockerfile promises, and the script that serves a model beside the tool.

No image is built here. What runs in place of vLLM is a small server that behaves as a test tells it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llm_testgen.cli import main

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docker" / "serve-and-run.sh"
SHELLCHECK = shutil.which("shellcheck")
DOCKERFILE = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines() if line]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

VLLM = """#!{python}
import http.server, os, pathlib, sys, time
folder, behaviour = pathlib.Path(os.environ["STUB_FOLDER"]), os.environ.get("STUB_VLLM", "")
(folder / "vllm.arguments").write_text("\\n".join(sys.argv[1:]))
(folder / "vllm.pid").write_text(str(os.getpid()))
print("loading the weights", flush=True)
if behaviour == "dies":
    print("CUDA out of memory", flush=True)
    sys.exit(9)
if behaviour == "hangs":
    time.sleep(60)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def do_POST(self):
        print("segmentation fault", flush=True)
        os._exit(11)
    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
# The real tool is asked for help alone.
TOOL = """#!/bin/sh
case $* in *--help) exec {python} -P -m llm_testgen "$@" ;; esac
printf '%s\\n' "$@" >"$STUB_FOLDER/tool.arguments"
echo the summary
case ${{STUB_TOOL:-}} in
  kills) kill -KILL "$(cat "$STUB_FOLDER/vllm.pid")"; sleep 0.3 ;;
  waits) trap 'echo told >"$STUB_FOLDER/tool.told"; exit 130' TERM; : >"$STUB_FOLDER/tool.waits"; while :; do sleep 0.1; done ;;
esac
exit 7
"""
README = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
# With an entry point of its own it is another program that is run.
SHOWN = re.findall(r"^docker run (?!.*--entrypoint).* llm-testgen(?::gpu)? +(.+)$", README, re.MULTILINE)


def stages():
    """The instructions of each stage, by its name, in order."""
    found, name = {}, ""
    for word, rest in INSTRUCTIONS:
        if word == "FROM":
            name = rest.rpartition(" AS ")[2]
        found.setdefault(name, []).append((word, rest))
    return found


STAGES = stages()


def values(stage, word):
    return [rest for each, rest in STAGES[stage] if each == word]


def test_hadolint_has_nothing_to_say():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_bases_can_be_given_by_their_digests():
    arguments = dict(rest.split("=", 1) for rest in values("", "ARG"))
    assert arguments.keys() == {"PYTHON_IMAGE", "VLLM_IMAGE"}
    assert all(re.fullmatch(r"docker\.io/[\w/-]+:v?[\d.]+\S*", image) for image in arguments.values())
    bases = {name: values(name, "FROM")[0].partition(" ")[0] for name in STAGES if name}
    assert {bases["builder"], bases["bot"]} == {"${PYTHON_IMAGE}"}
    assert {bases["gpu-builder"], bases["gpu"]} == {"${VLLM_IMAGE}"}


def test_the_last_stage_is_the_tool_alone():
    assert list(STAGES)[-1] == "bot"
    assert values("bot", "ENTRYPOINT") == ['["llm-testgen"]']
    assert values("gpu", "ENTRYPOINT") == ['["serve-and-run"]']


@pytest.mark.parametrize("stage", ["bot", "gpu"])
def test_an_image_runs_as_an_ordinary_user_in_the_mounted_checkout(stage):
    assert values(stage, "USER") == ["10001:10001"]
    assert values(stage, "WORKDIR") == ["/repo"]
    environment = dict(pair.split("=", 1) for rest in values(stage, "ENV") for pair in rest.split())
    # Any other user has to be able to write there too.
    assert f"install -d -m 1777 {environment['HOME']} {environment['LLM_TESTGEN_CACHE']}" in values(stage, "RUN")[-1]
    assert environment["PATH"].startswith("/opt/llm-testgen/bin:")
    assert "COPY docker/gitconfig /etc/gitconfig" in map(" ".join, STAGES[stage])
    assert any(f"--from={base} /opt/llm-testgen" in rest for base in STAGES for rest in values(stage, "COPY"))


def test_git_trusts_the_mounted_checkout_and_nothing_else():
    command = ["git", "config", "--file", ROOT / "docker" / "gitconfig", "--list"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "safe.directory=/repo\n"


@pytest.mark.parametrize("stage", ["builder", "gpu-builder"])
def test_all_that_is_installed_is_locked_by_its_hash(stage):
    installed = [step for rest in values(stage, "RUN") for step in rest.split(" && ") if "pip install" in step]
    assert len(installed) == 2
    assert re.fullmatch(r"pip install --require-hashes --no-deps -r requirements/\S+\.txt", installed[0])
    assert installed[1] == "pip install --no-deps --no-build-isolation ."


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage])
def test_what_is_copied_is_there_and_reaches_the_build(stage):
    for rest in values(stage, "COPY"):
        if "--from=" in rest:
            continue
        *sources, _ = (word for word in rest.split() if not word.startswith("--"))
        for source in sources:
            assert (ROOT / source.replace("${REQUIREMENTS}", "local")).exists()
            assert f"!{source.partition('/')[0]}" in IGNORED


def test_nothing_else_reaches_a_build():
    assert IGNORED[0] == "*"
    taken = {line[1:] for line in IGNORED if line.startswith("!")}
    assert taken == {"LICENSE", "README.md", "bot", "docker", "prompts", "pyproject.toml", "requirements"}
    assert taken.isdisjoint({".git", ".venv", ".env", ".llm-testgen"})


def test_the_script_is_one_that_every_shell_can_run():
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run(["/bin/sh", "-n", SCRIPT], check=True)


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say():
    done = subprocess.run([SHELLCHECK, "--shell=sh", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_help_of_a_command_says_whether_it_asks_a_model():
    assert " --endpoint " in CliRunner().invoke(main, ["propose", "--help"]).output
    assert " --endpoint " not in CliRunner().invoke(main, ["doctor", "--help"]).output


@pytest.mark.parametrize("arguments", SHOWN)
def test_what_the_readme_runs_in_an_image_is_understood(arguments):
    context = click.Context(main)
    name, command, rest = main.resolve_command(context, shlex.split(arguments))
    command.make_context(name, rest, parent=context, resilient_parsing=isinstance(command, click.Group))


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _heed_signals():
    """What runs in the background of a shell ignores SIGINT, and its children with it: a shell cannot trap it then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Scene:
    """The script with a server and a tool that behave as told."""

    def __init__(self, folder):
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "python3").symlink_to(sys.executable)
        for name, text in (("vllm", VLLM), ("llm-testgen", TOOL)):
            (programs / name).write_text(text.format(python=sys.executable))
            (programs / name).chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "bot"),
            "TMPDIR": str(folder),
            "STUB_FOLDER": str(folder),
            "LLM_TESTGEN_MODEL": "org/model",
            "LLM_TESTGEN_VLLM_PORT": str(self.port),
            "LLM_TESTGEN_VLLM_TIMEOUT": "30",
            # A proxy that reaches nothing.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }

    def start(self, *arguments, **environment):
        variables = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        return subprocess.Popen(
            [SCRIPT, *arguments],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_signals,  # noqa: PLW1509 - no thread of the tests holds a lock that it needs
        )

    def run(self, *arguments, **environment):
        """The exit code, and what was said on standard output and on standard error."""
        with self.start(*arguments, **environment) as process:
            out, said = process.communicate(timeout=60)
        return process.returncode, out, said

    def told(self, name):
        """The arguments that one of the programs was started with; None if it was not."""
        path = self.folder / f"{name}.arguments"
        return path.read_text().split("\n") if path.exists() else None

    def server_runs(self):
        try:
            os.kill(int((self.folder / "vllm.pid").read_text()), 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):  # not there, not yet written, gone
            return False
        return True

    def listens(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def left_over(self):
        """Files of the script that are still there."""
        return sorted(path.name for path in self.folder.glob("tmp.*"))


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path)
    yield scene
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((tmp_path / "vllm.pid").read_text()), signal.SIGKILL)


def test_the_tool_runs_with_the_served_model_and_its_exit_code_counts(scene):
    code, out, said = scene.run("propose", "--base", "origin/main", "--out", "a b", LLM_TESTGEN_VLLM_ARGS="--seed 1")
    assert (code, out) == (7, "the summary\n"), said
    serve = ["serve", "org/model", "--host", "127.0.0.1", "--port", str(scene.port), "--seed", "1", ""]
    assert scene.told("vllm") == serve[:-1]
    endpoint = ["--endpoint", f"http://127.0.0.1:{scene.port}/v1", "--model", "org/model", ""]
    assert scene.told("tool") == ["propose", "--base", "origin/main", "--out", "a b", *endpoint]
    assert said == "serve-and-run: waiting for vLLM to load org/model\n"
    assert not scene.server_runs()
    assert scene.left_over() == []


def adapter_in(folder, **settings):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 24} | settings))
    (folder / "adapter_model.safetensors").write_bytes(b"matrices")
    return folder


@pytest.mark.parametrize(
    ("settings", "room"), [({}, "32"), ({"r": 8}, "8"), ({"rank_pattern": {"q_proj": 100}}, "128")]
)
def test_an_adapter_is_served_and_asked_by_a_name_of_its_own(scene, tmp_path, settings, room):
    folder = adapter_in(tmp_path / "my run", **settings)
    code, _, said = scene.run("propose", LLM_TESTGEN_ADAPTER=str(folder), LLM_TESTGEN_VLLM_ARGS="--seed 1")
    assert code == 7, said
    name = f"my run-{hashlib.sha256(b'matrices').hexdigest()[:8]}"
    lora = ["--enable-lora", "--lora-modules", f"{name}={folder}", "--max-lora-rank", room]
    assert scene.told("vllm") == [
        *("serve", "org/model", "--host", "127.0.0.1", "--port", str(scene.port)),
        *(*lora, "--seed", "1"),
    ]
    assert scene.told("tool")[-3:] == ["--model", name, ""]
    assert scene.left_over() == []


@pytest.mark.parametrize("settings", [None, {"r": "many"}, {"r": 4096}])
def test_what_is_no_adapter_is_said_before_anything_is_served(scene, tmp_path, settings):
    folder = tmp_path / "run" if settings is None else adapter_in(tmp_path / "run", **settings)
    folder.mkdir(exist_ok=True)
    code, _, said = scene.run("propose", LLM_TESTGEN_ADAPTER=str(folder))
    assert code == 2
    assert f"LLM_TESTGEN_ADAPTER is {folder}, which is no LoRA adapter of peft" in said
    assert scene.told("vllm") is None
    assert scene.left_over() == []


def test_a_server_that_dies_is_not_waited_for(scene):
    started = time.monotonic()
    code, _, said = scene.run("propose", STUB_VLLM="dies")
    assert code == 2
    assert "CUDA out of memory\nserve-and-run: vLLM ended with exit code 9 before it served org/model" in said
    assert time.monotonic() - started < 20
    assert scene.told("tool") is None
    assert scene.left_over() == []


def test_a_server_that_never_gets_ready_is_given_up(scene):
    code, _, said = scene.run("propose", STUB_VLLM="hangs", LLM_TESTGEN_VLLM_TIMEOUT="1")
    assert code == 2
    assert "loading the weights\nserve-and-run: vLLM was not ready after 1 seconds" in said
    assert scene.told("tool") is None
    assert not scene.server_runs()


def test_a_server_that_dies_during_the_run_is_told_of(scene):
    code, _, said = scene.run("propose", STUB_TOOL="kills")
    assert code == 7
    assert said.endswith("serve-and-run: vLLM ended while llm-testgen ran; its last words are above\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_tool_and_the_server(scene, number, code):
    with scene.start("propose", STUB_TOOL="waits") as process:
        wait_until((scene.folder / "tool.waits").exists)
        process.send_signal(number)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code
    assert (scene.folder / "tool.told").exists()
    assert not scene.server_runs()
    assert scene.left_over() == []


def test_a_signal_while_the_model_is_loaded_ends_the_server(scene):
    with scene.start("propose", STUB_VLLM="hangs") as process:
        wait_until(scene.server_runs)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 143
    assert scene.told("tool") is None
    assert not scene.server_runs()


def test_a_port_that_is_taken_is_no_server_of_ours(scene):
    stub = scene.folder / "bin" / "vllm"
    with subprocess.Popen([stub, "--port", str(scene.port)], env=scene.environment, stdout=subprocess.DEVNULL) as other:
        wait_until(scene.listens)
        code, _, said = scene.run("propose")
        other.kill()
    assert code == 2
    assert f"port {scene.port} is taken by another server" in said
    assert scene.told("tool") is None


def test_a_model_has_to_be_named(scene):
    code, _, said = scene.run("propose", LLM_TESTGEN_MODEL=None)
    assert (code, said) == (2, "serve-and-run: no model: set LLM_TESTGEN_MODEL to the one that vLLM is to serve\n")


@pytest.mark.parametrize("arguments", [["doctor"], ["--version"], ["--debug", "index", "--json"], []])
def test_what_asks_no_model_is_run_without_a_server(scene, arguments):
    code, out, said = scene.run(*arguments, LLM_TESTGEN_MODEL=None)
    assert (code, out, said) == (7, "the summary\n", "")
    assert scene.told("tool") == [*(arguments or [""]), ""]
    assert scene.told("vllm") is None


def test_help_is_given_without_a_server(scene):
    code, out, _ = scene.run("propose", "--help")
    assert code == 0
    assert "--endpoint" in out
    assert scene.told("vllm") is None
