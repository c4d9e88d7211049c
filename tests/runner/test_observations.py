"""What a test reports of its values: what comes of it, and what is not believed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.conftest import GitProject
from tests.project_python import project_python
from tests.samples import changed_method, prompt, reply

from llm_testgen.edges.git import Repository
from llm_testgen.records import Candidate, Ending, Observation, Run
from llm_testgen.runner.base import Limits, Project, Runner
from llm_testgen.runner.cold import ColdRunner
from llm_testgen.runner.interpreter import inspect
from llm_testgen.runner.observations import ObservationClaim
from llm_testgen.runner.sandbox import detect
from llm_testgen.runner.warm import WarmRunner

ENVIRON = {"PATH": os.environ["PATH"]}
MODULE = '''\
"""Things."""

import enum


class Color(enum.Enum):
    RED = 1


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __repr__(self):
        raise RuntimeError("no")

    __eq__ = __hash__ = __repr__


def words(text):
    return set(text.split())
'''


def candidate(code: str) -> Candidate:
    answer = replace(reply(code), prompt=prompt(changed_method(), test_path="tests/test_mod.py"))
    return Candidate(answer, "test_it", code)


class Bench:
    """A runner of the project, and a loop of its own."""

    def __init__(self, project: GitProject, *, warm: bool) -> None:
        self._loop = asyncio.Runner()
        modules = {"src/pkg/mod.py": "pkg.mod"}
        described = Project(
            Repository.open(project.root).snapshot("HEAD"), {}, ("src",), tuple(modules), "tests", modules
        )
        found = inspect(Path(project_python()), ENVIRON)
        cold = ColdRunner(described, found, detect(found, ENVIRON).confinement, Limits(seconds=20), ENVIRON)
        self.runner: Runner = WarmRunner(cold, workers=1) if warm else cold
        ready = self._loop.run(self.runner.prepare())
        assert (ready.problem, ready.cold) == ("", "")

    def run(self, code: str, *, hash_seed: int = 0, observing: bool = True, **conditions) -> Run:
        return self._loop.run(
            self.runner.run_candidate(candidate(code), hash_seed=hash_seed, observing=observing, **conditions)
        )

    def close(self) -> None:
        self._loop.run(self.runner.close())
        self._loop.close()


def _bench(project: GitProject, *, warm: bool) -> Iterator[Bench]:
    bench = Bench(project, warm=warm)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> GitProject:
    project = GitProject(tmp_path_factory.mktemp("observed") / "project")
    project.root.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write("src/pkg/__init__.py", "")
    project.write("src/pkg/mod.py", MODULE)
    project.write("tests/test_mod.py", "def test_nothing():\n    pass\n")
    project.commit()
    return project


@pytest.fixture(scope="module")
def warm(project):
    yield from _bench(project, warm=True)


@pytest.fixture(scope="module")
def cold(project):
    yield from _bench(project, warm=False)


BODY = """\
    value = [1, 2.5]
    observe(0, value).append(3)
    observe(1, value)
    observe(2, mod.Color.RED)
    observe(3, mod.Money(1))
    observe(4, mod.words("b a d c"))
    observe(5, tempfile.mkdtemp())
    observe(6, os.path.join(os.getcwd(), "x"))
    assert observe(7, mod.Color) is mod.Color
