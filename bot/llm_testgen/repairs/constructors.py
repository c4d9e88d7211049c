"""Which classes can be made without an argument, as a test has to that was given no instance."""

from __future__ import annotations

import ast

from llm_testgen.repairs.base import Case, ProjectNames, definition_node
from llm_testgen.source import FunctionNode

_PLAIN_BASES = frozenset({"object", "ABC", "Generic", "Protocol"})
_TWO_WORDS = "_"


def made_without_arguments(variable: str, case: Case) -> tuple[str, str] | None:
    """The class that a variable is named after, with its import, if it can be made without an argument."""
    owner = case.candidate.target.qualname.rpartition(".")[0]
    camel = "".join(part.capitalize() for part in variable.split(_TWO_WORDS))
    for name in dict.fromkeys([owner, camel]):
        plain = name.lower().replace("_", "")
        alike = plain.endswith(variable.lower().replace("_", "")) or variable in {"obj", "instance", "sut", "subject"}
        if not name or "." in name or not (name == camel or alike):
            continue
        statement = case.names.import_for(name)
        if statement and " as " not in statement and takes_nothing(name, case.names):
            return name, statement
    return None


def takes_nothing(name: str, names: ProjectNames) -> bool:
    """Whether a class of the module under test can surely be made without an argument."""
    method = names.definition(name)
    node = definition_node(method) if method else None
    if not isinstance(node, ast.ClassDef) or node.keywords:
        return False
    if any(isinstance(child, FunctionNode) and _is_abstract(child) for child in node.body):
        return False
    own = [child for child in node.body if isinstance(child, FunctionNode) and child.name in {"__init__", "__new__"}]
    if own:
        return all(_needs_nothing(child.args) for child in own)
    if any(ast.unparse(decorator).rpartition(".")[2].startswith("dataclass") for decorator in node.decorator_list):
        return not node.bases and all(child.value for child in node.body if isinstance(child, ast.AnnAssign))
    bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
    if node.decorator_list:
        return False
    return all(base in _PLAIN_BASES or takes_nothing(base, names) for base in bases)


def _needs_nothing(arguments: ast.arguments) -> bool:
    """Whether a method with these arguments can be called on its instance alone."""
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    return needed <= 1 and all(default is not None for default in arguments.kw_defaults)


def _is_abstract(node: FunctionNode) -> bool:
    return any(ast.unparse(decorator).endswith("abstractmethod") for decorator in node.decorator_list)
