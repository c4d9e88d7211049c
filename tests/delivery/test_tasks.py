from __future__ import annotations

import json

import pytest

from llm_testgen.delivery.tasks import ApplyTask, Asker, GenerateTask, PublishTask, ReplyTask, dump_task, load_task
from llm_testgen.errors import UsageError

ASKER = Asker(comment=12, author="octo")
GENERATE = GenerateTask(number=7, head="a" * 40, base="b" * 64, publish=True, foreign=False, strict=False)
FULL = GenerateTask(
    number=7,
    head="a" * 64,
    base="b" * 40,
    targets=("src/shop.py", "src/größe.py::Cart.total"),
    publish=False,
    foreign=True,
    strict=True,
    asker=ASKER,
    asked=True,
    note="a 'note' with \"quotes\", $(id), `id`, \\, % and ${{ github.token }}\n::error::",
)
TASKS = [
    GENERATE,
    FULL,
    ApplyTask(number=1, asker=ASKER),
    ApplyTask(number=1, ids=("9f3c", "07ab"), asker=ASKER),
    ReplyTask(number=2**40, asker=ASKER, body="| a |\n|---|\n| `b` |\n\r\u2028\x85\x0b\x0c\x1c"),
    PublishTask(number=3, head="c" * 40, run_id=4),
]


@pytest.mark.parametrize("task", TASKS)
def test_a_task_survives_its_way_to_the_next_step_in_one_line(task):
    text = dump_task(task)
    assert load_task(text) == task
    assert "\n" not in text
    assert "\r" not in text
    assert load_task(f" {text}\n") == task


def test_a_task_says_its_kind_and_its_version():
    assert [json.loads(dump_task(task))["task"]["kind"] for task in TASKS] == [
        "generate",
        "generate",
        "apply",
        "apply",
        "reply",
        "publish",
    ]
    assert {json.loads(dump_task(task))["task"]["version"] for task in TASKS} == {1}


def changed(task: GenerateTask | PublishTask, **changes: object) -> str:
    """A task's text with some of its keys replaced; None takes one away."""
    data = json.loads(dump_task(task))["task"] | changes
    return json.dumps({"task": {name: value for name, value in data.items() if value is not None}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[]",
        "x",
        '{"task": null}',
        '{"task": {}}',
        "{" * 100_000,
        '{"task": "\ud800"}',
        '{"task": "\\ud800"}',
        changed(GENERATE, kind="delete"),
        changed(GENERATE, kind=None),
        changed(GENERATE, kind="publish"),
        changed(GENERATE, version=2),
        changed(GENERATE, number=0),
        changed(GENERATE, number=-1),
        changed(GENERATE, number="x"),
        changed(GENERATE, number=None),
        changed(GENERATE, head="main"),
        changed(GENERATE, head="a" * 39),
        changed(GENERATE, head="a" * 40 + "\n"),
        changed(GENERATE, head="A" * 40),
        changed(GENERATE, base="--upload-pack=id"),
        changed(GENERATE, strict=None),
        changed(GENERATE, more=1),
        changed(GENERATE, asker={"comment": 1}),
        changed(GENERATE, asker={"comment": 1, "author": "x", "admin": True}),
        changed(GENERATE, targets=["x"] * 1_001),
        changed(GENERATE, note="x" * 20_001),
        changed(PublishTask(number=1, head="a" * 40, run_id=1), run_id=0),
        dump_task(GENERATE) + dump_task(GENERATE),
        dump_task(GENERATE)[:-1],
        json.dumps(json.loads(dump_task(GENERATE)) | {"more": 1}),
    ],
    ids=range(33),
)
def test_what_is_no_task_is_refused_in_one_line(text):
    with pytest.raises(UsageError, match=r"\Athe plan of the job is none [^\n]+\Z"):
        load_task(text)