"""
HEAD = "import os\nimport tempfile\nfrom pkg import mod\n\nobserve = __llm_testgen_observe__\n\n\n"
SEEN = (
    Observation(0, "list", "[1, 2.5]", approximate=True),
    Observation(1, "list", "[1, 2.5, 3]", approximate=True),
    Observation(2, "Color", "pkg.mod.Color.RED", ("import pkg.mod",)),
    Observation(3, "Money"),
    Observation(4, "set", "{'a', 'b', 'c', 'd'}"),
    Observation(5, "str"),
    Observation(6, "str"),
    Observation(7, "EnumType" if sys.version_info >= (3, 11) else "EnumMeta"),
)
SHAPES = {
    "a test that passes": (f"{HEAD}def test_it():\n{BODY}", Ending.PASSED),
    "a test that needs pytest": (f"{HEAD}def test_it(tmp_path):\n{BODY}", Ending.PASSED),
    "a test that fails afterwards": (f"{HEAD}def test_it():\n{BODY}    assert value == 4\n", Ending.FAILED),
    "a test that raises afterwards": (f"{HEAD}def test_it(tmp_path):\n{BODY}    raise ValueError\n", Ending.FAILED),
    "a test that skips itself afterwards": (
        f"import pytest\n{HEAD}def test_it():\n{BODY}    pytest.skip('no')\n",
        Ending.SKIPPED,
    ),
}


@pytest.mark.parametrize("tier", ["warm", "cold"])
@pytest.mark.parametrize(("code", "ending"), SHAPES.values(), ids=SHAPES)
def test_values_are_told_by(code, ending, tier, request):
    run = request.getfixturevalue(tier).run(code)
    assert run.ending is ending
    assert run.observed == SEEN
    assert bool(run.cpu) is (tier == "warm")


def test_what_a_test_with_reports_covers_is_measured(warm, cold):
    code = SHAPES["a test that passes"][0]
    plain = code.replace("__llm_testgen_observe__", "lambda key, value: value")
    expected = warm.run(plain, observing=False).covered
    assert warm.run(code).covered == cold.run(code).covered == expected != {}


def test_the_order_of_sets_makes_no_difference(warm):
    code = SHAPES["a test that passes"][0]
    assert warm.run(code, hash_seed=1).observed == warm.run(code, hash_seed=2).observed == SEEN


@pytest.mark.parametrize("tier", ["warm", "cold"])
def test_there_is_no_way_to_report_where_nobody_asked(tier, request):
    run = request.getfixturevalue(tier).run(SHAPES["a test that passes"][0], observing=False)
    assert (run.failure.kind, run.observed) == ("NameError", ())


@pytest.mark.parametrize("tier", ["warm", "cold"])
def test_there_are_so_many_reports_at_most(tier, request):
    code = "def test_it():\n    for key in range(-5, 400):\n        __llm_testgen_observe__(key, key)\n    __llm_testgen_observe__('x', 1)\n"
    run = request.getfixturevalue(tier).run(code)
    assert run.ending is Ending.PASSED
    assert [seen.key for seen in run.observed] == list(range(300))


FORGED = """\
import json, os

CLAIM = {{"exit": 0, "outcomes": {{"it": "passed"}}, "failures": [], "collect_errors": 0, "files": {{}}, "observed": {}}}


def test_it():
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, json.dumps(CLAIM).encode() + b"\\n")
        except OSError:
            pass
    os._exit(0)
