"""What a project's own tests do on a case: found out once, and kept beside the case's repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_testgen.errors import ProjectError, UsageError
from llm_testgen.records import SuiteRun
from llm_testgen.runner.base import Preparation, Suite

_FIRST = 1


class _Kept(BaseModel):
    """A run of a suite, and what it was found with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    run: SuiteRun


class KnownSuite:
    """A `Suite` that is run only where no run of it is kept; one that did not come to its end never is.

    What tests are worth is told by the lines that the suite leaves: a suite that was cut short on a busy machine leaves
    others each time.

    Args:
        suite: Runs it.
        name: What the case is called.
        kept: Where its run is kept.
        key: What it is run with: a run of anything else does not count.
    """

    def __init__(self, suite: Suite, name: str, kept: Path, key: str) -> None:
        """Nothing is run yet."""
        self._suite, self._name, self._kept, self._key = suite, name, kept, key
        self._conceded = ""

    async def prepare(self) -> Preparation:
        """Prepare as the suite does."""
        ready = await self._suite.prepare()
        self._conceded = ready.concession
        return ready

    async def run_suite(self, files: Mapping[str, str] | None = None) -> SuiteRun:
        """The project's own tests; with other files than those at head, they are run each time.

        Raises:
            ProjectError: They did not run to their end.
            UsageError: What came of them cannot be written.
        """
        if files:
            return await self._suite.run_suite(files)
        key = f"{self._key} {self._conceded}"
        known = self._read(key)
        if known is not None:
            return known
        run = await self._suite.run_suite()
        if run.problem:
            advice = "; run this again when the machine is less busy" if run.timed_out else ""
            msg = f"the tests of {self._name} are no measure: {run.problem}{advice}"
            raise ProjectError(msg)
        # What a person is told of is the first failure.
        kept = _Kept(key=key, run=_shortened(run))
        try:
            self._kept.write_text(kept.model_dump_json() + "\n", encoding="utf-8")
        except OSError as error:
            msg = f"{self._kept} cannot be written ({error.strerror}): pass another --work"
            raise UsageError(msg) from error
        return kept.run

    def _read(self, key: str) -> SuiteRun | None:
        try:
            known = _Kept.model_validate_json(self._kept.read_bytes())
        except (OSError, ValidationError):
            return None  # it is not there, or what a killed run left
        return known.run if known.key == key else None


def _shortened(run: SuiteRun) -> SuiteRun:
    """Without what nobody asks of a case: thousands of names, and all failures but the first."""
    return replace(run, failures=run.failures[:_FIRST], passed_tests=frozenset(), failed_tests=frozenset())
