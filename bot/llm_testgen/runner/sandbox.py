"""The sandbox: which layers this machine has, found out by trying them, and which of them a run is given."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import Snapshot
from llm_testgen.runner.cgroup import ControlGroup
from llm_testgen.runner.guest import kernel, landlock, seccomp
from llm_testgen.runner.interpreter import Interpreter, environment, received
from llm_testgen.runner.launcher import GUEST, GUEST_NAME, Confinement, Entry, Start, launch_command, scratch_of
from llm_testgen.runner.tree import TreeCopy

_CHECK_SECONDS = 30.0
# The user that owns nothing; root becomes it.
_NOBODY = 65_534
_ANY_MEMORY = 1 << 30
_ANY_PROCESSES = 100
_NAMESPACES = ("user", "pid", "mnt", "net", "ipc")
_USERNS_ADVICE = (
    "allow user namespaces: 'sysctl -w kernel.unprivileged_userns_clone=1' or, on Ubuntu 24.04,"
    " 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'; in Docker run with"
    " '--security-opt seccomp=unconfined --security-opt apparmor=unconfined'"
)


class Policy(StrEnum):
    """What to do where layers of the sandbox are missing."""

    AUTO = "auto"
    STRICT = "strict"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the sandbox on this machine.

    Attributes:
        name: What it is called.
        stops: What it is there for.
        holds: Whether a process that was started in it is bound by it.
        advice: What to do when it is missing.
        optional: Whether the others make up for it.
    """

    name: str
    stops: str
    holds: bool
    advice: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What runs are confined by.

    Attributes:
        confinement: How they are started.
        layers: All layers, those that are missing too.
        problem: Why namespaces cannot be had, in the kernel's words; empty where they can.
    """

    confinement: Confinement
    layers: tuple[Layer, ...]
    problem: str = ""

    @property
    def missing(self) -> tuple[Layer, ...]:
        """Layers that this machine lacks and that matter."""
        return tuple(layer for layer in self.layers if not layer.holds and not layer.optional)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it: nothing where all layers hold."""
        if not self.missing:
            return ()
        if self.confinement == Confinement():
            return ("tests ran without a sandbox: what a model wrote could read and change what you can",)
        names = ", ".join(layer.name for layer in self.missing)
        return (f"the sandbox lacks: {names} ('llm-testgen doctor' says what to do)",)


class _Facts(BaseModel):
    """What the guest found out about itself."""

    model_config = ConfigDict(frozen=True)

    namespaces: dict[str, str]
    writable: bool
    reads_forbidden: bool
    writes_forbidden: bool
    writes_landlocked: bool
    seccomp: bool
    no_new_privileges: bool
    capabilities: bool
    root: bool
    interfaces: tuple[str, ...]
    pytest: bool
    coverage: bool


class _Refused(BaseModel):
    """What the launcher says when it cannot start a guest."""

    launch: str


def open_sandbox(policy: Policy, interpreter: Interpreter, environ: Mapping[str, str]) -> Sandbox:
    """The best sandbox of this machine, as the policy wants it.

    Raises:
        UsageError: ``strict`` was asked for and a layer is missing, or there is no layer worth the name.
    """
    if policy is Policy.OFF:
        return Sandbox(Confinement(), _layers(None, Confinement()))
    sandbox = detect(interpreter, environ)
    if policy is Policy.STRICT and sandbox.missing:
        names = ", ".join(layer.name for layer in sandbox.missing)
        msg = f"--sandbox strict, but this machine lacks: {names}; 'llm-testgen doctor' says what to do"
        raise UsageError(msg)
    if not (sandbox.confinement.landlock or sandbox.confinement.isolated):
        msg = (
            "this machine has neither Landlock nor user namespaces to confine what a model wrote:"
            " 'llm-testgen doctor' says what to do; --sandbox off runs it unconfined"
        )
        raise UsageError(msg)
    return sandbox


def hide_memory() -> None:
    """Keep other processes of the same user from reading this one's memory and environment."""
    kernel.set_dumpable(dumpable=False)


def detect(interpreter: Interpreter, environ: Mapping[str, str]) -> Sandbox:
    """Try the ways into a sandbox, the strongest first, and see what holds in the first that works."""
    problem = ""
    for confinement in _ways(interpreter):
        try:
            facts = _try(confinement, interpreter, environ)
        except ProjectError as error:
            problem = problem or str(error)
            continue
        return Sandbox(confinement, _layers(facts, confinement), "" if confinement.isolated else problem)
    return Sandbox(Confinement(), _layers(None, Confinement()), problem)


def _ways(interpreter: Interpreter) -> Iterator[Confinement]:
    """Confinements that may work here, the strongest first."""
    if not kernel.IS_LINUX:
        return
    plain = Confinement(
        landlock=landlock.abi() > 0,
        seccomp=seccomp.supported(),
        groups=_can_group(),
        visible=tuple(map(_real, interpreter.folders)),
    )
    nobody = _another_user()
    if nobody is not None:
        # The kernel exempts the real root from its limits, so root becomes somebody else where it may.
        yield replace(plain, entry=Entry.UNSHARE, user=nobody)
        yield replace(plain, entry=Entry.UNSHARE)
    elif (bubblewrap := _bubblewrap()) is not None:
        yield replace(plain, entry=Entry.BUBBLEWRAP, bubblewrap=bubblewrap)
        yield replace(plain, entry=Entry.UNSHARE)
    else:
        yield replace(plain, entry=Entry.UNSHARE)
    if plain.landlock or plain.seccomp:
        if nobody is not None:
            yield replace(plain, user=nobody)
        yield plain


