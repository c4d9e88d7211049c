"""Repairs of tests of coroutines: without a plugin pytest awaits nothing."""

from __future__ import annotations

import ast
import re

from llm_testgen.records import Candidate
from llm_testgen.repairs.assertions import called_name
from llm_testgen.repairs.base import Case
from llm_testgen.repairs.edits import Change, Code, block_text, indented, own_nodes, parents, with_imports

_NOT_AWAITED = re.compile(
    r"coroutine '?[\w.]+'? was never awaited|<coroutine object|'coroutine' object|a coroutine was expected"
)
_ASYNC_MARK = re.compile(r"(?:pytest\.mark\.)?(?:asyncio|anyio|trio|asyncio_cooperative)\b")
_SCENARIO = "scenario"


def run_async_test(case: Case) -> Candidate | None:
    """Run the body of an asynchronous test with ``asyncio.run``."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    if code is None or not isinstance(test, ast.AsyncFunctionDef):
        return None
    is_known = "async def functions are not natively supported" in case.failure.message
    if not is_known and "'asyncio' not found in `markers`" not in case.failure.message:
        return None
    marks = [ast.unparse(decorator) for decorator in test.decorator_list]
    kept = [f"@{mark}\n" for mark in marks if not _ASYNC_MARK.match(mark)]
    body = block_text(code, test.body)
    header = f"{''.join(kept)}def {test.name}({ast.unparse(test.args)}):\n"
    inner = f"async def {_SCENARIO}():\n{indented(body)}\n\nasyncio.run({_SCENARIO}())"
    text = code.changed([(test, header + indented(inner))])
    said = "ran its body by `asyncio.run`: no plugin runs asynchronous tests here"
    return case.candidate.repaired(with_imports(text, ["import asyncio"]), said) if text else None


def await_calls(case: Case) -> Candidate | None:
    """Run a coroutine that the test only makes."""
    code = Code.read(case.code)
    test = code.test(case.candidate) if code else None
    target = case.candidate.target.method
    if code is None or test is None or not _NOT_AWAITED.search(case.failure.message):
        return None
    if not target.signature.startswith("async def"):
        return None
    around = parents(test)
    calls = [node for node in own_nodes(test) if isinstance(node, ast.Call) and called_name(node) == target.name]
    loose = [node for node in calls if not isinstance(around.get(node), ast.Await) and not _is_run(around.get(node))]
    inside = isinstance(test, ast.AsyncFunctionDef)
    changes: list[Change] = [
        (node, f"(await {code.segment(node)})" if inside else f"asyncio.run({code.segment(node)})") for node in loose
    ]
    text = code.changed(changes) if changes else None
    if text is None:
        return None
    said = f"ran the coroutine that `{target.name}` gives"
    return case.candidate.repaired(text if inside else with_imports(text, ["import asyncio"]), said)


def _is_run(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and called_name(node) in {"run", "gather", "create_task", "wait_for"}
