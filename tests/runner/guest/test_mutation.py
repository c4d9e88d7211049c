from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_testgen.runner.guest import mutation

GUEST = Path(mutation.__file__).parent


def described(source: str, *, classes=(), start=1, end=None, name="f", **more) -> dict:
    last = start + source.count("\n") if end is None else end
    known = {"path": "mod.py", "name": name, "classes": list(classes), "start": start, "body": start + 1, "end": last}
    return {**known, "source": source, "whole": False, **more}


def code_of(function):
    return function.__code__


def function(text: str):
    namespace: dict = {}
    exec(compile(text, "mod.py", "exec", dont_inherit=True), namespace)  # noqa: S102 - a module of one function
    return namespace["f"]


def test_what_follows_a_mutant_stays_at_its_lines():
    text = "a\ndef f():\n    x\n    y\nb\n"
    assert mutation.replaced(text, described("def f():\n    y", start=2, end=4)) == "a\ndef f():\n    y\n\nb\n"
    assert mutation.replaced(text, described("def f():\n    1\n    2\n    3", start=2, end=4)).endswith("    3\nb\n")


@pytest.mark.parametrize("indent", ["    ", "\t\t", "  \t"])
def test_a_method_is_compiled_at_its_lines_and_with_the_names_of_its_class(indent):
    source = f"{indent}@decorated\n{indent}def f(self):\n{indent}  return self.__x"
    text = mutation.surrounded(described(source, classes=["_Outer", "Inner"], start=7))
    assert text.split("\n")[6:9] == source.split("\n")
    inner = compile(text, "mod.py", "exec").co_consts[0].co_consts
    method = next(one for one in inner if hasattr(one, "co_name")).co_consts
    found = next(one for one in method if hasattr(one, "co_name"))
    assert (found.co_name, found.co_firstlineno, found.co_names) == ("f", 7, ("_Inner__x",))


def test_a_function_in_a_condition_is_compiled_at_its_lines():
    assert mutation.surrounded(described("    def f():\n        pass", start=3)).split("\n")[1] == "if True:"


def closure():
    one, two = 1, 2

    def f():
        return one + two

    return f


def test_a_function_keeps_the_variables_that_a_fault_does_not_use():
    # What `super()` uses; a mutant's own surroundings know no other.
    class Box:
        def f(self):
            return super().__repr__()

    real = Box.f.__code__
    mutant = described("    def f(self):\n        return 1", classes=["Box"], start=real.co_firstlineno)
    code = mutation.faulty(mutant, real)
    assert code.co_freevars == ("__class__",)
    Box.f.__code__ = code
    assert Box().f() == 1


def test_a_function_with_other_variables_from_around_it_is_not_replaced():
    real = closure().__code__
    assert mutation.faulty(described("    def f():\n        return 1", start=real.co_firstlineno), real) is None


@pytest.mark.parametrize("source", ["def f(:", "def g():\n    pass", "def f():\n    break", "def f():\n    yield", ""])
def test_what_is_no_such_function_is_not_compiled(source):
    assert mutation.faulty(described(source), function("def f():\n    return 1").__code__) is None


def test_annotations_stay_unevaluated_where_they_were():
    source = "def f():\n    def g(x: Unknown): return x\n    return g"
    f = function(f"from __future__ import annotations\n{source}")
    f.__code__ = mutation.faulty(described(source.replace("return g", "return 1, g"), start=2), code_of(f))
    assert f()[0] == 1


def test_the_same_mutant_is_compiled_once(monkeypatch):
    calls = []
    monkeypatch.setattr(mutation, "_functions_of", lambda _: calls.append(1) or {("mod.py", "f", 1): [lambda: 1]})
    monkeypatch.setattr(mutation, "faulty", lambda *_: calls.append(2) or code_of(lambda: 2))
    replacements = mutation.Replacements(["mod.py"], lambda *_: False)
    mutant = described("def f():\n    return 2")
    first = replacements.take(mutant)
    assert replacements.take(dict(mutant)) is first
    assert calls == [1, 2]
    for number in range(1000):
        replacements.take({**mutant, "source": f"{number}"})
    assert len(replacements._made) <= 512


