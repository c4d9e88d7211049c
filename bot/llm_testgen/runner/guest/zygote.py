"""A warm interpreter: pytest configured and the project imported once, then a fork for each candidate.

It works inside a pytest session of its own, whose collection serves requests. The first request::

    {"mode": "serve", "anchor": test file that does nothing, in the folder where candidates will stand,
     "files": {path: text to write first},
     "modules": [to import ahead], "measured": [paths], "scratch": folder, "arguments": [of pytest],
     "resets": whether `launch` gives a fresh copy of the tree, "alone": whether this is a process namespace of its own,
     "limits": of each child, "landlock": whether there is,
     "readable": [paths that a child may read] or null for all that the zygote may,
     "protected": [pids that no child may signal] or null for no seccomp,
     "strict_signals": whether it may signal only itself}
        → {"ready": {"threads": count, "always": files as below that every test is credited with, "credits": files that
           a test is credited with when it touches a module, by its name}} or {"fault": why it cannot serve}

and each of the others runs test files in a child of its own::

    {"files": {path: text; written only to a fresh copy}, "run": [paths], "seconds": wall-clock limit,
     "cpu": its limit, "traps": see `trap`}
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
import shutil
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import coverage  # noqa: F401 - before pytest: plugins may bring another
import pytest
from _pytest.assertion import rewrite as rewriting
from _pytest.capture import DontReadFromInput

from . import kernel, landlock, outcomes, plain, reaper, seccomp, trap
from .files import limit_resources, write_files
from .ledger import Ledger
from .measure import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .serve import Channel

RESET_CHANNEL = 3
_MOST_RESULT = 8 << 20
_COLLECT_AFTER = 20_000
# What a child says that ran a test without pytest and cannot tell what pytest would say.
_ONLY_PYTEST = b'"result": {"only": "pytest"}'
_UNEXPLAINED = b'"result": {"only": "explained"}'
_GENERATE = "pytest_generate_tests"
# They do not call the project.
_PYTEST_FIXTURES = frozenset(
    {"request", "tmp_path", "tmp_path_factory", "capsys", "capfd", "caplog", "monkeypatch", "recwarn"}
)
_LAST_OUTPUT = 4096
_EXIT_INTERRUPTED = 2
_EXIT_NO_TESTS = 5
# A comparison that fails, an error while importing, a wrong syntax: what reports them is imported and compiled once,
# here, and not once more in every child.
_rewrite: Any = getattr(rewriting, "_rewrite_test", None)
_WARM_UP = {
    "test_warm.py": """\
import unittest
import pytest

@pytest.fixture
def given(tmp_path, monkeypatch, capsys):
    yield 1

@pytest.mark.parametrize("value", [1, 2])
def test_one(value, given):
    with pytest.raises(ValueError, match="x"):
        raise ValueError("x")
    assert value == pytest.approx(value)

def test_lists():
    assert [1, 2, 3] == [1, 2, 4]

def test_mappings():
    assert {"a": 1} == {"a": 2}

def test_texts():
    assert "one" == "two", "why"

class TestClass:
    def test_method(self):
        assert len("abc") == 4

class Case(unittest.TestCase):
    def test_case(self):
        self.assertEqual(1, 2)
