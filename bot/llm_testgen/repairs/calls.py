"""Repairs of how the code under test is called: methods without an instance, iterators taken for lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from llm_testgen.records import Candidate, MethodKind
from llm_testgen.repairs.assertions import called_name
from llm_testgen.repairs.base import Case, definition_node
from llm_testgen.repairs.constructors import takes_nothing
from llm_testgen.repairs.edits import Change, Code, own_nodes, parents, with_imports
from llm_testgen.source import FunctionNode

_NO_SELF = re.compile(r"(?P<name>[\w.]+)\(\) missing \d+ required positional arguments?: ")
_UNKNOWN = re.compile(r"name '(?P<name>\w+)' is not defined|cannot import name '(?P<other>\w+)'")
_LAZY = re.compile(
    r"<(?:generator|map|filter|zip|reversed|enumerate|itertools\.\w+)\b[^>]*object|"
    r"<generator ob|'(?:generator|map|filter|zip|itertools\.\w+)' (?:object is not subscriptable|has no len)|"
    r"object of type '(?:generator|map|filter|zip)' has no len|'(?:generator|map|filter|zip)' object"
)
_NOT_CALLABLE = re.compile(r"'(?P<kind>\w+)' object is not callable")
# What goes over an iterator by itself.
_GOES_OVER = frozenset(
    {"list", "tuple", "set", "sorted", "dict", "next", "sum", "max", "min", "any", "all", "iter", "enumerate", "zip"}
)


def call_on_instance(case: Case) -> Candidate | None:
    """Call a method on an instance where it was called on its class, if one can be made without an argument."""
    missing = _NO_SELF.search(case.failure.message)
    code = Code.read(case.code)
    if missing is None or code is None:
        return None
    method = missing["name"].rpartition(".")[2]
    uses = [
        node.func.value
        for node in ast.walk(code.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and isinstance(node.func.value, ast.Name)
        and _is_method(f"{node.func.value.id}.{method}", case)
        and takes_nothing(node.func.value.id, case.names)
    ]
    text = code.changed([(value, f"{value.id}()") for value in uses]) if uses else None
    said = f"called `{method}` on an instance, `{uses[0].id}()`" if uses else ""
    return case.candidate.repaired(text, said) if text else None


def _is_method(qualname: str, case: Case) -> bool:
    """Whether a method is called on an instance, for all that is known of it."""
    method = case.names.definition(qualname)
    node = definition_node(method) if method else None
    kinds = {ast.unparse(one) for one in node.decorator_list} if node else set()
    return not kinds & {"staticmethod", "classmethod"}


def call_as_method(case: Case) -> Candidate | None:
    """Call as a method what the test takes for a function of the module."""
    unknown = _UNKNOWN.search(case.failure.message)
    target = case.candidate.target
    owner, _, name = target.qualname.rpartition(".")
    code = Code.read(case.code)
    if unknown is None or code is None or name not in {unknown["name"], unknown["other"]} or "." in owner:
        return None
    statement = case.names.import_for(owner) if owner else None
    if statement is None or " as " in statement or target.method.kind is not MethodKind.METHOD:
        return None
    node = definition_node(target.method)
    calls = [one for one in ast.walk(code.tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == name]
    if not isinstance(node, FunctionNode) or not calls:
        return None
    receivers = {id(call): _receiver(call, owner, node, case) for call in calls}
    if not all(receivers.values()):
        return None
    changes: list[Change] = [(call.func, f"{receivers[id(call)]}.{name}") for call in calls]
    for one in ast.walk(code.tree):
        if isinstance(one, ast.ImportFrom) and any(alias.name == name for alias in one.names):
            others = [alias for alias in one.names if alias.name != name]
            changes.append((one, ast.unparse(ast.ImportFrom(one.module, others, one.level)) if others else statement))
    text = code.changed(changes)
    said = f"called `{name}` as the method of `{owner}` that it is"
    return case.candidate.repaired(with_imports(text, [statement]), said) if text else None


def _receiver(call: ast.Call, owner: str, method: FunctionNode, case: Case) -> str:
    """What a method is to be called on; empty when that cannot be told."""
    kinds = {ast.unparse(decorator) for decorator in method.decorator_list}
    if kinds & {"staticmethod", "classmethod"}:
        return owner
    positional = [*method.args.posonlyargs, *method.args.args]
    needed = len(positional) - len(method.args.defaults)
    given = len(call.args) + len(call.keywords)
    if given == len(positional) and given > needed - 1 and len(positional) == needed:
        return owner  # the test passes an instance first
    return f"{owner}()" if takes_nothing(owner, case.names) else ""


def gather(case: Case) -> Candidate | None:
    """Make a list of what the code under test gives one by one."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or not _LAZY.search(case.failure.message):
        return None
    name = case.candidate.target.method.name
    around = parents(test)
    calls = [
        node
        for node in own_nodes(test)
        if isinstance(node, ast.Call) and called_name(node) == name and not _is_gone_over(node, around.get(node))
    ]
    text = code.changed([(node, f"list({code.segment(node)})") for node in calls]) if calls else None
    return case.candidate.repaired(text, f"made a list of what `{name}` gives one by one") if text else None


