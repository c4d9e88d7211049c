"""One candidate's process, from the fork to its end."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.capture import DontReadFromInput

from . import kernel, landlock, observe, outcomes, plain, seccomp, trap
from .surroundings import OnlyPytestKnowsError
from .workspace import RESET_CHANNEL

if TYPE_CHECKING:
    from .zygote import Zygote

GENERATE = "pytest_generate_tests"
_EXIT_INTERRUPTED = 2
_EXIT_NO_TESTS = 5
_NO_INPUT: Any = DontReadFromInput()


class Child:
    """One candidate's process: from the fork to its end."""

    def __init__(self, zygote: Zygote, session: Any, request: dict[str, Any]) -> None:
        """Take over what the zygote has made ready."""
        self._zygote = zygote
        self._session = session
        self._request = request
        self._observer: observe.Observer | None = None

    def run(self, writing: int, printed: int) -> NoReturn:
        """Run it, report, and end.

        Args:
            writing: The pipe for the report.
            printed: The file for all that it prints.
        """
        try:
            self._detach(printed)
            self._confine()
            said = self._tests()
        except BaseException as error:
            # Everything that tests raise is caught by pytest; what arrives here is the end of memory, or the like.
            trace = traceback.format_exception_only(type(error), error)
            with contextlib.suppress(OSError):
                os.write(2, "".join(trace).encode("utf-8", "replace"))
            os._exit(1)
        data = json.dumps(said).encode()
        while data:
            data = data[os.write(writing, data) :]
        os._exit(0)

    def _detach(self, printed: int) -> None:
        """Leave the zygote's own channels, group and output."""
        zygote = self._zygote
        os.setsid()
        zygote.channel.close()
        if zygote.request["box"]:
            os.close(RESET_CHANNEL)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        for descriptor in zygote.inherited:
            os.dup2(printed, descriptor)
        os.close(printed)

    def _confine(self) -> None:
        request, own = self._request, self._zygote.request
        kernel.limit(resource.RLIMIT_CPU, request["cpu"])
        if kernel.IS_LINUX:
            if not own["alone"]:  # else the end of the zygote is the end of all
                kernel.die_with_parent()
            kernel.set_dumpable(dumpable=True)
        if self._zygote.ruleset is not None:
            landlock.enter(self._zygote.ruleset)
            os.close(self._zygote.ruleset)
        if own["strict_signals"]:
            seccomp.install(seccomp.candidate_filter(protected=own["protected"], own_pid=os.getpid()))
        elif own["protected"] is not None:
            self._zygote.filter.install()

    def _tests(self) -> dict[str, Any]:
        zygote, request = self._zygote, self._request
        if zygote.replacement is not None:
            # What it covers is of no interest.
            zygote.meter.ignore()
            zygote.replacement.put()
        else:
            zygote.meter.survive_fork()
        if request["observing"]:
            self._observer = observe.Observer(zygote.request["scratch"], zygote.root)
        if request["traps"] and not trap.set_in_memory(request["traps"]):
            return {"untrappable": True}
        if zygote.plain is not None:
            return self._plain(zygote.plain)
        recorder = zygote.recorder
        recorder.files = {os.path.join(zygote.root, path) for path in request["run"]}
        self._forget_folders()
        zygote.capture.start_global_capturing()
        code = self._session_over(recorder)
        return self._with_files(recorder.result(code))

    def _plain(self, module: plain.Plain) -> dict[str, Any]:
        zygote = self._zygote
        sys.stdin = _NO_INPUT
        explaining = plain.explain_assertions(self._session.config) if module.explains else None
        # The filters of warnings are those of the collection, in the midst of which the zygote forks.
        try:
            said = plain.run(module, zygote.meter)
        except (plain.UnexplainedError, OnlyPytestKnowsError) as error:
            if not self._is_told(error):
                return {"only": "explained" if isinstance(error, plain.UnexplainedError) else "pytest"}
            said = self._failed(error.__cause__)
        del explaining
        return self._with_files(said)

    def _is_told(self, error: Exception) -> bool:
        """Whether enough is known of a test that did not pass: that it did not, and with a mutant where."""
        has_mutant = self._zygote.replacement is not None
        return bool(self._request["traps"]) or (has_mutant and isinstance(error, plain.UnexplainedError))

    def _failed(self, error: BaseException | None) -> dict[str, Any]:
        name, root = self._request["run"][0], self._zygote.root
        failures = [outcomes.failure(error, os.path.join(root, name), "call", root)] if error is not None else []
        return {"exit": 1, "outcomes": {name: "failed"}, "failures": failures, "collect_errors": 0}

    def _with_files(self, said: dict[str, Any]) -> dict[str, Any]:
        """A report with what ran of the measured files; what was imported ahead goes by what was touched."""
        if self._observer is not None:
            said = {**said, "observed": self._observer.observed}
        if self._zygote.replacement is not None:
            return {**said, "files": {}}
        meter, ledger = self._zygote.meter, self._zygote.ledger
        files = meter.executed(meter.take())
        return {**said, "files": files, "touched": ledger.touched()}

    def _forget_folders(self) -> None:
        """Look into the folders of the test files anew: the import system remembers what was in them."""
        for folder in {os.path.dirname(path) for path in self._zygote.recorder.files}:
            finder: Any = sys.path_importer_cache.get(folder)
            if finder is not None:
                finder.invalidate_caches()

    def _session_over(self, recorder: outcomes.Recorder) -> int:
        session = self._session
        hook = session.config.hook
        try:
            session.items = items = self._collect()
            session.testscollected = len(items)
            hook.pytest_collection_modifyitems(session=session, config=session.config, items=items)
            hook.pytest_collection_finish(session=session)
            if recorder.collect_errors:
                return _EXIT_INTERRUPTED
            if not items:
                return _EXIT_NO_TESTS
            hook.pytest_runtestloop(session=session)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception, session.Interrupted):
            return _EXIT_INTERRUPTED
        except session.Failed:
            return 1
        return int("failed" in recorder.outcomes.values())

    def _collect(self) -> list[Any]:
        texts = self._request["files"].values()
        # What parametrises a test is called by pytest, after the module was imported.
        if self._zygote.watches_collection or any(GENERATE in text or "ids" in text for text in texts):
            with self._zygote.meter.watching():
                return self._collect_items()
        return self._collect_items()

    def _collect_items(self) -> list[Any]:
        items: list[Any] = []
        for name in self._request["run"]:
            path = pathlib.Path(self._zygote.root, name)
            collector = self._zygote.collector(self._session, path)
            items += self._session.genitems(collector)
        return items
