"""A run of another test generator: on a copy of the tree, in the sandbox, with the model's proxy as all its network."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.bench import peer_guest
from llm_testgen.bench.peers import Peer, PeerCase
from llm_testgen.bench.proxy import Proxy, Purse
from llm_testgen.bench.proxy_server import serving
from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.runner.cgroup import ControlGroup
from llm_testgen.runner.interpreter import environment
from llm_testgen.runner.launcher import GUEST, GUEST_NAME, Confinement, Start, launch_command, scratch_of
from llm_testgen.runner.process import Guest
from llm_testgen.runner.sandbox import make_scratch
from llm_testgen.runner.tree import TreeCopy

_GRACE_SECONDS = 30.0
_MEMORY = 8 << 30
_PROCESSES = 1024
_NUMBERS = itertools.count(1)
# Nothing is to be sent to anybody but the model: there is no way out of the sandbox, and waiting for one takes time.
# A model on a few cores may take longer than the ten minutes that LiteLLM waits.
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "REQUEST_TIMEOUT": "3600",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1",
}


class PeerRun(BaseModel):
    """What a generator did with a case.

    Attributes:
        peer: Which one.
        version: Of it.
        case: Which one.
        statuses: How its commands ended, by sequence.
        timed_out: Whether the time was up before it was done.
        seconds: How long it took.
        files: The tests that it left, as path → text: files that are new, and those that it changed.
        said: The last line that it printed that names an error, else the last line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    peer: str
    version: str
    case: str
    statuses: tuple[tuple[int, ...], ...]
    timed_out: bool
    seconds: float
    files: dict[str, str]
    said: str

    @property
    def failed(self) -> bool:
        """Whether any command did not end well."""
        return any(status for sequence in self.statuses for status in sequence) or not self.statuses


class _Answer(BaseModel):
    """What comes out of the sandbox."""

    model_config = ConfigDict(frozen=True)

    statuses: tuple[tuple[int, ...], ...]
    timed_out: bool
    files: dict[str, str]


class _Refused(BaseModel):
    """What the launcher says when it cannot start anything."""

    launch: str


@dataclass(frozen=True, slots=True)
class PeerMachine:
    """Where generators run.

    Attributes:
        confinement: The sandbox.
        environ: The bot's own environment, of which an allow-list is passed on.
        seconds: For one run.
    """

    confinement: Confinement
    environ: Mapping[str, str]
    seconds: float


def require_confined(confinement: Confinement, *, allowed: bool) -> Confinement:
    """See that generators may run here, and how: in namespaces of their own, or as the user has allowed, in nothing.

    Raises:
        UsageError: There are no namespaces, and nobody has allowed to do without.
    """
    if confinement.isolated:
        return confinement
    if not allowed:
        msg = (
            "other generators run what a model wrote by themselves, and this machine has no namespaces to keep them in"
            " ('llm-testgen doctor' says what to do): pass --allow-unconfined-peers to have them read and change"
            " whatever you can, and use the network"
        )
        raise UsageError(msg)
    return Confinement()


async def run_peer(peer: Peer, case: PeerCase, proxy: Proxy, purse: Purse, machine: PeerMachine) -> PeerRun:
    """Run a generator to its end, or until the time is up; nothing of it is left running.

    Args:
        peer: Which one.
        case: What for.
        proxy: The way to the model.
        purse: What it may spend there.
        machine: Where.

    Raises:
        ProjectError: It cannot be started, or the tree cannot be copied.
    """
    confinement = replace(machine.confinement, visible=(*machine.confinement.visible, *peer.folders))
    tree = TreeCopy(case.snapshot, {}, confinement.user)
    started = time.monotonic()
    try:
        before = {**peer.added(case)}
        for path, text in before.items():
            tree.add(path, text)
        shutil.copytree(GUEST, tree.tools / GUEST_NAME, ignore=shutil.ignore_patterns("__pycache__"))
        for script in (Path(peer_guest.__file__), *peer.tools()):
            shutil.copy(script, tree.tools)
        socket = tree.tools / "model.sock"
        async with serving(proxy, socket):
            answer, said = await _run(peer, case, tree, socket, purse, replace(machine, confinement=confinement))
    finally:
        tree.delete()
    known = {file.path: file for file in case.snapshot.files}
    for path in answer.files.keys() & known.keys():
        before[path] = case.snapshot.read(known[path]).decode("utf-8", "replace")
    return PeerRun(
        peer=peer.name,
        version=peer.version,
        case=case.name,
        statuses=answer.statuses,
        timed_out=answer.timed_out,
        seconds=round(time.monotonic() - started, 2),
        files={path: text for path, text in answer.files.items() if text != before.get(path)},
        said=said,
    )


async def _run(  # noqa: PLR0913, PLR0917 - all that a run is made of
    peer: Peer, case: PeerCase, tree: TreeCopy, socket: Path, purse: Purse, machine: PeerMachine
) -> tuple[_Answer, str]:
    confinement = machine.confinement
    number = next(_NUMBERS)
    scratch = scratch_of(confinement, tree, number)
    if not confinement.isolated:
        make_scratch(tree, scratch)
    roots = tuple(tree.root / root for root in case.source_roots)
    variables = {
        **environment(machine.environ, scratch, (*roots, tree.tools)),
        **_QUIET,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
    request = {
        "socket": str(socket),
        "seconds": machine.seconds,
        "sequences": peer.sequences(case, tree.tools),
        "environment": {
            "OPENAI_API_KEY": purse.name,
            "OPENAI_BASE_URL": "{endpoint}",
            "OPENAI_API_BASE": "{endpoint}",
        },
        "collect": peer.collected(case),
    }
    with _group(confinement) as groups:
        start = Start(
            [str(peer.python), "-I", str(tree.tools / Path(peer_guest.__file__).name)],
            scratch,
            may_write_tree=True,
            groups=groups,
        )
        guest = await Guest.start(
            launch_command(confinement, tree, start), tree.root, variables, tree.home / f"output-{number}.txt"
        )
        try:
            told = await guest.ask(request, machine.seconds + _GRACE_SECONDS)
        except TimeoutError:
            return _Answer(statuses=(), timed_out=True, files={}), "it did not end"
        finally:
            await guest.end()
    said = guest.take_output()
    try:
        return _Answer.model_validate_json(told or b""), said
    except ValidationError as error:
        msg = f"{peer.name} cannot be run: {_refusal(told or b'') or said or 'it ended without a word'}"
        raise ProjectError(msg) from error


@contextmanager
def _group(confinement: Confinement) -> Iterator[list[str]]:
    """A control group, as the files by which it is joined; none where there can be none."""
    made = ControlGroup.make(_MEMORY, _PROCESSES) if confinement.groups else None
    try:
        yield made.entrances if made else []
    finally:
        if made:
            made.delete()


def _refusal(told: bytes) -> str:
    try:
        return _Refused.model_validate_json(told).launch
    except ValidationError:
        return ""
