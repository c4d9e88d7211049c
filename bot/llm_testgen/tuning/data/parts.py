"""What ``tune data sessions``, ``instructions`` and ``join`` do: from sources to parts, from parts to a data set."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_testgen import __version__
from llm_testgen.bench.environments import Workshop, work_folder
from llm_testgen.errors import UsageError
from llm_testgen.tuning.data.card import card
from llm_testgen.tuning.data.contamination import held_out
from llm_testgen.tuning.data.examples import UNKNOWN, About, Origin, as_lines
from llm_testgen.tuning.data.ground import Source, describe_checkout
from llm_testgen.tuning.data.instructions import as_examples, is_file, load_instructions
from llm_testgen.tuning.data.joining import Joined, Limits, join
from llm_testgen.tuning.data.lengths import characters, tokens_by
from llm_testgen.tuning.data.pool import PartReport, Pool, part_name
from llm_testgen.tuning.data.project_run import timed
from llm_testgen.tuning.data.releases import normalised, refuse_held_out
from llm_testgen.tuning.data.sessions import read_session, session_examples


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What is to be joined.

    Attributes:
        out: The folder of the data set.
        limits: What of its parts is taken.
        tokenizer: By which lengths are counted: a folder, a GGUF file, or a model of the hub; None for characters.
        work: Where the benchmark's releases are kept; None for the user's cache.
        allow_uncompared: Whether to go on without those that cannot be had.
    """

    out: Path
    limits: Limits
    tokenizer: str | None = None
    work: Path | None = None
    allow_uncompared: bool = False


def run_join(options: JoinOptions, environ: Mapping[str, str], tell: Callable[[str], None]) -> Joined:
    """Write the data set of all parts, and its card.

    Args:
        options: What is to be joined.
        environ: The user's.
        tell: Called with what is done at the moment.

    Raises:
        LlmTestgenError: There are no parts, the tokenizer or what examples are compared with cannot be had, or the
            folder cannot be written.
    """
    pool = Pool(options.out)
    parts = pool.parts()
    if not any(examples for _, examples in parts):
        msg = f"{options.out} holds no examples yet: make some with `llm-testgen tune data mine`, `sessions` or"
        msg += " `instructions`, and the same --out"
        raise UsageError(msg)
    measure = tokens_by(options.tokenizer) if options.tokenizer else characters
    measured = f"tokens of {Path(options.tokenizer).name}" if options.tokenizer else "characters"
    workshop = Workshop(work_folder(options.work, environ), Path(sys.executable))
    what = held_out(workshop, tell, allow_uncompared=options.allow_uncompared)
    tell("joining the parts")
    joined = join((example for _, examples in parts for example in examples), options.limits, what, measure)
    pool.write("train.jsonl", as_lines(joined.train))
    pool.write("validation.jsonl", as_lines(joined.validation))
    pool.write("README.md", card(joined, [report for report, _ in parts], options.limits, what, measured))
    return joined


def run_sessions(out: Path, paths: Sequence[Path], project: str, licence: str | None) -> tuple[PartReport, ...]:
    """Write a part for each session.

    Raises:
        UsageError: There is no session, or it is of a project that the benchmark measures on.
    """
    pool = Pool(out)
    reports = []
    for path in paths:
        session = read_session(path)
        own = _about(path, project, licence)
        started = time.monotonic()
        examples, counts = session_examples(session, own)
        report = PartReport(
            name=part_name(Origin.SESSION, own.project, _digest(str(path.absolute()))),
            key=__version__,
            origin=Origin.SESSION,
            project=own.project,
            version=own.version,
            licence=own.licence,
            examples=len(examples),
            counts=dict(sorted(counts.items())),
            seconds=timed(started),
        )
        pool.add(report, examples)
        reports.append(report)
    return tuple(reports)


def _about(path: Path, project: str, licence: str | None) -> About:
    """What the repository around a session says of itself.

    Raises:
        UsageError: The project cannot be told, or is one that the benchmark measures on, whatever it is called here.
    """
    try:
        source = describe_checkout(path if path.is_dir() else path.parent)
    except UsageError:
        source = Source("", "", path, "", UNKNOWN)
    name = project or source.name
    if not name:
        msg = f"whose session {path} is cannot be told: pass --project-name"
        raise UsageError(msg)
    refuse_held_out([normalised(name), source.name], source.packages)
    return About(
        origin=Origin.SESSION,
        project=normalised(name),
        version="" if project else source.version,
        licence=licence or source.licence,
    )


def run_instructions(out: Path, named: str, split: str, licence: str | None) -> PartReport:
    """Write the part of a data set of instructions.

    Raises:
        LlmTestgenError: It cannot be had, or has other fields.
    """
    pool = Pool(out)
    started = time.monotonic()
    rows, said = load_instructions(named, split)
    licence = licence or said
    place = Path(named)
    project = place.stem if is_file(named) else named
    # Files of one name, and splits of one data set, are parts of their own.
    where = str(place.absolute()) if place.exists() else named
    digest = _digest(where if is_file(named) else f"{where}\n{split}")
    examples, counts = as_examples(rows, project, licence)
    report = PartReport(
        name=part_name(Origin.INSTRUCTIONS, project, digest),
        key=__version__,
        origin=Origin.INSTRUCTIONS,
        project=project,
        licence=licence,
        examples=len(examples),
        counts=dict(sorted(counts.items())),
        seconds=timed(started),
    )
    pool.add(report, examples)
    return report


def _digest(text: str) -> str:
    """What tells sources of one name apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