""",
    "test_warm_import.py": "import llm_testgen_no_such_module\n",
}


class Zygote:
    """A pytest plugin that serves requests instead of running tests.

    Args:
        channel: Where requests come from.
        request: The first one.
    """

    def __init__(self, channel: Channel, request: dict[str, Any]) -> None:
        """Prepare; nothing of the project is imported yet."""
        kernel.set_dumpable(dumpable=False)
        self._channel = channel
        self._request = request
        self._meter = Meter(request["measured"])
        self._ledger = Ledger(self._meter.take)
        self._recorder = outcomes.Recorder([request["anchor"]])
        self._root = os.getcwd()
        self._served = False
        self.plain: plain.Plain | None = None
        self._announced: set[pathlib.Path] = set()
        self.compiled: dict[pathlib.Path, Any] = {}

    def serve(self) -> dict[str, Any]:
        """Serve until the bot goes; returns why it could not, when it could not."""
        scratch = self._request["scratch"]
        write_files(self._request["files"])
        self._warm_up(os.path.join(scratch, "warm"))
        given, anchor = self._request["arguments"], self._request["anchor"]
        arguments = outcomes.pytest_arguments(scratch, given, [anchor], light=True)
        code = pytest.main(arguments, plugins=[self._recorder, self])
        if self._served:
            os._exit(0)
        said = "; ".join(record["message"] for record in self._recorder.failures[:1])
        return {"fault": f"pytest ended with exit code {int(code)} before it could serve: {said}"}

    def _warm_up(self, folder: str) -> None:
        """A small session apart from the project, to have all parts of pytest imported and used once."""
        os.makedirs(folder, exist_ok=True)
        for name, text in _WARM_UP.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        plain = ["-q", "--tb=native", "--color=no", "--noconftest", "-p", "no:cacheprovider", f"--rootdir={folder}"]
        before = list(sys.path)
        pytest.main([*plain, "-c", os.devnull, "--override-ini=addopts=", folder], plugins=[outcomes.Recorder([])])
        sys.path[:] = before
        for name in _WARM_UP:
            sys.modules.pop(name[:-3], None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: Any) -> bool:
        """Stands for the collection, so that what is collected in a child meets the same filters of warnings."""
        try:
            session.perform_collect()
            self._settle(session)
        except Exception as error:
            self._channel.send({"fault": f"{type(error).__name__}: {error}"})
            return True
        self._served = True
        credits_ = {name: self._meter.executed(arcs) for name, arcs in self._ledger.credits.items()}
        always = self._meter.executed(self._ledger.always)
        self._channel.send({"ready": {"threads": reaper.threads(), "always": always, "credits": credits_}})
        while True:
            request = self._channel.receive()
            if request is None:
                os._exit(0)
            self._channel.send_text(self._answer(session, request))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Fixtures may use the project; where there are none, it is enough to watch the test itself."""
        own = set(getattr(item, "fixturenames", ())) - _PYTEST_FIXTURES
        own -= set(getattr(getattr(item, "callspec", None), "params", ()))
        with self._meter.watching() if own or not isinstance(item.parent, pytest.Module) else contextlib.nullcontext():
            yield

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Watch the test."""
        with self._meter.watching():
            yield

    def _settle(self, session: Any) -> None:
        """Import ahead, and leave behind what a child must not inherit."""
        anchor = session.items[0]
        while not isinstance(anchor, pytest.Module):
            anchor = anchor.parent
        self._parent = anchor.parent
        self._package = anchor.obj.__name__.rpartition(".")[0]
        self._ledger.close_accounts()
        self._import_ahead(session)
        self._ledger.stop()
        self._meter.analyse(self._request["measured"])
        for module in list(sys.modules.values()):
            self._meter.announce(_path(module))
        self._allows_plain = plain.allows(session.config, session.items[0], (self, self._recorder))
        self._meter.pause()
        self._watch_imports(session.config.pluginmanager)
        self._reuse_compiled()
        own = self._request
        self.ruleset = landlock.make_ruleset(readable=own["readable"], outside=False) if own["landlock"] else None
        if own["protected"] is not None and not own["strict_signals"]:
            self.filter = seccomp.Prepared(seccomp.candidate_filter(protected=own["protected"]))
        plugins = session.config.pluginmanager
        self._capture = plugins.getplugin("capturemanager")
        self._capture.stop_global_capturing()
        self.inherited = _same_files(2)
        plugins.unregister(name="terminalreporter")
        for record in (self._recorder.outcomes, self._recorder.failures, self._recorder.names):
            record.clear()
        if kernel.IS_LINUX:
            kernel.adopt_orphans()
        # Children inherit them. What the zygote itself holds by now is not counted.
        limits = self._request["limits"]
        limit_resources({**limits, "memory": limits["memory"] + reaper.address_space()})
        gc.collect()
        kernel.give_back_memory()
        gc.freeze()
        # A collection writes to each object that it looks at, and so copies its page: a short test ends before one.
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])

    def _reuse_compiled(self) -> None:
        """Have pytest's import hook take what is compiled already; a pytest that has no such place compiles again."""
        if _rewrite is not None:
            rewriting._rewrite_test = self._rewrite  # type: ignore[assignment]

    def _watch_imports(self, plugins: Any) -> None:
        """Have test modules watched while they are imported; all of the collection, where more of it may matter."""
        hooks = [finder for finder in sys.meta_path if isinstance(finder, rewriting.AssertionRewritingHook)]
        conftests = [plugin for plugin in plugins.get_plugins() if _path(plugin).endswith("conftest.py")]
        self.watches_collection = not hooks or any(hasattr(plugin, _GENERATE) for plugin in conftests)
        original = rewriting.AssertionRewritingHook.exec_module

        def exec_module(hook: Any, module: Any) -> None:
            with self._meter.watching():
                original(hook, module)

        rewriting.AssertionRewritingHook.exec_module = exec_module  # type: ignore[method-assign,assignment]

    def _rewrite(self, path: pathlib.Path, config: Any) -> Any:
        """Stands for pytest's function of that name."""
        return self.compiled.get(path) or _rewrite(path, config)

    def _import_ahead(self, session: Any) -> None:
        """Import as a test module would: with pytest's filters of warnings, and with no harm if it does not work."""
        for number, name in enumerate(self._request["modules"]):
            path = pathlib.Path(self._request["scratch"]) / f"test_llm_testgen_import_{number}.py"
            path.write_text(f"import {name}\n", encoding="utf-8")
            with contextlib.suppress(BaseException):
                collector = self._collector(session, path)
                list(session.genitems(collector))
        self._recorder.collect_errors = 0

    def _collector(self, session: Any, path: pathlib.Path) -> Any:
        hooks = session.gethookproxy(path.parent)
        return hooks.pytest_pycollect_makemodule(module_path=path, parent=self._parent)

    def _answer(self, session: Any, request: dict[str, Any]) -> bytes:
        started = time.monotonic()
        try:
            self.plain = self._read_plain(request) if self._allows_plain else None
            if self.plain is not None:
                answer = self._run_plain(session, request, started)
                if answer is not None:
                    return answer
            self._lay_out(request)
            broken = self._compile(session, request["run"])
            if broken is not None:
                return json.dumps(_answer({"result": broken, "seconds": time.monotonic() - started})).encode()
            return self._fork(session, request, started)
        except OSError as error:
            return json.dumps({"fault": f"{error}"}).encode()

    def _run_plain(self, session: Any, request: dict[str, Any], started: float) -> bytes | None:
        """Run it without pytest, once more where an assertion fails to show its values; None when that does not do."""
        while True:
            self._lay_out(request)
            answer = self._fork(session, request, started)
            if _UNEXPLAINED in answer and self.plain is not None and not self.plain.explains:
                self._compile(session, request["run"])
                for _, code in self.compiled.values():
                    self.plain = plain.Plain(code, self.plain.tests, explains=True)
                continue
            self.plain = None
            return None if _UNEXPLAINED in answer or _ONLY_PYTEST in answer else answer

    def _read_plain(self, request: dict[str, Any]) -> plain.Plain | None:
        """A lone test file that needs no pytest."""
        if len(request["run"]) != 1:
            return None
        path = pathlib.Path(self._root, request["run"][0])
        self._announce(path)
        try:
            return plain.read(request["files"][request["run"][0]], str(path))
        except Exception:  # whatever is wrong with it, pytest says it
            return None

    def _lay_out(self, request: dict[str, Any]) -> None:
        """The tree as it is at head, with the test files where they belong."""
        self._refresh()
        if self._request["resets"]:
            write_files({os.path.join(self._root, path): text for path, text in request["files"].items()})

    def _compile(self, session: Any, files: list[str]) -> dict[str, Any] | None:
        """Rewrite the assertions of test files and compile them, once for all children, in memory that is warm.

        Returns what pytest would say of a lone file with an error of syntax.
        """
        self.compiled.clear()
        for name in files:
            path = pathlib.Path(self._root, name)
            try:
                self.compiled[path] = (_rewrite or _compile)(path, session.config)
            except SyntaxError as error:
                if len(files) == 1:
                    said = outcomes.failure(error, str(path), "collect", self._root)
                    return {"exit": 2, "outcomes": {}, "failures": [said], "collect_errors": 1, "files": {}}
            except Exception:  # noqa: S112 - whatever else is wrong with it shows where it is imported
                continue
            self._announce(path)
        return None

    def _announce(self, path: pathlib.Path) -> None:
        """Make a test file known once, since names come again.

        In a child this would touch, and so copy, hundreds of pages: pytest looks at every module that there is, and
        coverage has to find out that it does not measure the file.
        """
        if path not in self._announced:
            self._announced.add(path)
            pytest.register_assert_rewrite(".".join(filter(None, [self._package, path.stem])))
            with self._meter.watching():
                self._meter.announce(str(path))

    def _refresh(self) -> None:
        """A place to write that nobody has written to."""
        if self._request["resets"]:
            os.write(RESET_CHANNEL, b"r")
            if os.read(RESET_CHANNEL, 1) != b"+":
                message = "the supervisor cannot make a fresh copy of the tree"
                raise OSError(message)
            return
        scratch = self._request["scratch"]
        for name in os.listdir(scratch):
            path = os.path.join(scratch, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
        for name in ("home", "tmp"):
            os.mkdir(os.path.join(scratch, name))

    def _fork(self, session: Any, request: dict[str, Any], started: float) -> bytes:
        printed = os.open(os.path.join(self._request["scratch"], "output"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _Child(self, session, request).run(writing, printed)
        os.close(writing)
        try:
            said, timed_out = reaper.attend(child, reading, started + request["seconds"], _MOST_RESULT)
            usage = reaper.end_all(child, alone=self._request["alone"])
            output = _tail(printed)
        finally:
            os.close(reading)
            os.close(printed)
        answer = _answer(
            {
                "timed_out": timed_out,
                "status": usage.status,
                "cpu": usage.cpu,
                "memory": usage.memory,
                "seconds": time.monotonic() - started,
                "output": output,
            }
        )
        # What the child said is passed on as it came: the bot judges it, and parsing it here would only cost time.
        text = json.dumps(answer).encode()
        return text[:-1] + b', "result": ' + said.replace(b"\n", b" ") + b"}" if said else text


class _Child:
    """One candidate's process: from the fork to its end."""

    def __init__(self, zygote: Zygote, session: Any, request: dict[str, Any]) -> None:
        self._zygote = zygote
        self._session = session
        self._request = request

    def run(self, writing: int, printed: int) -> NoReturn:
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
        zygote._channel.close()
        if zygote._request["resets"]:
            os.close(RESET_CHANNEL)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        for descriptor in zygote.inherited:
            os.dup2(printed, descriptor)
        os.close(printed)
        os.chdir(zygote._root)

    def _confine(self) -> None:
        request, own = self._request, self._zygote._request
        limit_resources({"cpu": request["cpu"]})
        if kernel.IS_LINUX:
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
        zygote._meter.survive_fork()
        if request["traps"] and not trap.set_in_memory(request["traps"]):
            return {"untrappable": True}
        if zygote.plain is not None:
            return self._plain(zygote.plain)
        recorder = zygote._recorder
        recorder.files = {os.path.join(zygote._root, path) for path in request["run"]}
        self._forget_folders()
        zygote._capture.start_global_capturing()
        code = self._session_over(recorder)
        return {**recorder.result(code), "files": self._files(), "touched": zygote._ledger.touched()}

    def _plain(self, module: plain.Plain) -> dict[str, Any]:
        zygote = self._zygote
        path = os.path.join(zygote._root, self._request["run"][0])
        sys.stdin = DontReadFromInput()
        explaining = plain.explain_assertions(self._session.config) if module.explains else None
        # The filters of warnings are those of the collection, in the midst of which the zygote forks.
        try:
            said = plain.run(module, path, zygote._root, zygote._package, zygote._meter)
        except (plain.UnexplainedError, plain.OnlyPytestKnowsError) as error:
            # With a trap it is enough to know that the test does not pass.
            if not self._request["traps"]:
                return {"only": "explained" if isinstance(error, plain.UnexplainedError) else "pytest"}
            said = {"exit": 1, "outcomes": {self._request["run"][0]: "failed"}, "failures": [], "collect_errors": 0}
        del explaining
        return {**said, "files": self._files(), "touched": zygote._ledger.touched()}

    def _files(self) -> dict[str, Any]:
        """What ran of the measured files, but for what was imported ahead."""
        return self._zygote._meter.executed(self._zygote._meter.take())

    def _forget_folders(self) -> None:
        """Look into the folders of the test files anew: the import system remembers what was in them."""
        for folder in {os.path.dirname(path) for path in self._zygote._recorder.files}:
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
        if self._zygote.watches_collection or any(_GENERATE in text or "ids" in text for text in texts):
            with self._zygote._meter.watching():
                return self._collect_items()
        return self._collect_items()

    def _collect_items(self) -> list[Any]:
        items: list[Any] = []
        for name in self._request["run"]:
            path = pathlib.Path(self._zygote._root, name)
            collector = self._zygote._collector(self._session, path)
            items += self._session.genitems(collector)
        return items


def _path(module: Any) -> str:
    return getattr(module, "__file__", None) or ""


def _compile(path: pathlib.Path, _: object) -> None:
    compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _answer(known: dict[str, Any]) -> dict[str, Any]:
    """An answer with what is not known of it left empty; the result, when there is one, comes last."""
    empty = {"timed_out": False, "status": 0, "cpu": 0.0, "memory": 0, "seconds": 0.0, "output": ""}
    return {**empty, **known}


def _same_files(descriptor: int) -> list[int]:
    """Other descriptors of the same file: pytest's faulthandler keeps one of standard error."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > descriptor and os.path.sameopenfile(int(name), descriptor):
                found.append(int(name))
    return found


def _tail(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, _LAST_OUTPUT, max(0, size - _LAST_OUTPUT)).decode("utf-8", "replace")