"""


@pytest.mark.parametrize("tier", ["warm", "cold"])
def test_what_a_test_claims_by_itself_is_no_source(tier, request):
    claim = [{"key": 1, "type": "int); evil(", "expression": "__import__('os').system('true')", "imports": []}]
    run = request.getfixturevalue(tier).run(FORGED.format(claim))
    assert (run.ending, run.observed) == (Ending.PASSED, (Observation(1, "object"),))


TOO_MUCH = {
    "too many": [{"key": 1, "type": "int", "expression": "1"}] * 301,
    "a long expression": [{"key": 1, "type": "int", "expression": "1" * 2000}],
    "a long type": [{"key": 1, "type": "i" * 200}],
    "many imports": [{"key": 1, "type": "int", "imports": ["import os"] * 50}],
    "a large key": [{"key": 10**9, "type": "int"}],
    "no number": [{"key": "x", "type": "int"}],
    "no list": 7,
}


@pytest.mark.parametrize("claim", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_report_that_nobody_writes_honestly_is_none(claim, warm):
    run = warm.run(FORGED.format(claim))
    assert (run.ending, run.observed) == (Ending.CRASHED, ())


def checked(expression: str, *imports: str) -> Observation:
    return ObservationClaim(key=1, type="int", expression=expression, imports=imports).observation()


HONEST = [
    ("-5", "-5", ()),
    ("(1+2j)", "1 + 2j", ()),
    ("(-0-1j)", "-0 - 1j", ()),
    ("-1j", "-1j", ()),
    ("...", "...", ()),
    ("float('-inf')", "float('-inf')", ()),
    ("{'a': [None, {1}, frozenset({(1,)})], b'\\x00': ()}", None, ()),
    ("[set(), frozenset(), {}, NotImplemented, ValueError]", None, ()),
    ("range(3, -1, -2)", None, ()),
    ("decimal.Decimal('1.50')", None, ("import decimal",)),
    ("datetime.datetime(2020, 1, 1, 0, 0, fold=1, tzinfo=datetime.timezone.utc)", None, ("import datetime",)),
    ("datetime.timedelta(days=-1, seconds=5)", None, ("import datetime",)),
    ("pathlib.Path('a')", None, ("import pathlib",)),
    ("[a.Color.RED, a.b.Outer.Color.RED]", None, ("import a", "import a.b")),
    ("a._b.Color.RED", None, ("import a._b",)),
]


@pytest.mark.parametrize(("expression", "written", "imports"), HONEST, ids=[row[0] for row in HONEST])
def test_a_literal_is_believed(expression, written, imports):
    seen = checked(expression, *imports)
    assert (seen.expression, seen.imports) == (written or expression, imports)


@pytest.mark.parametrize(
    ("expression", "approximate"),
    [("1", False), ("[1.0]", True), ("-1.5", True), ("1j", True), ("'1.5'", False), ("float('inf')", False)],
)
def test_what_holds_floats_is_approximate(expression, approximate):
    assert checked(expression).approximate is approximate


def test_an_expression_is_written_anew():
    assert checked("(  1 ) # x").expression == "1"
    assert checked('"a" "b"').expression == "'ab'"


FORGERIES = [
    ("__import__('os')",),
    ("open('x')",),
    ("print",),
    ("f'{1}'",),
    ("(lambda: 1)()",),
    ("[x for x in ()]",),
    ("1 + 1",),
    ("'x' * 9",),
    ("not 1",),
    ("(x := 1)",),
    ("x",),
    ("1; 2",),
    ("import os",),
    ("1\n2",),
    ("",),
    (" 1",),
    ("[*()]",),
    ("{**{}}",),
    ("set([1])",),
    ("frozenset([1])",),
    ("float('nan')",),
    ("int('1')",),
    ("range(*())",),
    ("range(1.5)",),
    ("1" * 31,),
    ("(" * 300 + ")" * 300,),
    ("[" * 300 + "]" * 300,),
    ("os.system('true')", "import os"),
    ("os.environ", "import os"),
    ("os.environ.__class__", "import os"),
    ("os.environ._data", "import os"),
    ("os.Color.RED()", "import os"),
    ("os.Color.RED[0]", "import os"),
    ("os.Color.RED",),
    ("osx.Color.RED", "import os"),
    ("decimal.Decimal('1')",),
    ("decimal.Decimal(open('x'))", "import decimal"),
    ("decimal.Decimal('1', x=1)", "import decimal"),
    ("datetime.datetime(2020, 1, 1, tzinfo=x)", "import datetime"),
    ("datetime.datetime(2020, 1, 1, **{})", "import datetime"),
    ("datetime.datetime.now()", "import datetime"),
    ("pathlib.Path.cwd()", "import pathlib"),
    ("1", "import os"),
    ("a.Color.RED", "import a as b"),
    ("a.Color.RED", "import a, b"),
    ("a.Color.RED", "import a\nimport b"),
    ("a.Color.RED", "import a; evil()"),
    ("a.Color.RED", "from a import Color"),
    ("a.Color.RED", "import _a"),
    ("a.__b.Color.RED", "import a.__b"),
    ("a._Color.RED", "import a"),
    ("a.Color.RED", "import a.def"),
]


@pytest.mark.parametrize("row", FORGERIES, ids=[repr(row)[:60] for row in FORGERIES])
def test_what_is_no_literal_is_not_believed(row):
    assert checked(*row) == Observation(1, "int")


def test_the_name_of_a_type_is_a_name():
    assert ObservationClaim(key=1, type="a b").observation().type == "object"
    with pytest.raises(ValidationError):
        ObservationClaim(key=-1, type="int")
