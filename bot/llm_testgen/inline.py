"""The suggestions that a review can make in place, proved by running the files as they would be once they are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from llm_testgen.records import HunksByPath, Inline, Placement, SuiteRun
from llm_testgen.runner.base import Runner
from llm_testgen.stages.anchor import anchor, applied
from llm_testgen.tools import Tools

# What all runs of this kind may take; a suggestion is a comfort, the tests themselves are proved already.
_SECONDS = 30.0


async def suggest_inline(
    placements: Sequence[Placement],
    confirmed: SuiteRun,
    hunks: HunksByPath,
    tools: Tools,
    deadline: float | None,
) -> tuple[Inline, ...]:
    """Suggestions for those of the tests that the diff has a place for.

    All of them are run together, then each alone as long as there is time; what has not passed together is dropped.

    Args:
        placements: The accepted tests in their files.
        confirmed: The run that they passed in.
        hunks: The lines that the diff shows; empty where that is not known.
        tools: What to work with.
        deadline: The `time.monotonic` at which the whole run should be over; None for never.
    """
    texts = tools.knowledge.test_files()
    left = [
        inline
        for path in dict.fromkeys(placement.path for placement in placements)
        if path in hunks and texts.get(path)
        for inline in anchor(texts[path], [one for one in placements if one.path == path], hunks[path])
    ]
    others = {test for test in confirmed.passed_tests if not any(_belongs(test, one) for one in placements)}
    latest = time.monotonic() + _SECONDS
    proof = _Proof(tools.runner, texts, frozenset(others), latest if deadline is None else min(latest, deadline))
    try:
        while failing := await proof.failing(left):
            left = [inline for inline in left if inline not in failing]
    except TimeoutError:
        return ()
    try:
        for inline in left if len(left) > 1 else ():
            if await proof.failing([inline]):
                left = [other for other in left if other is not inline]
    except TimeoutError:
        pass
    return tuple(left)


def passed(placement: Placement, run: SuiteRun) -> bool:
    """Whether a placed test is among those that passed; a parametrised one passes with all of its cases."""
    return any(_belongs(test, placement) for test in run.passed_tests) and not any(
        _belongs(test, placement) for test in run.failed_tests
    )


def _belongs(test: str, placement: Placement) -> bool:
    name = f"{placement.path}::{placement.name}"
    return test == name or test.startswith(f"{name}[")


class _Proof:
    """Runs of files with suggestions in them, until the time is over."""

    def __init__(self, runner: Runner, texts: Mapping[str, str], others: frozenset[str], latest: float) -> None:
        """Look for tests of the suggestions, and at other tests of their files that are known to pass."""
        self._runner = runner
        self._texts = texts
        self._others = others
        self._latest = latest

    async def failing(self, inlines: Sequence[Inline]) -> list[Inline]:
        """Suggestions with which a test does not pass, its own or another one of the file, when all are taken.

        Raises:
            TimeoutError: The time is over.
        """
        if not inlines:
            return []
        own = {
            path: [inline for inline in inlines if inline.path == path]
            for path in dict.fromkeys(inline.path for inline in inlines)
        }
        async with asyncio.timeout(self._latest - time.monotonic()):
            run = await self._runner.run_files({path: applied(self._texts[path], made) for path, made in own.items()})
        lost = {test.partition("::")[0] for test in self._others - run.passed_tests}
        return [
            inline
            for inline in inlines
            if inline.path in lost or not all(passed(placement, run) for placement in inline.placements)
        ]
