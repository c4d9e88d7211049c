"""Repairs of marks: those that the project does not know, misspelt ones, and tables that do not fit their test."""

from __future__ import annotations

import ast
import re

from llm_testgen.records import Candidate
from llm_testgen.repairs.base import Case
from llm_testgen.repairs.edits import Change, Code
from llm_testgen.source import FunctionNode

_UNKNOWN = re.compile(
    r"'(?P<name>\w+)' not found in `markers`|Unknown pytest\.mark\.(?P<other>\w+)|Unknown '(?P<third>\w+)' mark"
)
_NO_ARGUMENT = re.compile(r"function uses no argument '(?P<name>\w+)'")
_NOT_A_MARK = re.compile(
    r"module 'pytest' has no attribute '(?P<name>parametri[sz]e|parameteri[sz]e|skipif|skip_if|usefixtures)'"
)
_SPELLINGS = {
    "parameterize": "parametrize",
    "parametrise": "parametrize",
    "parameterise": "parametrize",
    "skip_if": "skipif",
    "use_fixtures": "usefixtures",
}


def mend_mark(case: Case) -> Candidate | None:
    """Spell a mark as pytest does, or drop it where pytest does not know it."""
    unknown = _UNKNOWN.search(case.failure.message)
    code = Code.read(case.code)
    name = next(filter(None, unknown.groups()), "") if unknown else ""
    if code is None or not name:
        return None
    uses = [mark for mark in _marks(code) if mark.attr == name and ast.unparse(mark.value) == "pytest.mark"]
    if name in _SPELLINGS:
        text = code.changed([(mark, f"pytest.mark.{_SPELLINGS[name]}") for mark in uses])
        return case.candidate.repaired(text, f"spelt the mark `{name}` as `{_SPELLINGS[name]}`") if text else None
    lines = case.code.split("\n")
    gone: set[int] = set()
    for node in ast.walk(code.tree):
        for decorator in node.decorator_list if isinstance(node, FunctionNode | ast.ClassDef) else ():
            if any(child in uses for child in ast.walk(decorator)):
                gone.update(range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1))
    text = "\n".join(line for number, line in enumerate(lines, start=1) if number not in gone)
    return (
        case.candidate.repaired(text, f"dropped the mark `{name}`, which the project does not know") if gone else None
    )


def mark_by_name(case: Case) -> Candidate | None:
    """Take a mark for one that was looked for in pytest itself."""
    missing = _NOT_A_MARK.search(case.failure.message)
    code = Code.read(case.code)
    if missing is None or code is None:
        return None
    name = missing["name"]
    meant = _SPELLINGS.get(name, name)
    uses = [mark for mark in _marks(code) if mark.attr == name and ast.unparse(mark.value) == "pytest"]
    text = code.changed([(mark, f"pytest.mark.{meant}") for mark in uses]) if uses else None
    return case.candidate.repaired(text, f"wrote `pytest.mark.{meant}` for `pytest.{name}`") if text else None


def add_argument(case: Case) -> Candidate | None:
    """Give a test the argument that its table of parameters has values for."""
    missing = _NO_ARGUMENT.search(case.failure.message)
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if missing is None or code is None or test is None or not test.args.args:
        return None
    last = test.args.args[-1]
    changes: list[Change] = [(last, f"{ast.unparse(last)}, {missing['name']}")]
    text = code.changed(changes)
    said = f"gave it the argument `{missing['name']}`, which its parameters have values for"
    return case.candidate.repaired(text, said) if text else None


def _marks(code: Code) -> list[ast.Attribute]:
    return [node for node in ast.walk(code.tree) if isinstance(node, ast.Attribute)]
