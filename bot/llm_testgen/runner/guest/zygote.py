"""A warm interpreter: pytest configured and the project imported once, then a fork for each candidate.

It works inside a pytest session of its own, whose collection serves requests. The first request::

    {"mode": "serve", "anchor": test file that does nothing, in the folder where candidates will stand,
     "files": {path: text to write first},
     "modules": [to import ahead], "measured": [paths], "scratch": folder, "arguments": [of pytest],
     "box": where all that can be written lies, if `launch` gives fresh copies of it, else null,
     "alone": whether this is a process namespace of its own,
     "limits": of each child, "landlock": whether there is,
     "readable": [paths that a child may read] or null for all that the zygote may,
     "protected": [pids that no child may signal] or null for no seccomp,
     "strict_signals": whether it may signal only itself}
        → {"ready": {"threads": count, "always": files as below that every test is credited with, "credits": files that
           a test is credited with when it touches a module, by its name}} or {"fault": why it cannot serve}

and each of the others runs test files in a child of its own::

    {"files": {path: text; written only to a fresh copy}, "run": [paths], "seconds": wall-clock limit,
     "plain": names of its tests if it is a lone file that may be run without pytest, else none,
     "cpu": its limit, "traps": see `trap`, "mutant": see `mutation`, or null,
     "observing": whether the test may report values, see `observe`}
        → {"result": see `serve`, with the names of "touched" modules; null when it left none,
           "timed_out": bool, "status": wait status, "cpu": seconds,
           "memory": bytes, "seconds": …, "output": the end of what it printed, "untrappable": bool}
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pathlib
import sys
import time
from typing import TYPE_CHECKING, Any

import coverage  # noqa: F401 - before pytest: plugins may bring another
import pytest
from _pytest.assertion import rewrite as rewriting

from . import answers, kernel, landlock, outcomes, plain, reaper, seccomp
from .child import GENERATE, Child
from .files import limit_resources, write_files
from .ledger import Ledger
from .measure import Meter
from .mutation import Replacement, Replacements
from .warmup import warm_up
from .workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .serve import Channel

_MOST_RESULT = 8 << 20
_COLLECT_AFTER = 20_000
# What a child says that ran a test without pytest and cannot tell what pytest would say.
_ONLY_PYTEST = b'"result": {"only": "pytest"}'
_UNEXPLAINED = b'"result": {"only": "explained"}'
# They do not call the project.
_PYTEST_FIXTURES = frozenset(
    {"request", "tmp_path", "tmp_path_factory", "capsys", "capfd", "caplog", "monkeypatch", "recwarn"}
)
_rewrite: Any = getattr(rewriting, "_rewrite_test", None)


class Zygote:
    """A pytest plugin that serves requests instead of running tests.

    Args:
        channel: Where requests come from.
        request: The first one.
    """

    def __init__(self, channel: Channel, request: dict[str, Any]) -> None:
        """Prepare; nothing of the project is imported yet."""
        kernel.set_dumpable(dumpable=False)
        if kernel.IS_LINUX:
            kernel.adopt_orphans()
        self.channel = channel
        self.request = request
        self.meter = Meter(request["measured"])
        self.ledger = Ledger(self.meter.take)
        self.recorder = outcomes.Recorder([request["anchor"]])
        self.root = os.getcwd()
        self._served = False
        self.plain: plain.Plain | None = None
        self._shelf: plain.Shelf | None = None
        self._announced: set[pathlib.Path] = set()
        self.compiled: dict[pathlib.Path, Any] = {}
        self._replacements = Replacements(request["measured"], self.ledger.has_run)
        self.replacement: Replacement | None = None
        self.workspace = Workspace(request, self.root)

    def serve(self) -> dict[str, Any]:
        """Serve until the bot goes; returns why it could not, when it could not."""
        scratch = self.request["scratch"]
        write_files(self.request["files"])
        warm_up(os.path.join(scratch, "warm"))
        given, anchor = self.request["arguments"], self.request["anchor"]
        arguments = outcomes.pytest_arguments(scratch, given, [anchor], light=True)
        code = pytest.main(arguments, plugins=[self.recorder, self])
        if self._served:
            os._exit(0)
        said = "; ".join(record["message"] for record in self.recorder.failures[:1])
        return {"fault": f"pytest ended with exit code {int(code)} before it could serve: {said}"}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: Any) -> bool:
        """Stands for the collection, so that what is collected in a child meets the same filters of warnings."""
        try:
            session.perform_collect()
            self._settle(session)
        except Exception as error:
            self.channel.send({"fault": f"{type(error).__name__}: {error}"})
            return True
        self._served = True
        credits_ = {name: self.meter.executed(arcs) for name, arcs in self.ledger.credits.items()}
        always = self.meter.executed(self.ledger.always)
        self.channel.send({"ready": {"threads": reaper.threads(), "always": always, "credits": credits_}})
        while True:
            request = self.channel.receive()
            if request is None:
                os._exit(0)
            self.channel.send_text(self._answer(session, request))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Fixtures may use the project; where there are none, it is enough to watch the test itself."""
        own = set(getattr(item, "fixturenames", ())) - _PYTEST_FIXTURES
        own -= set(getattr(getattr(item, "callspec", None), "params", ()))
        with self.meter.watching() if own or not isinstance(item.parent, pytest.Module) else contextlib.nullcontext():
            yield

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Watch the test."""
        with self.meter.watching():
            yield

    def _settle(self, session: Any) -> None:
        """Import ahead, and leave behind what a child must not inherit."""
        if not session.items:
            message = f"pytest collects no test from {self.request['anchor']}"
            raise LookupError(message)
        anchor = session.items[0]
        while not isinstance(anchor, pytest.Module):
            anchor = anchor.parent
        self._parent = anchor.parent
        self.package = anchor.obj.__name__.rpartition(".")[0]
        self.ledger.close_accounts()
        self._import_ahead(session)
        self.ledger.stop()
        self.meter.analyse(self.request["measured"])
        for module in list(sys.modules.values()):
            self.meter.announce(_path(module))
        self._shelf = plain.Shelf.open(self, session, session.items[0])
        self.meter.pause()
        self._leave_session(session.config.pluginmanager)
        self._prepare_confinement()
        gc.collect()
        kernel.give_back_memory()
        gc.freeze()
        # A collection writes to each object that it looks at, and so copies its page: a short test ends before one.
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])

    def _leave_session(self, plugins: Any) -> None:
        """Take out of the session what is for one process, or for a terminal."""
        self._watch_imports(plugins)
        if _rewrite is not None:  # else each child compiles again
            rewriting._rewrite_test = self._rewrite  # type: ignore[assignment]
        self.capture = plugins.getplugin("capturemanager")
        self.capture.stop_global_capturing()
        self.inherited = _same_files(2)
        plugins.unregister(name="terminalreporter")
        for record in (self.recorder.outcomes, self.recorder.failures, self.recorder.names):
            record.clear()

    def _prepare_confinement(self) -> None:
        """Make ready what each child puts on, and set the limits that it inherits."""
        own = self.request
        self.ruleset = landlock.make_ruleset(readable=own["readable"], outside=False) if own["landlock"] else None
        if own["protected"] is not None and not own["strict_signals"]:
            self.filter = seccomp.Prepared(seccomp.candidate_filter(protected=own["protected"]))
        # What the zygote itself holds by now is not counted.
        limits = own["limits"]
        limit_resources({**limits, "memory": limits["memory"] + reaper.address_space()})

    def _watch_imports(self, plugins: Any) -> None:
        """Have test modules watched while they are imported; all of the collection, where more of it may matter."""
        hooks = [finder for finder in sys.meta_path if isinstance(finder, rewriting.AssertionRewritingHook)]
        conftests = [plugin for plugin in plugins.get_plugins() if _path(plugin).endswith("conftest.py")]
        self.watches_collection = not hooks or any(hasattr(plugin, GENERATE) for plugin in conftests)
        original = rewriting.AssertionRewritingHook.exec_module

        def exec_module(hook: Any, module: Any) -> None:
            with self.meter.watching():
                original(hook, module)

        rewriting.AssertionRewritingHook.exec_module = exec_module  # type: ignore[method-assign,assignment]

    def _rewrite(self, path: pathlib.Path, config: Any) -> Any:
        """Stands for pytest's function of that name."""
        return self.compiled.get(path) or _rewrite(path, config)

    def _import_ahead(self, session: Any) -> None:
        """Import as a test module would: with pytest's filters of warnings, and with no harm if it does not work."""
        for number, name in enumerate(self.request["modules"]):
            path = pathlib.Path(self.request["scratch"]) / f"test_llm_testgen_import_{number}.py"
            path.write_text(f"import {name}\n", encoding="utf-8")
            with contextlib.suppress(BaseException):
                collector = self.collector(session, path)
                list(session.genitems(collector))
        self.recorder.collect_errors = 0

    def collector(self, session: Any, path: pathlib.Path) -> Any:
        """Pytest's node for a test file in the folder of the anchor."""
        hooks = session.gethookproxy(path.parent)
        return hooks.pytest_pycollect_makemodule(module_path=path, parent=self._parent)

    def _answer(self, session: Any, request: dict[str, Any]) -> bytes:
        started = time.monotonic()
        try:
            self.replacement = self._replacements.take(request["mutant"]) if request["mutant"] else None
            if request["mutant"] and self.replacement is None:
                return answers.without_child(answers.UNTRAPPABLE, started)
            started = time.monotonic()  # what a mutant takes to be made is not the test's
            self.plain = self._take(request)
            if self.plain is not None:
                answer = self._run_plain(session, request, started)
                if answer is not None:
                    return answer
            self.workspace.lay_out(request["files"])
            broken = self._compile(session, request["run"])
            if broken is not None:
                return answers.without_child(json.dumps(broken).encode(), started)
            return self._fork(session, request, started)
        except OSError as error:
            return json.dumps({"fault": f"{error}"}).encode()

    def _take(self, request: dict[str, Any]) -> plain.Plain | None:
        """A lone test file that may be run without pytest."""
        if self._shelf is None or not request["plain"]:
            return None
        ((name, text),) = request["files"].items()
        with contextlib.suppress(SyntaxError, ValueError):  # whatever is wrong with it, pytest says it
            return self._shelf.take(name, text, request["plain"])
        return None

    def _run_plain(self, session: Any, request: dict[str, Any], started: float) -> bytes | None:
        """Run it without pytest, once more where an assertion fails to show its values; None when that does not do."""
        while True:
            self.workspace.lay_out(request["files"])
            answer = self._fork(session, request, started)
            if _UNEXPLAINED in answer and self.plain is not None and not self.plain.explains:
                self._compile(session, request["run"])
                for _, code in self.compiled.values():
                    self.plain = self.plain.explained(code)
                continue
            self.plain = None
            return None if _UNEXPLAINED in answer or _ONLY_PYTEST in answer else answer

    def _compile(self, session: Any, files: list[str]) -> dict[str, Any] | None:
        """Rewrite the assertions of test files and compile them, once for all children, in memory that is warm.

        Returns what pytest would say of a lone file with an error of syntax.
        """
        self.compiled.clear()
        for name in files:
            path = pathlib.Path(self.root, name)
            try:
                self.compiled[path] = (_rewrite or _compile)(path, session.config)
            except SyntaxError as error:
                if len(files) == 1:
                    said = outcomes.failure(error, str(path), "collect", self.root)
                    return {"exit": 2, "outcomes": {}, "failures": [said], "collect_errors": 1, "files": {}}
            except Exception:  # noqa: S112 - whatever else is wrong with it shows where it is imported
                continue
            self.announce(path)
        return None

    def announce(self, path: pathlib.Path) -> None:
        """Make a test file known once, since names come again.

        In a child this would touch, and so copy, hundreds of pages: pytest looks at every module that there is, and
        coverage has to find out that it does not measure the file.
        """
        if path not in self._announced:
            self._announced.add(path)
            pytest.register_assert_rewrite(".".join(filter(None, [self.package, path.stem])))
            with self.meter.watching():
                self.meter.announce(str(path))

    def _fork(self, session: Any, request: dict[str, Any], started: float) -> bytes:
        printed = self.workspace.open_output()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            Child(self, session, request).run(writing, printed)
        os.close(writing)
        try:
            said, timed_out = reaper.attend(child, reading, started + request["seconds"], _MOST_RESULT)
            usage = reaper.end_all(child, alone=self.request["alone"])
            output = answers.tail(printed)
            os.ftruncate(printed, 0)
        finally:
            os.close(reading)
            os.close(printed)
        # What the child said is passed on as it came: the bot judges it, and parsing it here would only cost time.
        seconds = time.monotonic() - started
        return answers.answer(timed_out, usage, seconds, output, said)


def _path(module: Any) -> str:
    return getattr(module, "__file__", None) or ""


def _compile(path: pathlib.Path, _: object) -> None:
    compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _same_files(descriptor: int) -> list[int]:
    """Other descriptors of the same file: pytest's faulthandler keeps one of standard error."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > descriptor and os.path.sameopenfile(int(name), descriptor):
                found.append(int(name))
    return found
