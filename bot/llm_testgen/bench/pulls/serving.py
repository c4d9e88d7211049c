"""What it takes to serve models: the memory of each, and its tokens a second, taken in turns on one machine."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.bench.pulls.tables import Table
from llm_testgen.bench.recordings import Recordings
from llm_testgen.edges.embedded import EmbeddedModel
from llm_testgen.edges.local import LocalModel, open_local
from llm_testgen.errors import ModelError

RECORDED = files("llm_testgen.bench") / "data" / "serving.jsonl"
ROUNDS = 3
_TOKENS = 64  # of a reply
_LINES = 60  # of the code in a prompt, which so has some 900 tokens: as many as a usual one
_TIMEOUT = 900.0
_MEGA = 1_000_000


class ServingRecord(BaseModel):
    """One model, served once.

    Attributes:
        model: Its name.
        run: What tells measurements that were taken in turns from others.
        size: Of its files, in bytes.
        memory: The most that its server held, in bytes; None where the system does not tell.
        load: Seconds until it could be asked.
        reading: Tokens of a prompt a second.
        writing: Tokens of a reply a second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    run: str
    size: int
    memory: int | None
    load: float
    reading: float
    writing: float


FILES = Recordings(ServingRecord, "measurements of serving", "--out")


class _Timings(BaseModel):
    """What the server's own clock says of one reply."""

    prompt_per_second: float
    predicted_per_second: float


class _Answer(BaseModel):
    timings: _Timings


async def measure(
    models: Mapping[str, LocalModel],
    environ: Mapping[str, str],
    out: Path,
    say: Callable[[str], None],
    rounds: int = ROUNDS,
) -> None:
    """Serve each model in turn, some times over, and write down what was seen as soon as it is known.

    Args:
        models: What is served, by name.
        environ: Says where models are kept and how many threads compute.
        out: The file.
        say: Called with what goes on now.
        rounds: How often.

    Raises:
        ModelError: One cannot be started, or gives no answer.
        UsageError: The file cannot be written.
    """
    run = secrets.token_hex(4)
    for number in range(1, rounds + 1):
        for name, model in models.items():
            say(f"{name}: memory and speed, round {number} of {rounds}")
            FILES.add(out, [await _served(name, run, model, environ)])


def serving_table(records: Sequence[ServingRecord]) -> Table | None:
    """Medians of what was measured side by side; None without any."""
    found = list(side_by_side(records).values())
    if not found:
        return None
    rows = [_row(found[0], one) for one in found]
    headings = (
        "model served",
        "files, MB",
        "memory, MB",
        "loaded in s",
        "tokens read / s",
        "tokens written / s",
        "speed",
    )
    return Table(f"What serving takes, median of {min(map(len, found))}", headings, rows)


def side_by_side(records: Sequence[ServingRecord]) -> Mapping[str, Sequence[ServingRecord]]:
    """Measurements by model, of the last of the runs that have the most models, and of each the most.

    One that was stopped lacks models, or rounds.
    """
    runs: defaultdict[str, defaultdict[str, list[ServingRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        runs[record.run][record.model].append(record)
    return max(reversed(runs.values()), key=lambda run: (len(run), min(map(len, run.values()))), default={})


def is_whole(records: Sequence[ServingRecord], models: Iterable[str]) -> bool:
    """Whether each of some models was measured in all rounds, side by side."""
    found = side_by_side(records)
    return all(len(found.get(model, ())) >= ROUNDS for model in models)


def known_records(path: Path, models: Sequence[str]) -> list[ServingRecord]:
    """What is known of some models: from a file, or else from what comes along, if that has all of them.

    Raises:
        UsageError: The file holds something else.
    """
    found = [record for record in FILES.resume(path) if record.model in models]
    if not found and RECORDED.is_file():
        shipped = [record for record in FILES.read(RECORDED) if record.model in models]
        found = shipped if {record.model for record in shipped} >= set(models) else []
    return found


async def _served(name: str, run: str, model: LocalModel, environ: Mapping[str, str]) -> ServingRecord:
    started = time.monotonic()
    served = await open_local(model, environ, lambda *_: None)
    load = time.monotonic() - started
    try:
        timings = await asyncio.to_thread(_asked, served)
        memory = served.peak_memory()
    finally:
        await served.close()
    return ServingRecord(
        model=name,
        run=run,
        size=model.size,
        memory=memory,
        load=round(load, 2),
        reading=round(timings.prompt_per_second, 2),
        writing=round(timings.predicted_per_second, 2),
    )


def _asked(model: EmbeddedModel) -> _Timings:
    """What the server's clock says of a prompt of usual length.

    Raises:
        ModelError: There is no such answer.
    """
    body = {
        "messages": [{"role": "user", "content": "\n".join(_code())}],
        "max_tokens": _TOKENS,
        "temperature": 0,
        "seed": 0,
        "ignore_eos": True,
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {model.service.key}"}
    address = f"{model.service.address}/v1/chat/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)  # noqa: S310 - of this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            return _Answer.model_validate_json(response.read()).timings
    except (OSError, ValidationError) as error:
        msg = f"{model.name} cannot be measured: {' '.join(str(error).split())[:200]}"
        raise ModelError(msg) from error


def _code() -> Iterator[str]:
    yield "Continue this Python module:"
    yield from (
        f"def step_{number}(value, offset={number}): return (value + offset) % {number + 2}" for number in range(_LINES)
    )


def _row(first: Sequence[ServingRecord], one: Sequence[ServingRecord]) -> Sequence[str]:
    held = [record.memory for record in one if record.memory is not None]
    writing = median(record.writing for record in one)
    base = median(record.writing for record in first)
    return (
        *(one[0].model, f"{one[0].size / _MEGA:,.0f}", f"{median(held) / _MEGA:,.0f}" if held else "-"),
        *(f"{median(record.load for record in one):.1f}", f"{median(record.reading for record in one):.0f}"),
        *(f"{writing:.1f}", f"{writing / base:.2f}" if base else "-"),
    )
