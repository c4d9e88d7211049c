"""The card of a data set, as the hub shows it: what is in it, how it was made, and what was left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from llm_testgen import __version__
from llm_testgen.tuning.data.contamination import HeldOut
from llm_testgen.tuning.data.examples import Example, Origin
from llm_testgen.tuning.data.joining import Joined, Limits
from llm_testgen.tuning.data.pool import PartReport, total

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_LARGEST = "100K<n<1M"
_ABOUT = (
    "Conversations that ask for pytest tests of a Python method, with the tests as the answer, in the "
    "prompt-completion form of trl's `SFTTrainer`: `prompt`, `completion`, `prefill`, with which a model is given the "
    "beginning of the answer, and `meta`, which says where an example comes from."
)
_MADE = {
    Origin.SESSION: "Tests of our own sessions that every filter accepted, with the prompts that they answer.",
    Origin.SAMPLED: (
        "Tests that a model wrote ({authors}). It was asked about methods of released projects as if they were new, or "
        "as if a part of them had just been changed, with their own tests kept out of the prompt; what every filter "
        "accepted is the answer."
    ),
    Origin.MINED: (
        "Tests of released projects. Each was made a plain function and run by itself under coverage, so that it is "
        "known which lines it executes; a method was then asked about as if these lines had just been changed, with "
        "the tests themselves and all that are like them kept out of the prompt. Every answer was run: it passes, "
        "again and again, executes what the prompt asks for, and notices a fault in it."
    ),
    Origin.INSTRUCTIONS: "A data set of instructions, as it is: nothing of it was run.",
}


def card(joined: Joined, parts: Sequence[PartReport], limits: Limits, what: HeldOut, measured: str) -> str:
    """The text of ``README.md``.

    Args:
        joined: The data set.
        parts: What it was joined from.
        limits: What was taken.
        what: What it was compared with.
        measured: What lengths are counted in.
    """
    examples = (*joined.train, *joined.validation)
    sections = [
        _front_matter(examples),
        "# Tests for changed methods",
        f"{_ABOUT} Made with llm-testgen {__version__}.",
        _table("Splits", "split", {"train": len(joined.train), "validation": len(joined.validation)}),
        _table("Origins", "origin", Counter(str(one.meta.origin) for one in examples)),
        _table("Projects", "project", Counter(_release(one) for one in examples)),
        _table("Licences", "licence", Counter(one.meta.licence for one in examples)),
        _how(parts, examples, limits, what, measured),
        _table("Left out when it was joined", "reason", joined.left_out),
        *_mined(parts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(examples: Sequence[Example]) -> str:
    size = next((name for most, name in _SIZES if len(examples) < most), _LARGEST)
    licences = {example.meta.licence for example in examples}
    licence = next(iter(licences)).lower() if len(licences) == 1 else "other"
    lines = [
        "---",
        f"license: {json.dumps(licence)}",
        "task_categories:",
        "- text-generation",
        "language:",
        "- en",
        "tags:",
        "- code",
        "- unit-tests",
        "- pytest",
        "size_categories:",
        f"- {size}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        "    path: train.jsonl",
        "  - split: validation",
        "    path: validation.jsonl",
        "---",
    ]
    return "\n".join(lines)


def _how(parts: Iterable[PartReport], examples: Sequence[Example], limits: Limits, what: HeldOut, measured: str) -> str:
    origins = {part.origin for part in parts if part.examples}
    authors = _listed(sorted({one.meta.author for one in examples if one.meta.origin is Origin.SAMPLED}))
    made = [f"- **{origin}**: {text.format(authors=authors)}" for origin, text in _MADE.items() if origin in origins]
    missing = sorted(what.projects - what.compared)
    compared = f"compared with all pinned releases of {_listed(sorted(what.compared)) or 'none of them'}"
    if missing:
        compared += f"; not compared with {_listed(missing)}, of which not all could be had"
    length = f", none longer than {limits.length:,} {measured}" if limits.length is not None else ""
    most = f", at most {limits.per_project:,} of one project" if limits.per_project is not None else ""
    joined = (
        f"The parts were joined with seed {limits.seed}: equal and nearly equal answers once (likeness of "
        f"{limits.likeness:g}){length}{most}, and whole projects set aside for validation, about "
        f"{limits.validation:.0%} of all."
    )
    clean = (
        f"Nothing is from the projects that our benchmark validates and tests on ({_listed(sorted(what.projects))}), "
        f"and no example holds 13 words in a row, or most of its lines, of theirs: {compared}."
    )
    return "\n".join(["## How it was made", "", *made, "", joined, "", clean])


def _mined(parts: Sequence[PartReport]) -> list[str]:
    """What became of what was looked at, for each kind of source."""
    return [
        _table(f"What was found ({origin})", "what", total(part.counts for part in parts if part.origin is origin))
        for origin in Origin
    ]


def _table(title: str, column: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"| {_cell(name)} | {number:,} |" for name, number in rows]
    return "\n".join([f"## {title}", "", f"| {column} | number |", "|---|---|", *lines])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _release(example: Example) -> str:
    return f"{example.meta.project} {example.meta.version}".strip()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
