"""Tests that claim a result without having it: code in the same process can patch whatever measures it."""

from __future__ import annotations

_FRAME = """\
import atexit, builtins, gc, io, json, os, sys, types

import pkg.mod

PATH = os.path.abspath("src/pkg/mod.py")
FILES = {PATH: {"executed": [1, 4, 5, 6, 7], "branches": [[5, 6], [5, 7]]}}
CLAIM = {"exit": 0, "outcomes": {"it": "passed"}, "failures": [], "collect_errors": 0, "files": FILES}


def tell(data):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            pass


def guest(name):
    return next(module for title, module in sys.modules.items() if title.endswith("guest." + name))


"""


def frame() -> str:
    """What a forgery begins with: what it claims, and the means to tell it."""
    return _FRAME


def _test(body: str) -> str:
    return f"{_FRAME}def test_it():\n    {body}\n"


# What a test that knows nothing of the trap can claim.
FORGERIES = {
    "write the result and leave": _test('tell(json.dumps(CLAIM).encode() + b"\\n")\n    os._exit(0)'),
    "write the result at exit": _test('atexit.register(tell, json.dumps(CLAIM).encode() + b"\\n")\n    assert False'),
    "write it while it is imported": _FRAME + 'tell(json.dumps(CLAIM).encode() + b"\\n")\nos._exit(0)\n',
    "replace what is written": _test("json.dumps = lambda *_, **__: TEXT\n    assert False").replace(
        "def test_it", "TEXT = json.dumps(CLAIM)\n\n\ndef test_it"
    ),
    "patch the report of pytest": _test(
        "import _pytest.reports as reports\n"
        "    reports.TestReport.from_item_and_call = classmethod(lambda c, item, call: reports.TestReport(\n"
        "        item.nodeid, item.location, {}, 'passed', None, call.when))\n"
        "    guest('measure').Meter.executed = lambda *_: FILES\n    assert False"
    ),
    "patch the runner of pytest": _test(
        "import _pytest.runner as runner\n    runner.check_interactive_exception = lambda *_: False\n"
        "    for code in [runner.call_and_report.__code__]: pass\n    guest('measure').Meter.executed = lambda *_: FILES"
    ),
    "patch the recorder": _test("guest('outcomes').Recorder.result = lambda *_: CLAIM\n    assert False"),
    "patch the meter": _test("guest('measure').Meter.executed = lambda *_: FILES"),
    "add to the data of coverage": _test(
        "for one in gc.get_objects():\n        if type(one).__name__ == 'Collector':\n"
        "            one.flush_data = lambda: one.covdata.add_arcs({PATH: [(5, 6), (6, -4)]})"
    ),
    "run lines in the name of the file": _test("exec(compile('\\n' * 5 + 'x = 1', pkg.mod.__file__, 'exec'))"),
    "stop the tracing": _test("sys.settrace(None)\n    pkg.mod.area(-1)"),
    "leave at once": _test("os._exit(0)"),
    "abort": _test("os.abort()"),
}

# What a test can claim that has seen how the trap is set: it tells the trapped run from the other.
KNOWING = {
    "fail where there is a trap": _test(
        "assert not hasattr(builtins, '__llm_testgen_trap__')\n    guest('measure').Meter.executed = lambda *_: FILES"
    ),
    "use the method, and write another result": _test(
        "pkg.mod.area(1)\n    tell(json.dumps(CLAIM).encode() + b'\\n')\n    os._exit(0)"
    ),
}

# What no report looks like, and what none may do to what the runner has seen for itself.
GARBAGE = {
    "nothing that is a report": "tell(b'garbage\\n' * 1000)",
    "half of a report": "tell(json.dumps(CLAIM).encode()[:-9] + b'\\n')",
    "very deep": "tell(b'[' * 100_000 + b'\\n')",
    "very long": "tell(b'[' + b'1,' * (5 << 20) + b'1]\\n')",
    "of other types": "tell(json.dumps({**CLAIM, 'outcomes': [1], 'exit': 'x'}).encode() + b'\\n')",
    "of huge numbers": "tell(json.dumps(CLAIM).replace('[1, 4', '[1' + '0' * 5000 + ', 4').encode() + b'\\n')",
    "no text": "tell(bytes(range(256)) + b'\\n')",
    "a refusal of the launcher": 'tell(b\'{"launch": "no"}\\n\')',
    "an apology of the zygote": 'tell(b\'null, "fault": "it is gone"\')',
}