def read_property(case: Case) -> Candidate | None:
    """Read a property that was called."""
    code = Code.read(case.code)
    target = case.candidate.target.method
    node = definition_node(target)
    if code is None or not isinstance(node, FunctionNode) or not _NOT_CALLABLE.search(case.failure.message):
        return None
    if not any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list):
        return None
    calls = [
        one
        for one in ast.walk(code.tree)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == target.name
    ]
    calls = [one for one in calls if not one.args and not one.keywords]
    text = code.changed([(one, code.segment(one.func)) for one in calls]) if calls else None
    return case.candidate.repaired(text, f"read the property `{target.name}`, which was called") if text else None


def pass_text(case: Case) -> Candidate | None:
    """Pass a path as text to code that works with no other."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or test is None or "PosixPath" not in case.failure.message:
        return None
    paths = {"tmp_path"}
    for node in own_nodes(test):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_path(node.value, paths):
            paths.add(node.targets[0].id)
    bound = {
        node.targets[0].id: node.value
        for node in own_nodes(test)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    given = [
        part
        for node in own_nodes(test)
        if isinstance(node, ast.Call) and called_name(node) not in {"str", "open", "Path"}
        if node.lineno <= case.failure.line <= (node.end_lineno or node.lineno)
        for argument in (*_receiver_of(node, case), *node.args, *(keyword.value for keyword in node.keywords))
        for part in (argument, *_entries(argument, bound))
        if _is_path(part, paths)
    ]
    changes = [(part, f"str({code.segment(part)})") for part in dict.fromkeys(given)]
    text = code.changed(changes) if changes else None
    return case.candidate.repaired(text, "passed paths as text, as the code under test takes them") if text else None


def _receiver_of(call: ast.Call, case: Case) -> list[ast.expr]:
    """What a method of texts is called on that paths do not have."""
    match call.func:
        case ast.Attribute(value=value, attr=name) if f"no attribute '{name}'" in case.failure.message:
            return [value]
    return []


def _entries(argument: ast.expr, bound: Mapping[str, ast.expr]) -> list[ast.expr]:
    """The entries of a list that is given, as it is written or by a variable."""
    value = bound.get(argument.id, argument) if isinstance(argument, ast.Name) else argument
    return value.elts if isinstance(value, ast.List | ast.Tuple) else []


def _is_path(value: ast.expr, paths: set[str]) -> bool:
    """Whether an expression is a path of ``tmp_path``, by itself or with parts put to its end."""
    while isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        value = value.left
    return isinstance(value, ast.Name) and value.id in paths


def _is_gone_over(node: ast.AST, outer: ast.AST | None) -> bool:
    match outer:
        case ast.Call(func=ast.Name(id=name)):
            return name in _GOES_OVER
        case ast.For(iter=iterable) | ast.comprehension(iter=iterable):
            return iterable is node
    return isinstance(outer, ast.Starred | ast.YieldFrom)
