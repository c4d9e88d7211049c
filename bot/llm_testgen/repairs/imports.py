"""Repairs of imports: each name is taken from where the project has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from llm_testgen.records import Candidate
from llm_testgen.repairs.base import Case, ProjectNames
from llm_testgen.repairs.edits import Change, Code, with_imports

_UNDEFINED = re.compile(r"name '(?P<name>\w+)' is not defined")
_NOT_IN_MODULE = re.compile(
    r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<module>[\w.]+)'"
)
_NO_MODULE = re.compile(r"No module named '(?P<module>[\w.]+)'")
_NO_ATTRIBUTE = re.compile(r"(?:module|type object) '(?P<owner>[\w.]+)' has no attribute '(?P<name>\w+)'")


def import_undefined(case: Case) -> Candidate | None:
    """Import a name that is not defined: an object, or the module that dotted names begin with."""
    undefined = _UNDEFINED.search(case.failure.message)
    code = Code.read(case.code)
    if undefined is None or code is None:
        return None
    name = undefined["name"]
    statement = case.names.import_for(name) or _module_import(name, code, case.names)
    if statement and statement not in case.code:
        return case.candidate.repaired(f"{statement}\n{case.code}", f"added `{statement}`")
    meant = case.names.similar(name)
    if statement or meant is None:
        return None
    return _renamed(case, code, name, meant)


def import_from_elsewhere(case: Case) -> Candidate | None:
    """Replace what is imported from the wrong module by the project's own imports of the same names."""
    message = case.failure.message
    wrong = _NOT_IN_MODULE.search(message) or _NO_MODULE.search(message)
    code = Code.read(case.code)
    if wrong is None or code is None:
        return None
    changes: list[Change] = []
    done: list[str] = []
    for node in ast.walk(code.tree):
        if isinstance(node, ast.ImportFrom) and node.module == wrong["module"] and not node.level:
            statements = _own_imports(node.names, case.names)
            if not statements or ast.unparse(node) in statements:
                return _slip(case, code, wrong.groupdict().get("name") or "")
            changes.append((node, "; ".join(statements)))
            done += statements
    if not done:
        return _unprefixed(case, code, wrong["module"])
    text = code.changed(changes)
    return case.candidate.repaired(text, f"imported by `{'; '.join(done)}`") if text else None


def import_moved(case: Case) -> Candidate | None:
    """Import what was taken for an attribute of a module or class, from where the project has it."""
    missing = _NO_ATTRIBUTE.search(case.failure.message)
    code = Code.read(case.code)
    if missing is None or code is None:
        return None
    name, owner = missing["name"], missing["owner"].rpartition(".")[2]
    meant = name if case.names.import_for(name) else case.names.similar(name)
    statement = case.names.import_for(meant) if meant else None
    uses = [
        node
        for node in ast.walk(code.tree)
        if isinstance(node, ast.Attribute) and node.attr == name and _is_named(node.value, owner, code)
    ]
    if meant is None or statement is None or not uses or " as " in statement:
        return None
    text = code.changed([(node, meant) for node in uses])
    shown = ast.unparse(uses[0])
    return (
        case.candidate.repaired(with_imports(text, [statement]), f"`{shown}` imported by `{statement}`")
        if text
        else None
    )


def _own_imports(aliases: Iterable[ast.alias], names: ProjectNames) -> list[str]:
    """The project's imports of some names; none unless all of them are known."""
    statements = []
    for alias in aliases:
        known = names.import_for(alias.name)
        if known is None:
            return []
        statements.append(f"{known} as {alias.asname}" if alias.asname and " as " not in known else known)
    return statements


def _module_import(name: str, code: Code, names: ProjectNames) -> str | None:
    """The import of the module that a dotted name leads into: ``import pkg.mod`` for ``pkg.mod.f``."""
    dotted = {ast.unparse(node) for node in ast.walk(code.tree) if isinstance(node, ast.Attribute)}
    used = {text for text in dotted if text.partition(".")[0] == name and text.replace(".", "").isidentifier()}
    modules = [module for module in (*used, name) if names.is_project_module(module)]
    return f"import {max(modules, key=len)}" if modules else None


def _unprefixed(case: Case, code: Code, module: str) -> Candidate | None:
    """Import by name what is used as an attribute of a module that does not exist."""
    wrong = [
        (node, alias)
        for node in ast.walk(code.tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if f"{alias.name}.".startswith(f"{module}.")
    ]
    if len(wrong) != 1 or len(wrong[0][0].names) > 1:
        return None
    node, alias = wrong[0]
    prefix = alias.asname or alias.name
    uses = [one for one in ast.walk(code.tree) if isinstance(one, ast.Attribute) and ast.unparse(one.value) == prefix]
    statements = {one.attr: case.names.import_for(one.attr) for one in uses}
    known = [statement for statement in statements.values() if statement]
    if not known or len(known) < len(statements):
        return None
    text = code.changed([(node, "; ".join(known)), *((one, one.attr) for one in uses)])
    return case.candidate.repaired(text, f"imported by `{'; '.join(known)}`") if text else None


def _slip(case: Case, code: Code, name: str) -> Candidate | None:
    """Take the name that was meant where one is imported that there is not."""
    meant = case.names.similar(name) if name else None
    return _renamed(case, code, name, meant) if meant else None


def _renamed(case: Case, code: Code, name: str, meant: str) -> Candidate | None:
    """Another name in all places, and its import."""
    statement = case.names.import_for(meant)
    if statement is None:
        return None
    changes: list[Change] = []
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Name) and node.id == name:
            changes.append((node, meant))
        elif isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            others = [alias for alias in node.names if alias.name != name]
            rest = ast.unparse(ast.ImportFrom(node.module, others, node.level)) if others else statement
            changes.append((node, rest))
    text = code.changed(changes)
    if text is None:
        return None
    return case.candidate.repaired(with_imports(text, [statement]), f"took `{name}` for `{meant}`, by `{statement}`")


def _is_named(value: ast.expr, owner: str, code: Code) -> bool:
    """Whether an expression is the module or class of that name, by itself or as something it was imported as."""
    if ast.unparse(value).rpartition(".")[2] == owner:
        return True
    aliases = [
        alias for node in code.tree.body if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    ]
    return isinstance(value, ast.Name) and any(
        alias.asname == value.id and alias.name.rpartition(".")[2] == owner for alias in aliases
    )
