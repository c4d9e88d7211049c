"""Plain tests → the reply that our prompt asks for, and the prompt for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_testgen.records import MODULE_QUALNAME, Context, Goal, Prompt
from llm_testgen.repairs.edits import read_names
from llm_testgen.tuning.data.plain import PlainTest
from llm_testgen.tuning.data.style import double_quoted
from llm_testgen.tuning.data.suite import dotted, free_names, origin_of

_FENCE = "```"
_WORD = re.compile(r"[A-Za-z0-9]+")
_LONGEST_NAME = 60
_MOST_WORDS = 4
_RAISES = re.compile(r"pytest\.raises\(\(?(?:\w+\.)*(\w+)")
_SPOKEN = (("!=", "is not"), ("==", "is"), ("<=", "at most"), (">=", "at least"), ("<", "below"), (">", "above"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A test that is part of a reply.

    Attributes:
        test: What it was made from.
        goal: What it is to reach; None where the prompt lists nothing.
        code: The function as the reply holds it, but for its name, which is ``test``.
    """

    test: PlainTest
    goal: Goal | None
    code: str


def subject_of(context: Context) -> str:
    """The beginning of the names of a target's tests, as our prompt begins the first one."""
    qualname = context.target.qualname
    if qualname == MODULE_QUALNAME:
        qualname = context.module.rpartition(".")[2]
    return "_".join(part.strip("_") for part in qualname.split(".")).lower()


def in_reply(test: PlainTest, context: Context, packages: frozenset[str]) -> str:
    """A test as the reply to a prompt holds it: the target by the name that the prompt imports, all else inside.

    Args:
        test: A plain test.
        context: Of the prompt.
        packages: The top-level names under which the project is imported.
    """
    given = ast.parse(context.import_line).body[0]
    assert isinstance(given, ast.ImportFrom | ast.Import)  # noqa: S101 - `stages.context.import_line` makes no other
    name = given.names[0].name
    function = ast.parse(test.code).body[0]
    assert isinstance(function, ast.FunctionDef)  # noqa: S101 - a plain test is one
    own = {bound for bound, text in test.needs.imports.items() if origin_of(text).partition(".")[0] in packages}
    renamed = {bound for bound in own if origin_of(test.needs.imports[bound]).rpartition(".")[2] == name}
    function = _Direct(name, frozenset(own), frozenset(renamed)).visit(function)
    function.name = "test"
    helpers = [statement for text in test.needs.helpers for statement in ast.parse(text).body]
    wanted = {free for node in (function, *helpers) for free in free_names(node)} - {name, "pytest"}
    imports = [ast.parse(text).body[0] for bound, text in test.needs.imports.items() if bound in wanted]
    function.body = [*imports, *helpers, *_without_import(function, name)]
    return double_quoted(ast.unparse(ast.fix_missing_locations(function)))


def _without_import(function: ast.FunctionDef, name: str) -> list[ast.stmt]:
    """The body of a test without what it imports and does not read, or has from the prompt already."""
    read = read_names(function) - {name}
    body: list[ast.stmt] = []
    for statement in function.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            statement.names = [one for one in statement.names if (one.asname or one.name).partition(".")[0] in read]
            if not statement.names:
                continue
        body.append(statement)
    return body


class _Direct(ast.NodeTransformer):
    """Writes the target's own name for what leads to it through modules or under another name."""

    def __init__(self, name: str, roots: frozenset[str], renamed: frozenset[str]) -> None:
        self._name = name
        self._roots = roots
        self._renamed = renamed

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``package.module.target``."""
        if node.attr == self._name and dotted(node).partition(".")[0] in self._roots:
            return ast.Name(self._name, node.ctx)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The target under another name."""
        return ast.Name(self._name, node.ctx) if node.id in self._renamed else node


def reply_to(prompt: Prompt, answers: Sequence[Answer]) -> str:
    """The whole reply, what the prompt begins it with included; empty where the prompt begins it in another way.

    Args:
        prompt: Which asks for these tests.
        answers: Its tests, in the order of the prompt's goals.
    """
    context = prompt.context
    comments = _comments(prompt, len(answers))
    names = _names([answer.test.origin.name for answer in answers], answers, subject_of(context))
    tests = [
        f"{comment}{answer.code.replace('def test(', f'def {name}(', 1)}"
        for comment, name, answer in zip(comments, names, answers, strict=True)
    ]
    head = f"{_FENCE}python\nimport pytest\n\n{context.import_line}\n\n\n"
    text = head + "\n\n\n".join(tests) + f"\n{_FENCE}"
    return text if text.startswith(prompt.prefill) else ""


def _comments(prompt: Prompt, count: int) -> list[str]:
    """The lines under which the prompt wants its tests, if it lists them."""
    asked = prompt.messages[-1].content
    found = [re.findall(rf"^# {number}: .*$", asked, re.MULTILINE) for number in range(1, count + 1)]
    return [f"{lines[-1].rstrip()}\n" if lines else "" for lines in found]


def _names(stems: Sequence[str], answers: Sequence[Answer], subject: str) -> list[str]:
    """Names of the tests: the subject, and what is special about each."""
    taken: dict[str, None] = {}
    for stem, answer in zip(stems, answers, strict=True):
        own = [word for word in _words(stem) if word not in {"test", "tests", *subject.split("_")}]
        raised = [f"raises_{kind.lower()}" for kind in _RAISES.findall(answer.code)[:1]]
        condition, given = _spoken(answer.goal), _inputs(answer.code)
        choices = [
            "_".join(own),
            *raised,
            condition,
            given,
            *(f"{'_'.join(own)}_{more}" for more in (condition, given)),
        ]
        made = [f"test_{subject}_{choice.strip('_')}"[:_LONGEST_NAME] for choice in choices if choice.strip("_")]
        made = made or [f"test_{subject}_works"]
        numbered = (f"{made[0]}_{number}" for number in range(2, len(stems) + 2))
        taken[next(name for name in (*made, *numbered) if name not in taken)] = None
    return list(taken)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text.replace("_", " "))]


def _spoken(goal: Goal | None) -> str:
    """The innermost condition of a goal in words; empty if it takes many."""
    text = goal.conditions[-1] if goal and goal.conditions else ""
    for sign, word in _SPOKEN:
        text = text.replace(sign, f" {word} ")
    return _short(_words(text))


def _inputs(code: str) -> str:
    """What a test hands to the first call of its assertion, in words; empty if it takes many."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Assert):
            call = next((one for one in ast.walk(node) if isinstance(one, ast.Call)), None)
            given = [*call.args, *(keyword.value for keyword in call.keywords)] if call else []
            return _short([word for one in given for word in _words(ast.unparse(one))])
    return ""


def _short(said: Sequence[str]) -> str:
    return "_".join(said) if len(said) <= _MOST_WORDS else ""