def test_what_ran_while_it_was_imported_takes_a_fresh_process():
    asked = []
    replacements = mutation.Replacements(["mod.py"], lambda path, lines: asked.append((path, list(lines))) or True)
    assert replacements.take(described("def f():\n    return 2", body=2, end=2)) is None
    assert replacements.take(described("def f(): return 2", body=1, end=1)) is None
    assert asked == [("mod.py", [2]), ("mod.py", [-1])]


UNCHANGED = object()
REAL = "def f(a, b=1, /, c=UNCHANGED, *, d=None, e=-2):\n    return a, b, c, d, e\n"


@pytest.mark.parametrize(
    ("before", "after", "given"),
    [
        ("b=1", "b=2", (2, UNCHANGED, None, -2)),
        ("d=None", "d=''", (1, UNCHANGED, "", -2)),
        ("e=-2", "e=+2", (1, UNCHANGED, None, 2)),
        ("b=1", "b=True", (True, UNCHANGED, None, -2)),
    ],
)
def test_another_default_takes_no_other_process(before, after, given, tmp_path):
    replacement = with_real(tmp_path, REAL, REAL.replace(before, after))
    (f,) = replacement.functions
    assert f(0)[1:] == (1, UNCHANGED, None, -2)
    replacement.put()
    assert [(value, type(value)) for value in f(0)[1:]] == [(value, type(value)) for value in given]


@pytest.mark.parametrize(
    ("real", "source"),
    [
        pytest.param(REAL, REAL.replace("c=UNCHANGED", "c=OTHER"), id="no-literal"),
        pytest.param(REAL, REAL.replace("b=1", "b"), id="fewer"),
        pytest.param(REAL, REAL.replace("(a,", "(a: int,").replace("b=1", "b=2"), id="annotation-too"),
        pytest.param(REAL, REAL.replace("b=1", "b=2").replace("return", "yield"), id="another-kind"),
        pytest.param(f"@wraps\n{REAL}", f"@wraps\n{REAL}".replace("b=1", "b=2"), id="decorated"),
    ],
)
def test_what_else_differs_outside_of_a_body_takes_a_process(real, source, tmp_path):
    assert with_real(tmp_path, real, source) is None


def with_real(tmp_path, real, source):
    """What it takes to put a definition in the place of another that is imported."""
    path = tmp_path / "mod.py"
    path.write_text(real)
    namespace = {"UNCHANGED": UNCHANGED, "wraps": lambda f: f}
    exec(compile(real, str(path), "exec", dont_inherit=True), namespace)  # noqa: S102 - a module of one function
    replacements = mutation.Replacements([str(path)], lambda *_: False)
    source = source.rstrip("\n")
    return replacements.take(described(source, path=str(path), whole=True))


SCRIPT = '''
import asyncio, gc, sys
sys.path.insert(0, GUEST)
import mutation

SOURCE = """\\
class Base:
    def area(self): return 1

class Box(Base):
    def area(self):
        return super().area() + 1

    async def waits(self):
        return __class__.__name__

    def counts(self):
        yield super().area()
    def grows(self, by=1, *, times=3):
        return by * times
"""
open("mod.py", "w").write(SOURCE)
import mod

def fault(name, start, source, whole=False):
    mutant = {"path": mod.__file__, "name": name, "classes": ["Box"], "start": start, "body": start + 1,
              "end": start + 1, "source": source, "whole": whole}
    found = mutation.Replacements([mod.__file__], lambda *_: False).take(mutant)
    assert found is not None, name
    found.put()

defaults = mod.Box.grows
gc.freeze()
fault("grows", 13, "    def grows(self, by=1, *, times=4):\\n        return by * times", whole=True)
assert (defaults(None), defaults(None, by=2), defaults(None, times=1)) == (4, 8, 1)
fault("area", 5, "    def area(self):\\n        return 7")
fault("waits", 8, "    async def waits(self):\\n        return None")
fault("counts", 11, "    def counts(self):\\n        yield 8")
box = mod.Box()
assert (box.area(), asyncio.run(box.waits()), list(box.counts())) == (7, None, [8])
'''


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_functions_are_replaced_in_every_interpreter_of_this_machine(version, tmp_path):
    python = shutil.which(f"python{version}") or (sys.executable if sys.version.startswith(f"{version}.") else None)
    # A version manager's shim may stand for an interpreter that is not there.
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here")
    script = tmp_path / "script.py"
    script.write_text(f"GUEST = {str(GUEST)!r}\n{SCRIPT}")
    done = subprocess.run([python, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