def _can_group() -> bool:
    made = ControlGroup.make(_ANY_MEMORY, _ANY_PROCESSES)
    if made is not None:
        made.delete()
    return made is not None


def _real(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - a link must stay one


def _another_user() -> tuple[int, int] | None:
    """Whom root becomes; None for an ordinary user."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return entry.pw_uid, entry.pw_gid


def _bubblewrap() -> Path | None:
    """The program: on the path, or beside the interpreter, where its package puts it."""
    found = shutil.which("bwrap") or shutil.which("bwrap", path=str(Path(sys.executable).parent))
    return Path(found) if found else None


def _try(confinement: Confinement, interpreter: Interpreter, environ: Mapping[str, str]) -> _Facts:
    """Start a guest in a confinement and have it look around.

    Raises:
        ProjectError: It does not start, or cannot do what tests need.
    """
    tree = TreeCopy(Snapshot("", (), lambda _: b""), {}, confinement.user)
    try:
        outside = tree.home.with_name(f"{tree.home.name}-outside")
        outside.write_text("secret", encoding="ascii")
        outside.chmod(0o666)
        try:
            answer, said = _ask(confinement, tree, interpreter, environ, outside)
        finally:
            outside.unlink()
    finally:
        tree.delete()
    try:
        facts = _Facts.model_validate_json(answer)
    except ValidationError as error:
        raise ProjectError(_refusal(answer) or said or "the guest did not start") from error
    if not (facts.writable and facts.pytest):
        msg = "the interpreter cannot work in there"
        raise ProjectError(msg)
    return facts


def _ask(
    confinement: Confinement, tree: TreeCopy, interpreter: Interpreter, environ: Mapping[str, str], outside: Path
) -> tuple[bytes, str]:
    shutil.copytree(GUEST, tree.tools / GUEST_NAME, ignore=shutil.ignore_patterns("__pycache__"))
    scratch = scratch_of(confinement, tree, 0)
    variables = environment(environ, scratch)
    if not confinement.isolated:
        make_scratch(tree, scratch)
    start = Start([str(interpreter.path), str(tree.tools / GUEST_NAME / "__main__.py")], scratch)
    request = {
        "mode": "check",
        "writable": [str(scratch / "probe")],
        "forbidden": [str(outside)],
        # Of the copy of the tree only what lies beside it is writable by all other layers.
        "landlocked": [str(tree.box / "probe")],
    }
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(json.dumps(request).encode() + b"\n")
        try:
            finished = subprocess.run(
                launch_command(confinement, tree, start),
                cwd=tree.home,
                env=variables,
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return b"", str(error)
        its.close()
        answer = received(ours)
    return answer, finished.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]


def make_scratch(tree: TreeCopy, scratch: Path) -> None:
    """A folder for a guest without namespaces to write to."""
    folders = (scratch, scratch / "home", scratch / "tmp")
    for folder in folders:
        folder.mkdir()
    tree.give(*folders)


def _refusal(answer: bytes) -> str:
    try:
        return _Refused.model_validate_json(answer).launch
    except ValidationError:
        return ""


def _layers(facts: _Facts | None, confinement: Confinement) -> tuple[Layer, ...]:
    own = {name: facts is not None and _differs(name, facts.namespaces.get(name, "")) for name in _NAMESPACES}
    linux = "needs Linux" if not kernel.IS_LINUX else ""
    names = {"user": "user", "pid": "process", "mnt": "mount", "net": "network", "ipc": "IPC"}
    stops = {
        "user": "privileges on the machine",
        "pid": "seeing, signalling and outliving other processes",
        "mnt": "reading and writing the machine's files",
        "net": "every connection",
        "ipc": "shared memory and semaphores that outlive a test",
    }
    return (
        *(Layer(f"{names[key]} namespace", stops[key], own[key], linux or _USERNS_ADVICE) for key in _NAMESPACES),
        Layer(
            "Landlock",
            "reading and writing files, signalling the bot",
            facts is not None and confinement.landlock and not (facts.writes_landlocked or facts.writes_forbidden),
            linux or "use a kernel of version 5.13 or later with landlock in its 'lsm=' list",
        ),
        Layer(
            "seccomp",
            "system calls that no test needs",
            facts is not None and facts.seccomp,
            linux or "use a kernel with CONFIG_SECCOMP_FILTER on x86-64 or aarch64",
        ),
        Layer(
            "no new privileges", "set-uid programs such as sudo", facts is not None and facts.no_new_privileges, linux
        ),
        Layer(
            "no capabilities",
            "what root may do",
            facts is not None and not facts.capabilities,
            linux or "do not run as root",
        ),
        Layer(
            "ordinary user", "owning the machine's files", facts is not None and not facts.root, "do not run as root"
        ),
        Layer(
            "fresh copy of the tree",
            "changes that a later test would see, a full disk",
            own["mnt"],
            linux or _USERNS_ADVICE,
        ),
        Layer(
            "control group",
            "memory of all processes and files together",
            confinement.groups,
            linux or "run as root, or in a delegated group: 'systemd-run --user --scope -p Delegate=yes llm-testgen …'",
            optional=True,
        ),
        Layer("unreadable bot", "reading the bot's memory and environment", kernel.IS_LINUX, linux),
        Layer("resource limits", "endless loops, memory, huge files, fork bombs", True),  # noqa: FBT003
        Layer("own environment", "secrets in variables, the home folder, caches", True),  # noqa: FBT003
        Layer("reaper", "processes that outlive their test", True),  # noqa: FBT003
    )


def _differs(name: str, link: str) -> bool:
    try:
        return bool(link) and link != os.readlink(f"/proc/self/ns/{name}")  # noqa: PTH115
    except OSError:
        return False
